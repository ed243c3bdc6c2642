//! `$NAME`, `${NAME}`, `${NAME:-default}` and their kin.

/// A default within a default within …
const MAX_NESTING: usize = 20;

/// Where values come from.
pub(crate) trait Lookup {
    fn get(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Lookup for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Substituted {
    pub(crate) text: String,
    /// Names that are set nowhere and have no default, with the byte of their `$`.
    pub(crate) unset: Vec<(String, usize)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The byte of the `$` in the text.
    pub(crate) offset: usize,
    pub(crate) kind: ProblemKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    /// Not of the grammar: the expression as far as it can be told.
    Malformed(String),
    /// `${NAME:?message}`, and it is not set.
    Required {
        name: String,
        message: String,
    },
    TooLong,
}

/// Replaces the variables of `template`. `budget` is how many bytes may still come out.
pub(crate) fn substitute(
    template: &str,
    lookup: &dyn Lookup,
    budget: &mut usize,
) -> Result<Substituted, Problem> {
    let mut run = Run { lookup, budget, unset: Vec::new() };
    let text = run.text(template, 0, 0)?;
    Ok(Substituted { text, unset: run.unset })
}

struct Run<'a> {
    lookup: &'a dyn Lookup,
    budget: &'a mut usize,
    unset: Vec<(String, usize)>,
}

impl Run<'_> {
    /// `base` is where `template` starts in the whole text.
    fn text(&mut self, template: &str, base: usize, depth: usize) -> Result<String, Problem> {
        let mut out = String::new();
        let mut rest = template;
        while let Some(dollar) = rest.find('$') {
            let (before, from) = rest.split_at(dollar);
            let offset = base + template.len() - from.len();
            self.push(&mut out, before, offset)?;
            let after = from.get(1..).unwrap_or_default();
            if let Some(tail) = after.strip_prefix('$') {
                self.push(&mut out, "$", offset)?;
                rest = tail;
            } else if let Some(tail) = after.strip_prefix('{') {
                let malformed = || Problem { offset, kind: ProblemKind::Malformed(first_line(from)) };
                let end = closing_brace(tail).ok_or_else(malformed)?;
                let (inner, tail) = tail.split_at(end);
                if depth >= MAX_NESTING {
                    return Err(malformed());
                }
                let value = self.braced(inner, offset, depth)?;
                self.push(&mut out, &value, offset)?;
                rest = tail.get(1..).unwrap_or_default();
            } else {
                let name = name_length(after);
                if name == 0 {
                    self.push(&mut out, "$", offset)?;
                    rest = after;
                    continue;
                }
                let (name, tail) = after.split_at(name);
                let value = self.plain(name, offset);
                self.push(&mut out, &value, offset)?;
                rest = tail;
            }
        }
        self.push(&mut out, rest, base)?;
        Ok(out)
    }

    fn plain(&mut self, name: &str, offset: usize) -> String {
        self.lookup.get(name).unwrap_or_else(|| {
            self.unset.push((name.to_owned(), offset));
            String::new()
        })
    }

    /// What stands between the braces.
    fn braced(&mut self, inner: &str, offset: usize, depth: usize) -> Result<String, Problem> {
        let (name, rest) = inner.split_at(name_length(inner));
        let malformed =
            || Problem { offset, kind: ProblemKind::Malformed(format!("${{{}}}", first_line(inner))) };
        if name.is_empty() {
            return Err(malformed());
        }
        if rest.is_empty() {
            return Ok(self.plain(name, offset));
        }
        let (counts_empty, rest) = match rest.strip_prefix(':') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let value = self.lookup.get(name);
        let value = value.filter(|value| !counts_empty || !value.is_empty());
        let Some(operator) = rest.chars().next() else { return Err(malformed()) };
        let word = rest.get(operator.len_utf8()..).unwrap_or_default();
        // After `${`, the name and the operator.
        let base = offset + 2 + inner.len() - word.len();
        match (operator, value) {
            ('-', None) | ('+', Some(_)) => self.text(word, base, depth + 1),
            ('-' | '?', Some(value)) => Ok(value),
            ('+', None) => Ok(String::new()),
            ('?', None) => {
                let message = self.text(word, base, depth + 1)?;
                Err(Problem { offset, kind: ProblemKind::Required { name: name.to_owned(), message } })
            }
            _ => Err(malformed()),
        }
    }

    fn push(&mut self, out: &mut String, text: &str, offset: usize) -> Result<(), Problem> {
        let too_long = Problem { offset, kind: ProblemKind::TooLong };
        *self.budget = self.budget.checked_sub(text.len()).ok_or(too_long)?;
        out.push_str(text);
        Ok(())
    }
}

fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'A'..=b'Z' | b'a'..=b'z' | b'_') => {
            bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
        }
        _ => 0,
    }
}

/// The byte of the brace that closes one opened before `text`.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 1usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' if open == 1 => return Some(index),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `S` is `set`, `E` is empty, `N` is `n$S`; the rest is unset.
    fn run(template: &str) -> Result<Substituted, Problem> {
        let lookup = |name: &str| match name {
            "S" => Some("set".to_owned()),
            "E" => Some(String::new()),
            "N" => Some("n$S".to_owned()),
            _ => None,
        };
        substitute(template, &lookup, &mut 10_000)
    }

    #[test]
    fn every_form_gives_what_compose_gives() {
        for (template, text) in [
            ("plain", "plain"),
            ("$S", "set"),
            ("${S}", "set"),
            ("a${S}b$S.c", "asetbset.c"),
            ("$U|", "|"),
            ("${U:-d}", "d"),
            ("${E:-d}", "d"),
            ("${S:-d}", "set"),
            ("${U-d}", "d"),
            ("${E-d}", ""),
            ("${S:+a}", "a"),
            ("${E:+a}", ""),
            ("${U:+a}", ""),
            ("${S+a}", "a"),
            ("${E+a}", "a"),
            ("${U+a}", ""),
            ("${S:?m}", "set"),
            ("${E?m}", ""),
            ("$$", "$"),
            ("$$S", "$S"),
            ("$$$S", "$set"),
            ("${U:-a${S}b}c", "asetbc"),
            ("${U:-${V:-deep}}", "deep"),
            ("${U:-{}}", "{}"),
            ("${U:-a:b-c?d}", "a:b-c?d"),
            ("${U:-}", ""),
            ("${U:-a$$b}", "a$b"),
            ("$", "$"),
            ("$1", "$1"),
            ("$-", "$-"),
            ("100%$", "100%$"),
            ("$N", "n$S"),
            ("${U:-ä}", "ä"),
        ] {
            assert_eq!(run(template).map(|done| done.text), Ok(text.to_owned()), "{template}");
        }
    }

    #[test]
    fn what_is_not_of_the_grammar_is_an_error_at_its_dollar() {
        for (template, offset) in [
            ("${S:0:1}", 0),
            ("a ${S%t}", 2),
            ("${S!x}", 0),
            ("${ S }", 0),
            ("${S.x}", 0),
            ("${1}", 0),
            ("${}", 0),
            ("ä${S", 2),
            ("${S:}", 0),
            ("${U:-x${}}", 6),
        ] {
            let problem = run(template).map_err(|problem| (problem.offset, problem.kind));
            assert!(
                matches!(&problem, Err((at, ProblemKind::Malformed(_))) if *at == offset),
                "{template}: {problem:?}"
            );
        }
        for (template, name, message) in
            [("${U:?}", "U", ""), ("${U?say $S}", "U", "say set"), ("${E:?m}", "E", "m")]
        {
            let kind = ProblemKind::Required { name: name.to_owned(), message: message.to_owned() };
            assert_eq!(run(template), Err(Problem { offset: 0, kind }), "{template}");
        }
    }

    #[test]
    fn unset_names_are_told_but_not_those_of_unused_defaults() {
        let unset = |template| run(template).map(|done| done.unset);
        assert_eq!(unset("ab$U"), Ok(vec![("U".to_owned(), 2)]));
        assert_eq!(unset("${S:-$U}"), Ok(vec![]));
        assert_eq!(unset("${V:-$U}"), Ok(vec![("U".to_owned(), 5)]));
    }

    #[test]
    fn what_comes_out_is_bounded() {
        let lookup = |_: &str| Some("x".repeat(1000));
        let kind = substitute(&"$A".repeat(1000), &lookup, &mut 5000).map_err(|problem| problem.kind);
        assert_eq!(kind, Err(ProblemKind::TooLong));
        let deep = format!("{}{}", "${U:-".repeat(10_000), "}".repeat(10_000));
        assert!(run(&deep).is_err());
    }
}
