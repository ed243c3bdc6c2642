//! Tables as they are printed.

/// Columns as wide as their widest cell: the first is text, the others are numbers.
pub(crate) fn text(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (place, line) in lines.iter().enumerate() {
        out += "|";
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            out += &if column == 0 { format!(" {cell:<width$} |") } else { format!(" {cell:>width$} |") };
        }
        out += "\n";
        if place == 0 {
            for (column, width) in widths.iter().enumerate() {
                out += if column == 0 { "|" } else { "" };
                out += &"-".repeat(width + if column == 0 { 2 } else { 1 });
                out += if column == 0 { "|" } else { ":|" };
            }
            out += "\n";
        }
    }
    out
}

/// By the nearest rank: a value that was measured.
pub(crate) fn quantile(samples: &[f64], part: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Seconds, or a dash.
pub(crate) fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}
