//! pytest.

use super::Format;
use super::found::{Failed, Found, keep};
use super::text::{Sessions, add, count_and_word, python_frame};
use std::collections::VecDeque;

/// Reads pytest's terminal report.
#[derive(Debug, Default)]
pub(super) struct Pytest {
    sessions: Sessions,
    section: Section,
    /// The folder that test ids are relative to.
    root: Option<String>,
    /// What failed, as shown at length.
    blocks: VecDeque<Block>,
    /// What failed, as listed at the end.
    listed: Vec<Failed>,
    total: Option<Found>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Section {
    #[default]
    None,
    /// `FAILURES` and `ERRORS`, before the first heading in them.
    Heading,
    /// Under the heading of a test.
    Block,
    /// Output that was captured with a test.
    Captured,
    /// `short test summary info`.
    List,
}

/// One traceback with its heading.
#[derive(Debug)]
struct Block {
    title: String,
    failure: Failed,
    /// How far the message is indented.
    indent: Option<usize>,
}

impl Format for Pytest {
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        let title = bar_title(line);
        if title == Some("test session starts") {
            self.sessions.begin();
            return;
        }
        if let Some(found) = summary(title.unwrap_or(line)) {
            let outer = if title.is_some() { self.sessions.end() } else { self.sessions.end_unannounced() };
            if outer {
                self.end(found);
            }
            return;
        }
        if self.sessions.nested() {
            return;
        }
        if let Some(title) = title {
            self.section = match title {
                "FAILURES" | "ERRORS" => Section::Heading,
                "short test summary info" => Section::List,
                _ => Section::None,
            };
            return;
        }
        match self.section {
            Section::None => {
                if let Some(root) = line.strip_prefix("rootdir: ") {
                    self.root = Some(root.split(", ").next().unwrap_or(root).to_owned());
                }
            }
            Section::Heading | Section::Block | Section::Captured => self.block_line(line),
            Section::List => self.list_line(line),
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        self.total.filter(|_| self.sessions.certain())
    }
}

impl Pytest {
    fn block_line(&mut self, line: &str) {
        if let Some(title) = block_title(line) {
            self.section = Section::Block;
            if self.blocks.len() < super::found::MAX_FAILURES {
                let failure = Failed::new(title);
                self.blocks.push_back(Block { title: title.to_owned(), failure, indent: None });
            }
        } else if line.starts_with("-----") && line.contains(" Captured ") {
            self.section = Section::Captured;
        } else if self.section == Section::Block
            && let Some(block) = self.blocks.back_mut()
        {
            block.line(line);
        }
    }

    fn list_line(&mut self, line: &str) {
        let Some((word, rest)) = line.split_once(' ') else { return };
        if !matches!(word, "FAILED" | "ERROR") && !word.starts_with("SUBFAILED") {
            return;
        }
        let (id, message) = split_id(rest);
        let (path, test) = id.split_once("::").unwrap_or((id, ""));
        let title = match (test, word) {
            ("", _) => format!("ERROR collecting {path}"),
            (test, "ERROR") => format!(" of {}", test.replace("::", ".")),
            // `SUBFAILED(i=1)`, with the heading `test (i=1)`.
            (test, word) => match word.strip_prefix("SUBFAILED") {
                Some(sub) => format!("{} {sub}", test.replace("::", ".")),
                None => test.replace("::", "."),
            },
        };
        let fits = |block: &Block| match title.strip_prefix(' ') {
            Some(_) => block.title.starts_with("ERROR at ") && block.title.ends_with(&title),
            None => block.title.trim_matches('_') == title.trim_matches('_'),
        };
        let mut failure = match self.blocks.iter().position(fits).and_then(|index| self.blocks.remove(index))
        {
            Some(block) => block.failure,
            None => Failed::default(),
        };
        failure.name = Failed::new(id).name;
        if failure.message.is_empty() {
            failure.say(message);
        }
        failure.outer_place(path, None);
        if let Some(root) = &self.root {
            failure.outer_place(&format!("{root}/{path}"), None);
        }
        keep(&mut self.listed, failure);
    }

    fn end(&mut self, mut found: Found) {
        let blocks = std::mem::take(&mut self.blocks).into_iter().map(|block| block.failure);
        let mut failures = std::mem::take(&mut self.listed);
        if failures.is_empty() {
            failures = blocks.collect();
        }
        // More than failed: some of it is what a test printed.
        if failures.len() <= found.failed.unwrap_or(0) as usize {
            found.failures = failures;
        }
        self.section = Section::None;
        self.root = None;
        self.total = Some(match self.total.take() {
            None => found,
            Some(mut total) => {
                total.passed = add(total.passed, found.passed);
                total.failed = add(total.failed, found.failed);
                total.skipped = add(total.skipped, found.skipped);
                found.failures.into_iter().for_each(|failure| keep(&mut total.failures, failure));
                total
            }
        });
    }
}

impl Block {
    fn line(&mut self, line: &str) {
        if let Some(text) = line.strip_prefix('E').filter(|text| text.is_empty() || text.starts_with(' ')) {
            let own = text.len() - text.trim_start().len();
            let indent = *self.indent.get_or_insert(own);
            // The first line may be indented by other characters than this one.
            self.failure.say(&text[text.floor_char_boundary(indent.min(own))..]);
        } else if let Some((path, number)) = python_frame(line).or_else(|| place(line)) {
            self.failure.place(path, Some(number));
        }
    }
}

/// The title in `==== title ====`.
fn bar_title(line: &str) -> Option<&str> {
    let title = line.strip_prefix('=')?.strip_suffix('=')?.trim_matches('=');
    let title = title.strip_prefix(' ')?.strip_suffix(' ')?;
    (!title.is_empty()).then_some(title)
}

/// The title in `____ title ____`; lines of `_ _ _` stand between the frames of a traceback.
fn block_title(line: &str) -> Option<&str> {
    let title = line.strip_prefix('_')?.strip_suffix('_')?.trim_start_matches('_').trim_end_matches('_');
    let title = title.strip_prefix(' ')?.strip_suffix(' ')?;
    (!title.trim_matches(['_', ' ']).is_empty()).then_some(title)
}

/// The place in `path:12: AssertionError`, `path:12: in f`, `path:12: `.
fn place(line: &str) -> Option<(&str, u32)> {
    let (path, rest) = line.split_once(':')?;
    let (number, rest) = rest.split_once(':')?;
    let plain =
        !path.is_empty() && !path.starts_with([' ', '>', '\t']) && (rest.is_empty() || rest.starts_with(' '));
    plain.then(|| Some((path, number.parse().ok()?)))?
}

/// Splits `id - message`; the brackets of a parametrised test may hold anything.
fn split_id(text: &str) -> (&str, &str) {
    let bracket = text.find('[').filter(|at| text.find(" - ").is_some_and(|dash| *at < dash));
    let from = bracket.and_then(|_| text.find("] - ")).map_or(0, |at| at + 1);
    match text[from..].find(" - ") {
        Some(at) => (&text[..from + at], &text[from + at + 3..]),
        None => (text, ""),
    }
}

/// Reads `1 failed, 4 passed, 2 skipped in 0.12s`.
fn summary(text: &str) -> Option<Found> {
    let (counts, time) = text.rsplit_once(" in ")?;
    let seconds = time.split_once(" (").map_or(time, |(seconds, _)| seconds);
    let number = seconds.strip_suffix('s')?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let mut said = false;
    for part in counts.split(", ") {
        if part == "no tests ran" {
            said = true;
            continue;
        }
        let (number, word) = count_and_word(part)?;
        match word {
            "passed" | "xpassed" => passed += number,
            "failed" | "error" | "errors" => failed += number,
            "skipped" | "xfailed" => skipped += number,
            "warning" | "warnings" | "deselected" | "rerun" | "reruns" | "subtests passed"
            | "subtests skipped" | "subtests xfailed" => {}
            _ => return None,
        }
        said = true;
    }
    said.then_some(Found {
        passed: Some(passed),
        failed: Some(failed),
        skipped: Some(skipped),
        failures: Vec::new(),
    })
}
