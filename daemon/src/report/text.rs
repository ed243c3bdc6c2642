//! Small readings that several formats share.

/// Tests in one count that are believed: what is more is nonsense, and the sums of a line's nonsense would overflow.
const MAX_COUNT: u32 = 500_000;

/// Reads a number of tests.
pub(super) fn count(text: &str) -> Option<u32> {
    text.parse().ok().filter(|count| *count <= MAX_COUNT)
}

/// Splits `4 passed` or `1 error` into number and word.
pub(super) fn count_and_word(text: &str) -> Option<(u32, &str)> {
    let (number, word) = text.trim().split_once(' ')?;
    Some((count(number)?, word.trim()))
}

/// Splits `path:12` or `path:12:5`.
pub(super) fn path_line(text: &str) -> Option<(&str, u32)> {
    let (rest, last) = text.trim().rsplit_once(':')?;
    let last: u32 = last.parse().ok()?;
    match rest.rsplit_once(':').and_then(|(path, line)| Some((path, line.parse().ok()?))) {
        Some((path, line)) if !path.is_empty() => Some((path, line)),
        _ => (!rest.is_empty()).then_some((rest, last)),
    }
}

/// The place in a line of a JavaScript stack: `at f (path:12:5)`, `at path:12:5`, `f (path:12:5)`.
pub(super) fn js_frame(line: &str) -> Option<(&str, u32)> {
    let line = line.trim();
    let inside = match line.rsplit_once('(') {
        Some((_, inside)) => inside.split_once(')')?.0,
        None => {
            let place = line.strip_prefix("at ")?;
            place.strip_prefix("async ").unwrap_or(place)
        }
    };
    path_line(inside)
}

/// The place in a line of a Python traceback: `File "path", line 12, in f`.
pub(super) fn python_frame(line: &str) -> Option<(&str, u32)> {
    let (path, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((path, digits.parse().ok()?))
}

/// Whether a text is a duration such as `0.12s`, `12ms`, `3 s`.
pub(super) fn is_duration(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    unit.len() < text.len() && matches!(unit.trim(), "ms" | "s" | "m" | "h")
}

/// The sum of counts, none if any is unknown.
pub(super) fn add(left: Option<u32>, right: Option<u32>) -> Option<u32> {
    left?.checked_add(right?)
}

/// Tells a runner's own summaries from those that its tests printed, because they run the same runner.
///
/// What is inside of a session is not counted. Where beginnings and ends do not fit together, nothing is certain.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: u32,
    began: bool,
    unannounced: u32,
    odd: bool,
}

impl Sessions {
    /// A session began.
    pub(super) fn begin(&mut self) {
        self.began = true;
        self.open += 1;
    }

    /// A session that announced itself ended. True if it was not inside of another.
    pub(super) fn end(&mut self) -> bool {
        match self.open.checked_sub(1) {
            Some(open) => {
                self.open = open;
                open == 0
            }
            None => self.end_unannounced(),
        }
    }

    /// A session ended of a kind that does not say when it begins. True if it was not inside of another.
    pub(super) fn end_unannounced(&mut self) -> bool {
        if self.open > 0 {
            return false;
        }
        self.unannounced += 1;
        // With others around it may have been around them: nobody can tell.
        self.odd |= self.began || self.unannounced > 1;
        true
    }

    /// Inside of a session that is inside of another.
    pub(super) fn nested(&self) -> bool {
        self.open > 1
    }

    /// Whether sessions ended, and all that began did.
    pub(super) fn certain(&self) -> bool {
        !self.odd && self.open == 0 && (self.began || self.unannounced > 0)
    }
}
