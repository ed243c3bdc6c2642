//! A command line split into words as compose splits it: quotes and backslashes, but no shell.

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) words: Vec<String>,
    /// A shell operator at which compose silently stops.
    pub(super) cut_at: Option<char>,
}

pub(super) fn split(line: &str) -> Result<Split, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut cut_at = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let next = chars.next().ok_or("it ends with a backslash")?;
                word.get_or_insert_default().push(next);
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, Some(open)) if open == c => quote = None,
            (';' | '&' | '|' | '<' | '>', None) => {
                // `2>` is the operator, not a word and then the operator.
                let is_number = |text: &String| text.starts_with(|first: char| first.is_ascii_digit());
                if c == '>' && word.as_ref().is_some_and(is_number) {
                    word = None;
                }
                cut_at = Some(c);
                break;
            }
            (' ' | '\t' | '\r' | '\n', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(Split { words, cut_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_without_a_shell() {
        for (line, words) in [
            ("python -m unittest", vec!["python", "-m", "unittest"]),
            (" a  'b c' \"d 'e'\" ", vec!["a", "b c", "d 'e'"]),
            ("a\\ b '\\n' \"\\n\"", vec!["a b", "\\n", "n"]),
            ("a '' b", vec!["a", "", "b"]),
            ("echo $HOME #x", vec!["echo", "$HOME", "#x"]),
            ("x='a b'c", vec!["x=a bc"]),
            ("", vec![]),
        ] {
            let split = split(line).map(|split| (split.words, split.cut_at));
            assert_eq!(split, Ok((words.into_iter().map(str::to_owned).collect(), None)), "{line}");
        }
        assert_eq!(split("a && b").map(|split| (split.words.len(), split.cut_at)), Ok((1, Some('&'))));
        assert_eq!(split("a 2>x").map(|split| (split.words.len(), split.cut_at)), Ok((1, Some('>'))));
        assert!(split("a 'b").is_err());
        assert!(split("a\\").is_err());
    }
}
