//! Errors and warnings: what, where, and how to mend it.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::PathBuf;

use crate::context;
use crate::model::Span;

/// Why a project does not load: everything that is wrong with its files, not only the first thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render())]
pub struct LoadError {
    /// At least one, the most important first.
    pub diagnostics: Vec<Diagnostic>,
    /// Every file that was read, and every file whose appearance would change the result.
    pub inputs: BTreeSet<PathBuf>,
}

impl LoadError {
    /// All errors as they are shown to people, a blank line between them.
    pub fn render(&self) -> String {
        self.diagnostics.iter().map(Diagnostic::render).collect::<Vec<_>>().join("\n\n")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// One error or warning. Its texts hold no value of `environment`, `env_file` or `secrets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// For programs; stays the same when the message is reworded.
    pub code: &'static str,
    /// Without the place and the remedy.
    pub message: String,
    pub file: Option<PathBuf>,
    /// Counted from 1.
    pub line: Option<u32>,
    /// In characters, counted from 1.
    pub column: Option<u32>,
    /// How many characters are meant, at least 1.
    pub length: u32,
    /// The line, with values that may be secret masked by `*`.
    pub source_line: Option<String>,
    /// The place in the project, such as `services.api.ports[0]`. Empty when there is none.
    pub path: String,
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error about what stands at `span`, for those who look at a project after it was loaded. `path` is the place
    /// in the project, such as `services.api.ports`.
    pub fn about(span: &Span, path: &str, code: &'static str, message: impl Into<String>) -> Self {
        let text = fs::read_to_string(&span.file).unwrap_or_default();
        let index = usize::try_from(span.line).unwrap_or_default().saturating_sub(1);
        let line = text.lines().nth(index);
        let hide = context::is_secret(path);
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            file: Some(span.file.to_path_buf()),
            line: Some(span.line),
            column: Some(span.column),
            length: 1,
            source_line: line.map(|line| if hide { context::mask(line) } else { context::mask_flow(line) }),
            path: path.to_owned(),
            help: None,
        }
    }

    /// As it is shown to people, without a line feed at the end.
    pub fn render(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut out = format!("{severity}: {}", self.message);
        let width = self.line.map_or(2, |line| line.to_string().len().max(2));
        if let Some(file) = &self.file {
            let _ = write!(out, "\n{:width$}--> {}", "", file.display());
            if let (Some(line), Some(column)) = (self.line, self.column) {
                let _ = write!(out, ":{line}:{column}");
            } else if let Some(line) = self.line {
                let _ = write!(out, ":{line}");
            }
        }
        if let (Some(line), Some(column), Some(source)) = (self.line, self.column, &self.source_line) {
            let gutter = " ".repeat(width);
            let before = usize::try_from(column).unwrap_or(1).saturating_sub(1);
            let (source, before) = clip(source, before);
            // A tab is kept in the line under the source, so that the marks stand below what they mean.
            let indent: String =
                source.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let left = source.chars().count().saturating_sub(before).max(1);
            let marks = "^".repeat(usize::try_from(self.length).unwrap_or(1).clamp(1, left));
            let _ = write!(out, "\n{gutter} |\n{line:>width$} | {source}\n{gutter} | {indent}{marks}");
        }
        if let Some(help) = &self.help {
            let _ = write!(out, "\nhelp: {help}");
        }
        out
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.render())
    }
}

/// A line too long to show is cut to the part around its mark.
fn clip(line: &str, column: usize) -> (String, usize) {
    const WIDEST: usize = 160;
    let length = line.chars().count();
    if length <= WIDEST {
        return (line.to_owned(), column.min(length));
    }
    let start = column.min(length).saturating_sub(WIDEST / 2);
    let cut: String = line.chars().skip(start).take(WIDEST).collect();
    let (front, dots) = if start > 0 { ("…", 1) } else { ("", 0) };
    let back = if start + WIDEST < length { "…" } else { "" };
    (format!("{front}{cut}{back}"), column.min(length) - start + dots)
}
