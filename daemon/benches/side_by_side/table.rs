//! Samples, the rows made of them, and how rows are shown.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// One line of the table: what was measured of whom.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The number of the case, as `--case` takes it.
    pub(crate) case: u32,
    /// What is measured. Rows of one case with the same text are side by side: their ratio is to devd's.
    pub(crate) what: String,
    /// Whose it is: `devd`, or a peer's name.
    pub(crate) who: String,
    unit: &'static str,
    samples: Vec<f64>,
    /// The most that the median may be, of devd.
    bound: Option<f64>,
    /// How many times the peer's median may at least be devd's.
    factor: Option<f64>,
    note: String,
}

/// The name of the one that the others are compared with.
pub(crate) const DEVD: &str = "devd";

impl Row {
    pub(crate) fn new(case: u32, what: &str, who: &str, unit: &'static str, samples: Vec<f64>) -> Self {
        let (what, who) = (what.to_owned(), who.to_owned());
        Self { case, what, who, unit, samples, bound: None, factor: None, note: String::new() }
    }

    /// Times in milliseconds.
    pub(crate) fn times(case: u32, what: &str, who: &str, samples: &[Duration]) -> Self {
        Self::new(case, what, who, "ms", samples.iter().map(|it| it.as_secs_f64() * 1000.0).collect())
    }

    /// A number that was found once.
    pub(crate) fn number(case: u32, what: &str, unit: &'static str, value: f64) -> Self {
        Self::new(case, what, DEVD, unit, vec![value])
    }

    pub(crate) fn named(mut self, what: String) -> Self {
        self.what = what;
        self
    }

    /// What devd must reach.
    pub(crate) fn at_most(mut self, bound: f64) -> Self {
        self.bound = Some(bound);
        self
    }

    /// How much slower than devd this peer must be.
    pub(crate) fn at_least_times(mut self, factor: f64) -> Self {
        self.factor = Some(factor);
        self
    }

    /// What the numbers alone do not say.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// By the nearest rank: a value that was measured.
    fn quantile(&self, part: f64) -> f64 {
        let sorted = self.sorted();
        let rank = (part * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }
}

/// All rows, with how they compare.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn extend(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    /// The peer's median as a multiple of devd's.
    fn ratio(&self, row: &Row) -> Option<f64> {
        let devd = self
            .rows
            .iter()
            .find(|it| it.case == row.case && it.what == row.what && it.who == DEVD && it.unit == row.unit)?;
        let ratio = row.median() / devd.median();
        (row.who != DEVD && ratio.is_finite()).then_some(ratio)
    }

    /// What must hold, and whether it does.
    fn verdict(&self, row: &Row) -> Option<(String, bool)> {
        // A row without samples was not measured, and so shows nothing.
        let median = row.median();
        if let Some(bound) = row.bound {
            return Some((format!("<= {}", figure(bound)), median <= bound));
        }
        let factor = row.factor?;
        Some((format!(">= {} x", figure(factor)), self.ratio(row)? >= factor))
    }

    pub(crate) fn text(&self) -> String {
        let mut lines = vec![
            ["case", "what", "who", "median", "p95", "min", "max", "n", "ratio", "must", "note"]
                .map(str::to_owned),
        ];
        for row in &self.rows {
            let cell = |value: f64| format!("{} {}", figure(value), row.unit).trim_end().to_owned();
            let ratio = self.ratio(row).map_or_else(String::new, |ratio| format!("{} x", figure(ratio)));
            let must = match self.verdict(row) {
                Some((must, true)) => format!("{must} ok"),
                Some((must, false)) => format!("{must} MISSED"),
                None => String::new(),
            };
            lines.push([
                row.case.to_string(),
                row.what.clone(),
                row.who.clone(),
                cell(row.median()),
                cell(row.quantile(0.95)),
                cell(row.quantile(0.0)),
                cell(row.quantile(1.0)),
                row.samples.len().to_string(),
                ratio,
                must,
                row.note.clone(),
            ]);
        }
        let mut out = String::new();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
        for line in &lines {
            let mut text = String::new();
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                // Writing to a string cannot fail; so below.
                _ = if (3..=8).contains(&column) {
                    write!(text, "{cell:>width$}  ")
                } else {
                    write!(text, "{cell:<width$}  ")
                };
            }
            _ = writeln!(out, "{}", text.trim_end());
        }
        out
    }

    pub(crate) fn json(&self) -> Value {
        self.rows
            .iter()
            .map(|row| {
                let must = self.verdict(row).map(|(must, reached)| json!({ "is": must, "reached": reached }));
                json!({
                    "case": row.case,
                    "what": row.what,
                    "who": row.who,
                    "unit": row.unit,
                    "median": row.median(),
                    "p95": row.quantile(0.95),
                    "min": row.quantile(0.0),
                    "max": row.quantile(1.0),
                    "n": row.samples.len(),
                    "ratio": self.ratio(row),
                    "must": must,
                    "note": row.note,
                    "samples": row.samples,
                })
            })
            .collect()
    }
}

/// Three figures that matter, and no more decimals than that.
fn figure(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "-".to_owned(),
        it if it >= 100.0 || it == it.trunc() => format!("{value:.0}"),
        it if it >= 10.0 => format!("{value:.1}"),
        it if it >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// How often each stage of runs came when, as rows: where the time goes.
pub(crate) fn stages(case: u32, how: &str, runs: &[Value]) -> Vec<Row> {
    let mut samples: BTreeMap<(usize, &str), Vec<f64>> = BTreeMap::new();
    for run in runs {
        for (place, stage) in run["stages"].as_array().into_iter().flatten().enumerate() {
            if let (Some(name), Some(at)) = (stage["name"].as_str(), stage["at_us"].as_u64())
                && name != "event"
            {
                samples.entry((place, name)).or_default().push(at as f64 / 1000.0);
            }
        }
    }
    let row = |((_, name), samples)| {
        Row::new(case, &format!("  stage {name} after its event, {how}"), DEVD, "ms", samples)
    };
    samples.into_iter().map(row).collect()
}
