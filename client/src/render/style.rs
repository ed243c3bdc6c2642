//! Colours by meaning, and errors as they are printed.

use crate::error::Error;
use anstyle::{AnsiColor, Style};
use devd_proto::{Diagnostic, Severity};

pub(crate) const PLAIN: Style = Style::new();
pub(crate) const HEADER: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BUSY: Style = AnsiColor::Cyan.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HELP: Style = AnsiColor::Cyan.on_default().bold();

/// One colour a service, so that the eye finds its lines.
const NAMES: [Style; 6] = [
    AnsiColor::Cyan.on_default(),
    AnsiColor::Yellow.on_default(),
    AnsiColor::Green.on_default(),
    AnsiColor::Magenta.on_default(),
    AnsiColor::Blue.on_default(),
    AnsiColor::BrightCyan.on_default(),
];

pub(crate) fn of_name(index: usize) -> Style {
    NAMES[index % NAMES.len()]
}

pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// `error: …`, the place, `help: …`; with the line end.
pub(crate) fn error(error: &Error) -> String {
    let mut out = String::new();
    let rendered: Vec<&Diagnostic> =
        error.diagnostics().iter().filter(|d| !d.rendered.trim().is_empty()).collect();
    if rendered.is_empty() {
        out.push_str(&format!("{ERROR}error{ERROR:#}: {error}\n"));
    }
    for diagnostic in &rendered {
        out.push_str(&self::diagnostic(diagnostic));
    }
    // A finding that was rendered has said it.
    let is_said = |help: &str| rendered.iter().any(|d| d.rendered.contains(&format!("help: {help}")));
    if let Some(help) = error.help_text().filter(|help| !is_said(help)) {
        out.push_str(&format!("{HELP}help{HELP:#}: {help}\n"));
    }
    out
}

/// A finding as the daemon rendered it, its first word in colour; with the line end.
pub(crate) fn diagnostic(diagnostic: &Diagnostic) -> String {
    let (word, style) = match diagnostic.severity {
        Severity::Error => ("error", ERROR),
        Severity::Warning | Severity::Unknown => ("warning", WARNING),
    };
    let text = diagnostic.rendered.trim_end();
    match text.strip_prefix(word) {
        Some(rest) => format!("{style}{word}{style:#}{rest}\n"),
        None if text.is_empty() => format!("{style}{word}{style:#}: {}\n", diagnostic.message),
        None => format!("{text}\n"),
    }
}

/// `warning: …` without a line end.
pub(crate) fn warning(text: &str) -> String {
    format!("{WARNING}warning{WARNING:#}: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_proto::{Code, Problem};

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn an_error_says_what_and_how_to_mend_it() {
        expect_test::expect![[r"
            error: devd is not running
            help: start it with `devd up`, or with `devd daemon start`
        "]]
        .assert_eq(&plain(&error(&Error::NotRunning)));
    }

    #[test]
    fn findings_are_printed_as_they_were_rendered() {
        let mut problem = Problem::new(Code::InvalidProject, "compose.yaml does not load");
        problem.diagnostics.push(Diagnostic {
            rendered: "error: unknown key\n  --> compose.yaml:3:5\n".to_owned(),
            ..Diagnostic::default()
        });
        expect_test::expect![[r"
            error: unknown key
              --> compose.yaml:3:5
        "]]
        .assert_eq(&plain(&error(&problem.into())));
    }

    #[test]
    fn how_to_mend_it_is_said_once() {
        let mut problem = Problem::new(Code::NoComposeFile, "no compose file here or above")
            .help("make one named compose.yaml");
        problem.diagnostics.push(Diagnostic {
            message: "no compose file here or above".to_owned(),
            help: Some("make one named compose.yaml".to_owned()),
            rendered: "error: no compose file here or above\nhelp: make one named compose.yaml\n".to_owned(),
            ..Diagnostic::default()
        });
        expect_test::expect![[r"
            error: no compose file here or above
            help: make one named compose.yaml
        "]]
        .assert_eq(&plain(&error(&problem.clone().into())));
        problem.help = Some("devd doctor".to_owned());
        assert!(plain(&error(&problem.into())).ends_with("compose.yaml\nhelp: devd doctor\n"));
    }
}
