//! Docker's pattern rules, as BuildKit applies them to `.dockerignore`.
//!
//! They look like git's and are others: every pattern starts at the root (`*.log` is root-only), a pattern that
//! matches a folder covers what is below, the last pattern that matches wins, and `!` brings back files from inside
//! an excluded folder. That makes the verdict on a path depend on what each pattern said about the folders above it,
//! which is handed down as [`Seen`].

use regex::Regex;
use std::{io, path::Path};

/// A list of patterns.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    list: Vec<Pattern>,
}

/// One pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// As it is written, without the blanks around it.
    pub(crate) text: String,
    /// The line it stands on, from 1; 0 when it comes from a list.
    pub(crate) line: u32,
    negated: bool,
    cleaned: String,
    matcher: Matcher,
}

/// How a pattern is compared. The first three are what Docker does for patterns of that shape, and not always what
/// the regular expression would do: `**foo` matches everything that *ends* in `foo`.
#[derive(Debug)]
enum Matcher {
    Exact,
    Prefix(String),
    Suffix(String),
    Regex(Regex),
}

/// Which patterns matched a folder or one above it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Vec<bool>);

impl Patterns {
    /// Reads an ignore file.
    pub(crate) fn read(file: &Path) -> io::Result<Self> {
        Ok(Self::parse(&String::from_utf8_lossy(&std::fs::read(file)?)))
    }

    /// Reads the text of an ignore file: `#` starts a comment, only in the first column.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().zip(1..).filter(|(line, _)| !line.starts_with('#'));
        Self { list: lines.filter_map(|(line, number)| Pattern::new(line, number)).collect() }
    }

    /// Takes patterns from a list in a compose file.
    pub(crate) fn list(patterns: &[String]) -> Self {
        Self { list: patterns.iter().filter_map(|text| Pattern::new(text, 0)).collect() }
    }

    /// The same without patterns that exclude everything. `*` followed by `!src` describes what goes into an image;
    /// taken literally for mounted folders it would switch watching off.
    pub(crate) fn without_everything(mut self) -> Self {
        self.list
            .retain(|pattern| pattern.negated || !matches!(pattern.cleaned.as_str(), "*" | "**" | "**/*"));
        self
    }

    /// Whether there is no pattern at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// A pattern by its index.
    pub(crate) fn get(&self, index: usize) -> Option<&Pattern> {
        self.list.get(index)
    }

    /// The pattern that excludes a path, if one does, and what to hand down to the paths below it. The path is
    /// relative to the root of the patterns; `above` is what was seen for its folder.
    pub(crate) fn step(&self, path: &str, above: &Seen) -> (Option<usize>, Seen) {
        let mut excluded = None;
        let mut seen = vec![false; self.list.len()];
        for (index, pattern) in self.list.iter().enumerate() {
            let mut matched = above.0.get(index).copied().unwrap_or(false);
            if !matched {
                // It could not change the verdict. What it would have said is not remembered either; BuildKit
                // does the same.
                if pattern.negated != excluded.is_some() {
                    continue;
                }
                matched = pattern.matches(path);
            }
            if let Some(slot) = seen.get_mut(index) {
                *slot = matched;
            }
            if matched {
                excluded = (!pattern.negated).then_some(index);
            }
        }
        (excluded, Seen(seen))
    }

    /// The pattern that excludes a path, found by looking at every folder on the way to it.
    #[cfg(test)]
    pub(crate) fn excludes(&self, path: &str) -> Option<&Pattern> {
        let mut seen = Seen::default();
        let mut excluded = None;
        for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
            (excluded, seen) = self.step(path.get(..end).unwrap_or(path), &seen);
        }
        excluded.and_then(|index| self.get(index))
    }

    /// Whether a `!` pattern could bring back something below an excluded folder. When none can, the folder need not
    /// be looked into.
    pub(crate) fn may_bring_back_below(&self, folder: &str) -> bool {
        self.list.iter().filter(|pattern| pattern.negated).any(|pattern| {
            let literal = pattern.literal_start();
            literal.is_empty()
                || Path::new(literal).starts_with(folder)
                || Path::new(folder).starts_with(literal)
        })
    }
}

impl Pattern {
    fn new(text: &str, line: u32) -> Option<Self> {
        let text = text.trim();
        let (negated, body) = match text.strip_prefix('!') {
            Some(body) => (true, body.trim()),
            None => (false, text),
        };
        if body.is_empty() {
            return None;
        }
        let cleaned = clean(body);
        let cleaned = match cleaned.strip_prefix('/') {
            Some(rest) if !rest.is_empty() => rest.to_owned(),
            _ => cleaned,
        };
        match compile(&cleaned) {
            Ok(matcher) => Some(Self { text: text.to_owned(), line, negated, cleaned, matcher }),
            Err(error) => {
                // Docker refuses to build with such a file, and its message is the better place to say so.
                tracing::debug!(pattern = text, %error, "ignore pattern cannot be read");
                None
            }
        }
    }

    fn matches(&self, path: &str) -> bool {
        match &self.matcher {
            Matcher::Exact => path == self.cleaned,
            Matcher::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Matcher::Suffix(suffix) => {
                // `**/foo` is `foo` too.
                path.ends_with(suffix.as_str()) || suffix.strip_prefix('/').is_some_and(|rest| path == rest)
            }
            Matcher::Regex(regex) => regex.is_match(path),
        }
    }

    /// The folders before the first wildcard.
    fn literal_start(&self) -> &str {
        match self.cleaned.find(['*', '?', '[', '\\']) {
            None => &self.cleaned,
            Some(wild) => {
                self.cleaned.get(..wild).and_then(|start| start.rsplit_once('/')).map_or("", |(dir, _)| dir)
            }
        }
    }
}

/// A path without `.`, `..` and doubled or trailing slashes, by its text alone.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Translates a pattern. `*` and `?` stop at `/`, `**` does not, `\` escapes, `[…]` is a class.
fn compile(pattern: &str) -> Result<Matcher, regex::Error> {
    let mut regex = String::from("^");
    let mut plain = true;
    // The first thing is `**`, and all that follows is literal.
    let mut suffix = false;
    let mut prefix = false;
    let mut in_class = false;
    let mut chars = pattern.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            '*' if !in_class && chars.peek() == Some(&'*') => {
                chars.next();
                chars.next_if_eq(&'/');
                if chars.peek().is_some() {
                    regex.push_str("(?:.*/)?");
                } else if plain {
                    prefix = true;
                } else {
                    regex.push_str(".*");
                }
                suffix = first;
                plain = false;
            }
            '*' if !in_class => {
                regex.push_str("[^/]*");
                (plain, suffix) = (false, false);
            }
            '?' if !in_class => {
                regex.push_str("[^/]");
                (plain, suffix) = (false, false);
            }
            '\\' => {
                regex.push_str(&regex::escape(&chars.next().unwrap_or('\\').to_string()));
                (plain, suffix) = (false, false);
            }
            '[' | ']' if in_class == (c == ']') => {
                in_class = c == '[';
                regex.push(c);
                (plain, suffix) = (false, false);
                // The complement of a class is the one place where `^` means something.
                if in_class && chars.next_if_eq(&'^').is_some() {
                    regex.push('^');
                }
            }
            // A range inside a class; everything else that our dialect would read as an operator is not one here.
            '-' if in_class => regex.push('-'),
            _ => regex.push_str(&regex::escape(&c.to_string())),
        }
        first = false;
    }
    if suffix {
        return Ok(Matcher::Suffix(pattern.get(2..).unwrap_or_default().to_owned()));
    }
    if prefix {
        return Ok(Matcher::Prefix(pattern.strip_suffix("**").unwrap_or(pattern).to_owned()));
    }
    if plain {
        return Ok(Matcher::Exact);
    }
    regex.push('$');
    Regex::new(&regex).map(Matcher::Regex)
}

#[cfg(test)]
#[path = "dockerignore_tests.rs"]
mod tests;
