//! The format of `.env` and of a service's `env_file`.

use std::collections::BTreeMap;

use crate::substitute::{Problem, ProblemKind, substitute};

/// Of all values of a file. Each may name earlier ones, so they could grow without end.
const MAX_TEXT: usize = 4 << 20;

/// A line that cannot be read. The message holds no value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineError {
    pub(crate) line: u32,
    pub(crate) message: String,
}

/// What one file sets, and where each variable without a value or default was named.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) unset: Vec<(String, u32)>,
}

/// Reads a file. `lookup` is asked before the keys of the file itself; a key alone on its line is taken from it.
pub(crate) fn parse(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Variables, LineError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1, budget: MAX_TEXT, found: Variables::default() };
    while reader.skip_blank() {
        reader.variable(lookup)?;
    }
    Ok(reader.found)
}

/// `KEY=VALUE` lines taken literally, as `docker run --env-file` does.
pub(crate) fn parse_raw(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Variables, LineError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Variables::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (line.trim_end(), lookup(line.trim_end())),
        };
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(LineError {
                line: number,
                message: "a variable's name cannot be empty or hold a space".to_owned(),
            });
        }
        found.values.extend(value.map(|value| (key.to_owned(), value)));
    }
    Ok(found)
}

struct Reader<'a> {
    rest: &'a str,
    line: u32,
    budget: usize,
    found: Variables,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        let lines = taken.bytes().filter(|byte| *byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        taken
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, LineError> {
        Err(LineError { line: self.line, message: message.into() })
    }

    fn rest_of_line(&self) -> usize {
        self.rest.find('\n').unwrap_or(self.rest.len())
    }

    /// Goes to the next variable; `false` at the end.
    fn skip_blank(&mut self) -> bool {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if !self.rest.starts_with('#') {
                return !self.rest.is_empty();
            }
            self.take(self.rest_of_line());
        }
    }

    fn variable(&mut self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<(), LineError> {
        if let Some(tail) = self.rest.strip_prefix("export")
            && tail.starts_with([' ', '\t'])
        {
            self.take("export".len());
            self.take(tail.len() - tail.trim_start_matches([' ', '\t']).len());
        }
        let end = self.rest.find(['=', ':', '\n']).unwrap_or(self.rest.len());
        let separator = self.rest[end..].chars().next();
        let key = self.rest[..end].trim();
        if key.contains(char::is_whitespace) {
            return self.error("a variable's name cannot hold a space");
        }
        if let Some(odd) = key.chars().find(|c| !c.is_alphanumeric() && !"_.-[]".contains(*c)) {
            return self.error(format!("unexpected character {odd:?} in a variable's name"));
        }
        let key = key.to_owned();
        self.take(end);
        if matches!(separator, None | Some('\n')) {
            self.found.values.extend(lookup(&key).map(|value| (key, value)));
            return Ok(());
        }
        self.take(1);
        let blank = self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len();
        self.take(blank);
        let line = self.line;
        let value = match self.rest.chars().next() {
            Some('\'') => {
                let raw = self.quoted('\'')?;
                Some(raw.replace("\\'", "'"))
            }
            Some('"') => {
                let raw = self.quoted('"')?;
                self.expand(&unescape(raw), line, lookup)?
            }
            _ => {
                let raw = self.take(self.rest_of_line());
                let comment = raw
                    .char_indices()
                    .find(|(at, c)| *c == '#' && (*at == 0 || raw[..*at].ends_with([' ', '\t'])));
                let raw = comment.map_or(raw, |(at, _)| &raw[..at]);
                self.expand(raw.trim(), line, lookup)?
            }
        };
        self.found.values.extend(value.map(|value| (key, value)));
        Ok(())
    }

    /// The inside of a quoted value, which may go over several lines. What follows on its last line must be a comment.
    fn quoted(&mut self, quote: char) -> Result<&'a str, LineError> {
        let mut escaped = false;
        let inner = self.rest.get(1..).unwrap_or_default();
        let end = inner.char_indices().find_map(|(at, c)| {
            let closes = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            closes.then_some(at)
        });
        let Some(end) = end else { return self.error("the quoted value that starts here has no end") };
        self.take(1);
        let raw = self.take(end);
        self.take(1);
        let tail = self.rest[..self.rest_of_line()].trim();
        if !tail.is_empty() && !tail.starts_with('#') {
            return self.error("there is more text after the quoted value");
        }
        self.take(self.rest_of_line());
        Ok(raw)
    }

    fn expand(
        &mut self,
        raw: &str,
        line: u32,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, LineError> {
        let values = &self.found.values;
        let both = |name: &str| lookup(name).or_else(|| values.get(name).cloned());
        match substitute(raw, &both, &mut self.budget) {
            Ok(done) => {
                self.found.unset.extend(done.unset.into_iter().map(|(name, _)| (name, line)));
                Ok(Some(done.text))
            }
            Err(Problem { kind, .. }) => {
                let message = match kind {
                    ProblemKind::Malformed(_) => {
                        "a `$` that starts no known expression; write `$$` for a dollar sign".to_owned()
                    }
                    ProblemKind::Required { name, message } if message.is_empty() => {
                        format!("the variable `{name}` is required, and it is not set")
                    }
                    ProblemKind::Required { name, message } => {
                        format!("the variable `{name}` is required, and it is not set: {message}")
                    }
                    ProblemKind::TooLong => "with its variables replaced, this file is too large".to_owned(),
                };
                Err(LineError { line, message })
            }
        }
    }
}

/// The escapes of a double-quoted value. `\$` becomes `$$`, because variables are replaced afterwards.
fn unescape(raw: &str) -> String {
    let mut out = String::new();
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some('$') => out.push_str("$$"),
            Some(c @ ('"' | '\\')) => out.push(c),
            Some('0') => {
                let mut code = 0;
                for _ in 0..3 {
                    let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    chars.next();
                }
                out.extend(char::from_u32(code));
            }
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(name: &str) -> Option<String> {
        (name == "OUT").then(|| "outer".to_owned())
    }

    #[test]
    fn every_form_of_the_format() {
        for (text, expected) in [
            ("A=b", "b"),
            ("A: b", "b"),
            ("\u{feff}A=b", "b"),
            ("export A=b", "b"),
            ("# c\n\n  A = b  ", "b"),
            ("A=b # c", "b"),
            ("A=b#c", "b#c"),
            ("A=", ""),
            ("A= # c", ""),
            ("A=$OUT", "outer"),
            ("A=$$x", "$x"),
            ("X=1\nA=${X}2", "12"),
            ("OUT=own\nA=$OUT", "outer"),
            ("A=\\$OUT", "\\outer"),
            ("A=\"b\\n\\t\\\"\\\\\\$OUT\"", "b\n\t\"\\$OUT"),
            ("A=\"\\0101\\q\"", "A\\q"),
            ("A=\"two\nlines\" # c", "two\nlines"),
            ("A=\"$OUT\"", "outer"),
            ("A='$OUT\\n'", "$OUT\\n"),
            ("A='it\\'s'", "it's"),
            ("A='two\nlines'", "two\nlines"),
            ("X\nOUT\nA=b", "b"),
            ("A=\"${U:-d}\"", "d"),
            ("A=a=b", "a=b"),
            ("A=b\r\nB=c", "b"),
        ] {
            let found = parse(text, &outside).map(|found| found.values.get("A").cloned());
            assert_eq!(found, Ok(Some(expected.to_owned())), "{text:?}");
        }
        let found = parse("1.a-b[0]=x\n=y\nOUT\nNOT", &outside).map(|found| found.values).unwrap_or_default();
        let pairs: Vec<_> = found.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(pairs, ["=y", "1.a-b[0]=x", "OUT=outer"]);
    }

    #[test]
    fn errors_name_the_line_and_no_value() {
        for (text, line, message) in [
            ("A B=c", 1, "a variable's name cannot hold a space"),
            ("A=b\nB=\"c", 2, "the quoted value that starts here has no end"),
            ("A$=1", 1, "unexpected character '$' in a variable's name"),
            ("A=b\n\nB=${c", 3, "a `$` that starts no known expression; write `$$` for a dollar sign"),
            ("A=${B:?say}", 1, "the variable `B` is required, and it is not set: say"),
            ("A='b'c", 1, "there is more text after the quoted value"),
        ] {
            assert_eq!(parse(text, &outside), Err(LineError { line, message: message.to_owned() }), "{text}");
        }
        let grows: String = (1..40).map(|n| format!("A{n}=${{A{0}}}${{A{0}}}x\n", n - 1)).collect();
        assert!(parse(&grows, &outside).is_err());
    }

    #[test]
    fn raw_lines_are_taken_as_they_are() {
        let found =
            parse_raw("A='$x' # c\nOUT\n#B=c\n", &outside).map(|found| found.values).unwrap_or_default();
        let pairs: Vec<_> = found.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(pairs, ["A='$x' # c", "OUT=outer"]);
        assert!(parse_raw("A B=c", &outside).is_err());
    }
}
