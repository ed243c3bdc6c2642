//! What one load gathers while it goes: the files read, and everything that is wrong with them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, LoadError, Severity};
use crate::model::Span;

/// A compose file larger than this is a mistake or an attack.
pub(crate) const MAX_FILE_BYTES: u64 = 4 << 20;
/// Of all files of a project, each time that they are read.
const MAX_READ_BYTES: u64 = 64 << 20;
/// A file can be wrong in more ways than anyone reads.
const MAX_DIAGNOSTICS: usize = 100;

/// A stretch of one line of a file of this load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) length: u32,
}

pub(crate) struct Source {
    pub(crate) path: Arc<Path>,
    pub(crate) text: String,
    /// The byte at which each line starts.
    lines: Vec<usize>,
}

impl Source {
    fn new(path: &Path, text: String) -> Self {
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1));
        Self { path: Arc::from(path), text, lines }
    }

    /// Line `number`, counted from 1, without its end.
    pub(crate) fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let start = *self.lines.get(index)?;
        let end = self.lines.get(index + 1).copied().unwrap_or(self.text.len());
        self.text.get(start..end).map(|line| line.trim_end_matches(['\n', '\r']))
    }

    /// Whether line `number` is below a key with secrets, by how the lines are indented: of what is no YAML that is all that
    /// can be told.
    fn is_secret(&self, number: u32) -> bool {
        // The items of a list may stand as far left as its key.
        let depth = |line: &str| 2 * line.find(|c: char| c != ' ').unwrap_or(0) + usize::from(is_item(line));
        let mut outer = self.line(number).map_or(0, depth);
        (1..number).rev().filter_map(|above| self.line(above)).any(|line| {
            let text = line.trim_start_matches([' ', '-']);
            if text.is_empty() || text.starts_with('#') || depth(line) >= outer {
                return false;
            }
            outer = depth(line);
            let key = text.split(':').next().unwrap_or_default().trim_matches(['"', '\'', ' ']);
            SECRET.contains(&key) || (outer == 0 && key.starts_with("x-"))
        })
    }

    /// The text from `place` on.
    pub(crate) fn text_at(&self, place: Place) -> Option<&str> {
        let index = usize::try_from(place.line).ok()?.checked_sub(1)?;
        let line = self.text.get(*self.lines.get(index)?..)?;
        let skip = usize::try_from(place.column).ok()?.checked_sub(1)?;
        let (offset, _) = line.char_indices().nth(skip)?;
        line.get(offset..)
    }
}

#[derive(Default)]
pub(crate) struct Context {
    pub(crate) sources: Vec<Source>,
    pub(crate) inputs: BTreeSet<PathBuf>,
    read_bytes: u64,
    /// What variables have been replaced by, in bytes.
    pub(crate) text_bytes: usize,
    /// Variables about which a warning was given.
    pub(crate) warned: BTreeSet<String>,
    diagnostics: Vec<Diagnostic>,
    /// Takes the diagnostics that are not kept.
    surplus: Option<Diagnostic>,
    /// Values that are wrong already: whatever else is said of them follows from that.
    poisoned: Vec<Place>,
}

impl Context {
    /// Reads a file and remembers it as an input, whether it is there or not.
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<String> {
        self.inputs.insert(path.to_owned());
        // Asked first, because opening a named pipe would wait for a writer.
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder"));
        }
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
        }
        self.read_bytes = self.read_bytes.saturating_add(metadata.len());
        if self.read_bytes > MAX_READ_BYTES && metadata.len() <= MAX_FILE_BYTES {
            let message = format!("comes after {} MiB of other files", MAX_READ_BYTES >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
            let message = format!("is larger than {} MiB", MAX_FILE_BYTES >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        String::from_utf8(bytes).map_err(|error| {
            let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            io::Error::new(io::ErrorKind::InvalidData, format!("is not UTF-8 text (line {line})"))
        })
    }

    pub(crate) fn add_source(&mut self, path: &Path, text: String) -> usize {
        self.sources.push(Source::new(path, text));
        self.sources.len() - 1
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        place: Place,
        path: &str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let diagnostic = self.diagnostic(Severity::Error, code, place, path, message.into());
        if self.is_poisoned(place) { self.surplus.insert(diagnostic) } else { self.push(diagnostic) }
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        place: Place,
        path: &str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let diagnostic = self.diagnostic(Severity::Warning, code, place, path, message.into());
        self.push(diagnostic)
    }

    /// An error about a file as a whole, or about no file at all.
    pub(crate) fn file_error(
        &mut self,
        code: &'static str,
        file: Option<&Path>,
        line: Option<u32>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(about_file(Severity::Error, code, file, line, message.into()))
    }

    pub(crate) fn file_warning(
        &mut self,
        code: &'static str,
        file: &Path,
        line: Option<u32>,
        message: impl Into<String>,
    ) {
        self.push(about_file(Severity::Warning, code, Some(file), line, message.into()));
    }

    pub(crate) fn unset_variables(&mut self, file: &Path, unset: &[(String, u32)]) {
        for (name, line) in unset.iter().take(MAX_DIAGNOSTICS) {
            let message = format!("the variable `{name}` is not set, so it counts as empty");
            self.file_warning("unset-variable", file, Some(*line), message);
        }
    }

    pub(crate) fn is_poisoned(&self, place: Place) -> bool {
        self.poisoned.contains(&place)
    }

    /// Keeps further errors about the value at `place` back.
    pub(crate) fn poison(&mut self, place: Place) {
        if self.poisoned.len() < MAX_DIAGNOSTICS {
            self.poisoned.push(place);
        }
    }

    fn diagnostic(
        &self,
        severity: Severity,
        code: &'static str,
        place: Place,
        path: &str,
        message: String,
    ) -> Diagnostic {
        let source = self.sources.get(place.file);
        let line = source.and_then(|source| source.line(place.line));
        // Of the many that come when there are enough, nobody looks at the lines above.
        let is_secret = is_secret(path)
            || self.diagnostics.len() >= MAX_DIAGNOSTICS
            || source.is_some_and(|source| source.is_secret(place.line));
        Diagnostic {
            severity,
            code,
            message,
            file: source.map(|source| source.path.to_path_buf()),
            line: Some(place.line),
            column: Some(place.column),
            length: place.length.max(1),
            source_line: line.map(|line| if is_secret { mask(line) } else { mask_flow(line) }),
            path: path.to_owned(),
            help: None,
        }
    }

    fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        if self.diagnostics.len() >= MAX_DIAGNOSTICS {
            // An error must not get lost behind warnings.
            let replaced = (diagnostic.severity == Severity::Error)
                .then(|| self.diagnostics.iter().rposition(|known| known.severity == Severity::Warning))
                .flatten();
            match replaced.and_then(|index| self.diagnostics.get_mut(index)) {
                Some(slot) => {
                    *slot = diagnostic;
                    return slot;
                }
                None => return self.surplus.insert(diagnostic),
            }
        }
        let index = self.diagnostics.len();
        self.diagnostics.push(diagnostic);
        &mut self.diagnostics[index]
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|known| known.severity == Severity::Error)
    }

    /// Whether further errors would not be kept, so that their help need not be thought of.
    pub(crate) fn is_full(&self) -> bool {
        let is_error = |known: &Diagnostic| known.severity == Severity::Error;
        self.diagnostics.len() >= MAX_DIAGNOSTICS && self.diagnostics.iter().all(is_error)
    }

    pub(crate) fn span(&self, place: Place) -> Span {
        let file = self.sources.get(place.file).map(|source| Arc::clone(&source.path));
        Span { file: file.unwrap_or_else(|| Span::default().file), line: place.line, column: place.column }
    }

    /// For a context that holds an error.
    pub(crate) fn into_error(self) -> LoadError {
        LoadError { diagnostics: self.diagnostics, inputs: self.inputs }
    }

    /// The warnings, or the errors if there are any.
    pub(crate) fn finish(self) -> Result<(Vec<Diagnostic>, BTreeSet<PathBuf>), LoadError> {
        let (errors, warnings): (Vec<_>, Vec<_>) =
            self.diagnostics.into_iter().partition(|known| known.severity == Severity::Error);
        if errors.is_empty() {
            Ok((warnings, self.inputs))
        } else {
            Err(LoadError { diagnostics: errors, inputs: self.inputs })
        }
    }
}

fn about_file(
    severity: Severity,
    code: &'static str,
    file: Option<&Path>,
    line: Option<u32>,
    message: String,
) -> Diagnostic {
    Diagnostic {
        severity,
        code,
        message,
        file: file.map(Path::to_owned),
        line,
        column: None,
        length: 1,
        source_line: None,
        path: String::new(),
        help: None,
    }
}

impl Diagnostic {
    pub(crate) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }
}

/// Keys whose values may be secrets.
const SECRET: [&str; 4] = ["environment", "secrets", "args", "content"];

/// Whether the values at `path` may be secrets.
pub(crate) fn is_secret(path: &str) -> bool {
    // Fragments that a service merges into its environment.
    path.starts_with("x-") || path.split(['.', '[']).any(|part| SECRET.contains(&part))
}

fn is_item(line: &str) -> bool {
    line.trim_start().starts_with("- ")
}

/// Hides what follows a key with secrets: in flow style a line has more in it than what is wrong.
pub(crate) fn mask_flow(line: &str) -> String {
    let values = SECRET.iter().filter_map(|key| {
        line.match_indices(key).find_map(|(at, _)| {
            let before = line.get(..at)?.chars().next_back();
            let after = line.get(at + key.len()..)?.trim_start_matches(['"', '\'', ' ']);
            let is_key = before.is_none_or(|c| " {,\"'-".contains(c)) && after.starts_with(':');
            is_key.then(|| line.len() - after.len() + 1)
        })
    });
    let (kept, hidden) = line.split_at(values.min().unwrap_or(line.len()));
    format!("{kept}{}", stars(hidden))
}

fn stars(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() { c } else { '*' }).collect()
}

/// Keeps `KEY:` or `- KEY=` and hides what follows.
pub(crate) fn mask(line: &str) -> String {
    let start = line.find(|c: char| !c.is_whitespace() && c != '-').unwrap_or(line.len());
    let (indent, rest) = line.split_at(start);
    let key = rest.find([':', '=']).filter(|end| {
        let key = rest.get(..*end).unwrap_or_default().trim_matches(['"', '\'', ' ']);
        !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c))
    });
    let (kept, hidden) = rest.split_at(key.map_or(0, |end| end + 1));
    format!("{indent}{kept}{}", stars(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_below_a_key_with_secrets_is_found_by_its_indent() {
        let text = "services:\n  a:\n    environment:\n    - A=b\n\n      # c\n      B: |\n        c\n    image: x\nx-y:\n  z: 1\n";
        let source = Source::new(Path::new("x"), text.to_owned());
        let secret: Vec<u32> = (1..=11).filter(|number| source.is_secret(*number)).collect();
        assert_eq!(secret, [4, 6, 7, 8, 11]);
    }

    #[test]
    fn values_are_masked_and_names_are_not() {
        for (line, shown) in [
            ("      PASS: s3cret word", "      PASS: ****** ****"),
            ("  - \"PASS=s3cret\"", "  - \"PASS=*******"),
            ("environment: {A: b}", "environment: *** **"),
            ("  c2VjcmV0IHRleHQ", "  ***************"),
            ("  some words: x", "  **** ****** *"),
        ] {
            assert_eq!(mask(line), shown);
        }
        for (line, shown) in [
            ("  inline: {content: s3cret, file: x}", "  inline: {content: ******* ***** **"),
            ("api: {image: a, \"environment\": {A: b}}", "api: {image: a, \"environment\": *** ***"),
            ("    environment:", "    environment:"),
            ("    image: environment-of/args:1", "    image: environment-of/args:1"),
        ] {
            assert_eq!(mask_flow(line), shown);
        }
        assert!(is_secret("services.a.environment[0]"));
        assert!(!is_secret("services.a.ports[0]"));
    }
}
