//! What takes the place of traces where they are not built.

use crate::clock::Clock;
use devd_logic::Moment;
use devd_proto::{ProjectName, Run, ServiceName};
use std::future::{Future, ready};

/// Traces go nowhere.
#[derive(Clone, Debug, Default)]
pub struct Traces {}

impl Traces {
    /// There is nowhere to send them.
    pub fn begin() -> Self {
        Self {}
    }

    /// A save that is not traced.
    pub fn save(&self, _project: &ProjectName, _service: &ServiceName, _clock: Clock, _at: Moment) -> Trace {
        Trace {}
    }

    /// There is nothing left to send.
    pub fn close(&self) -> impl Future<Output = ()> {
        ready(())
    }
}

/// No trace of a save.
#[derive(Clone, Debug, Default)]
pub struct Trace {}

impl Trace {
    /// So many files more belong to it, one of them this.
    pub fn files(&self, _path: &str, _count: usize) {}

    /// It is known what is done about it.
    pub fn decided(&self, _at: Moment) {}

    /// An operation has ended, and whether it did what it was to do.
    pub fn operation(&self, _name: &'static str, _from: Moment, _to: Moment, _done: bool) {}

    /// A run has ended, whose stages count from `event`.
    pub fn tests(&self, _run: &Run, _event: Moment) {}
}
