//! Compares what devd makes of a folder of compose files with what compose made of them: `scripts/corpus DIR`.
//!
//! `DIR/INDEX.tsv` names the files, and whether compose accepts each; beside a file that it accepts lies
//! `FILE.expected.json`, in which the file's own folder is called `$DIR`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use devd_compose::{LoadError, Loaded, Options, load, to_json};
use serde_json::Value;

#[derive(Default)]
struct Counts {
    equal: usize,
    differs: usize,
    refused_by_both: usize,
    refused_by_us: usize,
    accepted_by_us: usize,
    /// Of what is refused, without a line and a column.
    unplaced: usize,
    slowest: (Duration, PathBuf),
}

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: corpus DIR");
        return ExitCode::from(2);
    };
    let index = match fs::read_to_string(dir.join("INDEX.tsv")) {
        Ok(index) => index,
        Err(error) => {
            eprintln!("error: {} cannot be read: {error}", dir.join("INDEX.tsv").display());
            return ExitCode::from(2);
        }
    };
    let mut counts = Counts::default();
    for line in index.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(file), Some(verdict)) = (columns.next(), columns.next()) else { continue };
        compare(&mut counts, &dir, file, verdict == "accepts", columns.next().unwrap_or_default());
    }
    counts.print()
}

fn compare(counts: &mut Counts, dir: &Path, file: &str, accepted: bool, reason: &str) {
    let started = Instant::now();
    let outcome = run(&dir.join(file));
    let took = started.elapsed();
    if took > counts.slowest.0 {
        counts.slowest = (took, PathBuf::from(file));
    }
    match (outcome, accepted) {
        (Ok(loaded), true) => {
            let home = dir.join(file).parent().map(Path::to_path_buf).unwrap_or_default();
            let expected = fs::read_to_string(dir.join(format!("{file}.expected.json")));
            let expected: Value =
                expected.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            let mut found = to_json(&loaded.project);
            shorten(&mut found, &home.to_string_lossy());
            let mut differences = Vec::new();
            differ("", &expected, &found, &mut differences);
            if differences.is_empty() {
                counts.equal += 1;
            } else {
                counts.differs += 1;
                println!("differs: {file}");
                for difference in differences {
                    println!("    {difference}");
                }
            }
        }
        (Err(error), true) => {
            counts.refused_by_us += 1;
            println!("refused by us only: {file}");
            for line in error.render().lines() {
                println!("    {line}");
            }
        }
        (Ok(_), false) => {
            counts.accepted_by_us += 1;
            println!("accepted by us only: {file}\n    compose says: {reason}");
        }
        (Err(error), false) => {
            counts.refused_by_both += 1;
            if error.diagnostics.iter().any(|known| known.line.is_none() || known.column.is_none()) {
                counts.unplaced += 1;
                println!("refused without a line and a column: {file}\n    compose says: {reason}");
                println!("    {}", error.render().replace('\n', "\n    "));
            }
        }
    }
}

fn run(file: &Path) -> Result<Loaded, LoadError> {
    let dir = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut options = Options { dir, files: vec![file.to_owned()], ..Options::default() };
    for name in ["HOME", "PATH"] {
        options.env.extend(std::env::var(name).ok().map(|value| (name.to_owned(), value)));
    }
    load(&options)
}

/// Writes the folder of the file as `$DIR`.
fn shorten(value: &mut Value, dir: &str) {
    match value {
        Value::String(text) => *text = text.replace(dir, "$DIR"),
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, dir)),
        Value::Object(map) => map.values_mut().for_each(|value| shorten(value, dir)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn differ(path: &str, expected: &Value, found: &Value, out: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, expected) in one {
                match other.get(key) {
                    Some(found) => differ(&format!("{path}.{key}"), expected, found, out),
                    None => out.push(format!("{path}.{key} is missing: {expected}")),
                }
            }
            for (key, found) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
                out.push(format!("{path}.{key} is too much: {found}"));
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (expected, found)) in one.iter().zip(other).enumerate() {
                differ(&format!("{path}[{index}]"), expected, found, out);
            }
        }
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {}
        _ if expected == found => {}
        _ => out.push(format!("{path} is {found} and should be {expected}")),
    }
}

impl Counts {
    fn print(&self) -> ExitCode {
        let accepted = self.equal + self.differs + self.refused_by_us;
        let tenths = (self.equal * 1000).checked_div(accepted).unwrap_or(1000);
        println!(
            "equal                {:4}  ({}.{} % of what compose accepts)",
            self.equal,
            tenths / 10,
            tenths % 10
        );
        println!("differs              {:4}", self.differs);
        println!("refused by both      {:4}", self.refused_by_both);
        println!("refused by us only   {:4}", self.refused_by_us);
        println!("accepted by us only  {:4}", self.accepted_by_us);
        println!("slowest              {:?}  {}", self.slowest.0, self.slowest.1.display());
        let fine = self.differs + self.refused_by_us + self.accepted_by_us + self.unplaced == 0;
        if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
