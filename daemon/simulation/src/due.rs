//! What is due, and whether it goes with devd when that goes.

use crate::engine::Work;
use crate::origins::{Made, Origin};
use devd_logic::{Event, Memory, Observed, OpError, OpId, Outcome};
use devd_proto::RunId;

/// Something that is due.
#[derive(Debug)]
pub(crate) enum Due {
    /// The engine does what it was asked for.
    Works(usize, Box<Work>),
    /// A process ends by itself.
    Exits(usize, String, u32),
    /// The engine's own health checks say something new.
    Checked(usize),
    /// devd is told something; the number is the content that it then knows of.
    Tell(usize, Event, u32),
    /// The compose file of a project is read.
    Reads(usize),
    /// The answer to a look that was begun when devd had been told so many events.
    Answer(usize, Box<Observed>, u64),
    /// A look gets no answer.
    NoAnswer(usize),
    /// An operation ends.
    Ends(usize, OpId, Result<(), OpError>),
    /// A run is in the history and has an environment.
    RunBegins(usize, RunId),
    /// A run ends.
    RunEnds(usize, RunId),
    /// The loop is told that a run has ended.
    RunTold(usize, RunId, Outcome),
    /// The files of a project were read after a start.
    FilesKnown(usize),
    /// What is to be remembered is on disk.
    Written(usize, Box<Memory>),
    /// What something was made from is on disk.
    Noted(usize, Made, Origin),
    /// devd gets time again.
    Awake,
    /// devd starts.
    Rise,
    /// The engine is there again.
    EngineBack,
}

impl Due {
    /// Whether it goes with devd.
    pub(crate) fn is_of_this_life(&self) -> bool {
        match self {
            Self::Works(..) | Self::Exits(..) | Self::Checked(_) | Self::Rise | Self::EngineBack => false,
            Self::Tell(..)
            | Self::Reads(_)
            | Self::Answer(..)
            | Self::NoAnswer(_)
            | Self::Ends(..)
            | Self::RunBegins(..)
            | Self::RunEnds(..)
            | Self::RunTold(..)
            | Self::FilesKnown(_)
            | Self::Written(..)
            | Self::Noted(..)
            | Self::Awake => true,
        }
    }
}
