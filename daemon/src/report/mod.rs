//! What test runners print, as results.
//!
//! [`Parser`] is fed with the output as it comes and asked once, at the end. It knows runners by what they print and not
//! by the command that started them. What it says is never a guess: where the output does not tell for certain, the
//! count is `None`, and where two runners seem to have spoken there is no result at all.
//!
//! Across runners the words mean the same. *Failed* is everything that makes the runner fail: failures, errors, tests that
//! passed against expectation where that fails the run. *Skipped* are tests that did not run and those that failed as
//! expected, as in JUnit reports. *Passed* is the rest.
//!
//! A new format is a file with a `Format`, a line in `formats`, and a sample in `samples`.

mod cargo;
mod found;
mod go;
mod go_json;
mod jest;
mod junit;
mod lines;
mod minitest;
mod mocha;
mod nextest;
mod node;
mod paths;
mod phpunit;
mod pytest;
mod rspec;
mod tap;
#[cfg(test)]
mod tests;
mod text;
mod unittest;
mod vitest;

pub use junit::junit;
pub use paths::PathMap;

use devd_proto::{Stream, TestFailure};
use found::Found;
use lines::Lines;
use std::fmt::Debug;

/// The results of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Tests that passed.
    pub passed: Option<u32>,
    /// Tests that failed.
    pub failed: Option<u32>,
    /// Tests that were skipped.
    pub skipped: Option<u32>,
    /// The tests that failed, in the runner's order; at most 200.
    pub failures: Vec<TestFailure>,
}

/// Reads results from the output of a run. Its memory is bounded, however much is fed.
#[derive(Debug)]
pub struct Parser {
    stdout: Reader,
    stderr: Reader,
}

impl Parser {
    /// A parser that has seen nothing.
    pub fn new() -> Self {
        Self { stdout: Reader::new(), stderr: Reader::new() }
    }

    /// Takes the next bytes of one of the streams, in pieces of any size.
    pub fn feed(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.feed(bytes),
            Stream::Stderr => self.stderr.feed(bytes),
        }
    }

    /// What the output said, with files as the host knows them. `None` if it was no runner's that is known here.
    pub fn finish(self, paths: &PathMap) -> Option<Summary> {
        let mut found = self.stdout.finish();
        found.extend(self.stderr.finish());
        // Two runners one after the other, or one that shows the other's output: the sum may be wrong.
        match <[Found; 1]>::try_from(found) {
            Ok([found]) => Some(found.resolve(paths)),
            Err(_) => None,
        }
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads one runner's output, line by line.
trait Format: Debug + Send {
    /// Takes the next line of a stream, without colours.
    fn line(&mut self, line: &str);

    /// What it found; `None` if that was not this runner.
    fn finish(self: Box<Self>) -> Option<Found>;
}

fn formats() -> Vec<Box<dyn Format>> {
    vec![
        Box::<unittest::Unittest>::default(),
        Box::<pytest::Pytest>::default(),
        Box::<cargo::Cargo>::default(),
        Box::<nextest::Nextest>::default(),
        Box::<go::Go>::default(),
        Box::<go_json::GoJson>::default(),
        Box::<jest::Jest>::default(),
        Box::<vitest::Vitest>::default(),
        Box::<mocha::Mocha>::default(),
        Box::<node::Node>::default(),
        Box::<tap::Tap>::default(),
        Box::<rspec::Rspec>::default(),
        Box::<minitest::Minitest>::default(),
        Box::<phpunit::Phpunit>::default(),
    ]
}

/// One stream. Each has formats of its own: what the other writes in between does not tear a block apart.
#[derive(Debug)]
struct Reader {
    lines: Lines,
    formats: Vec<Box<dyn Format>>,
}

impl Reader {
    fn new() -> Self {
        Self { lines: Lines::default(), formats: formats() }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let formats = &mut self.formats;
        self.lines.feed(bytes, |line| formats.iter_mut().for_each(|format| format.line(line)));
    }

    fn finish(mut self) -> Vec<Found> {
        let formats = &mut self.formats;
        self.lines.finish(|line| formats.iter_mut().for_each(|format| format.line(line)));
        self.formats.into_iter().filter_map(Format::finish).collect()
    }
}
