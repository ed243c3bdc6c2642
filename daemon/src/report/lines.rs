//! From chunks of bytes to lines of text.

/// Bytes of one line that are looked at.
const MAX_LINE: usize = 64 * 1024;

/// Puts the lines of one stream together, whatever the pieces it comes in.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// The last byte was a carriage return: the start of a line's end, or of a line written over this one.
    returned: bool,
}

impl Lines {
    /// Takes bytes, and gives each line that they complete, without colours and its end.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            if !text.is_empty() {
                if std::mem::take(&mut self.returned) {
                    self.line.clear();
                }
                let room = MAX_LINE - self.line.len();
                self.line.extend_from_slice(&text[..text.len().min(room)]);
            }
            match end {
                Some(b'\n') => self.end(&mut each),
                Some(_) => self.returned = true,
                None => {}
            }
        }
    }

    /// Gives the last line, if it has no end.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.end(&mut each);
        }
    }

    fn end(&mut self, each: &mut impl FnMut(&str)) {
        self.returned = false;
        if self.line.contains(&0x1b) {
            strip_escapes(&mut self.line);
        }
        each(&String::from_utf8_lossy(&self.line));
        self.line.clear();
    }
}

/// Removes terminal escape sequences: colours, cursor movements, titles, links.
fn strip_escapes(line: &mut Vec<u8>) {
    let mut kept = Vec::with_capacity(line.len());
    let mut bytes = line.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != 0x1b {
            kept.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'[') => while bytes.next().is_some_and(|byte| !(0x40..=0x7e).contains(&byte)) {},
            Some(b']') => {
                // Ended by BEL, or by ESC \.
                while let Some(byte) = bytes.next() {
                    if byte == 0x07 || (byte == 0x1b && bytes.next_if_eq(&b'\\').is_some()) {
                        break;
                    }
                }
            }
            Some(b'(' | b')') => {
                bytes.next();
            }
            _ => {}
        }
    }
    *line = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.feed(chunk, |line| seen.push(line.to_owned()));
        }
        lines.finish(|line| seen.push(line.to_owned()));
        seen
    }

    #[test]
    fn lines_are_what_a_terminal_would_show() {
        for (text, shown) in [
            (&b"a\nb"[..], &["a", "b"][..]),
            (b"a\r\nb\r\n", &["a", "b"]),
            (b"a\r\r\n\r\nb\n", &["a", "", "b"]),
            (b"10%\r50%\r100%\n", &["100%"]),
            (
                b"\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x1b\\link\x1b]8;;\x07 \x1b(Bok\x1b[K\n",
                &["red link ok"],
            ),
            (b"\xff\xfe ok \xc3\xa4\n", &["\u{fffd}\u{fffd} ok ä"]),
            (b"\x1b", &[""]),
            (b"", &[]),
        ] {
            assert_eq!(lines(&[text]), shown);
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            assert_eq!(lines(&bytes), shown, "byte by byte");
        }
    }

    #[test]
    fn a_huge_line_is_cut() {
        let huge = vec![b'x'; 10_000_000];
        let seen = lines(&[b"a\n", &huge, &huge, b"\nb\n"]);
        assert_eq!(seen.len(), 3);
        assert_eq!((seen[0].as_str(), seen[1].len(), seen[2].as_str()), ("a", MAX_LINE, "b"));
    }
}
