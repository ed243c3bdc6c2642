//! Bad luck, as whoever simulates decides it: when an operation is done, and what is said of it.

use super::Fake;
use crate::engine::EngineError;
use std::time::Duration;

/// What becomes of what is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Befalls {
    /// It is done.
    #[default]
    Well,
    /// Nothing is done, and that is said.
    Refused,
    /// It is done, and reported as refused.
    DoneButRefused,
    /// Nothing is done, and there is no answer.
    Unreachable,
    /// It is done, and the answer is lost.
    DoneButUnreachable,
}

/// What befalls one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How long until it is done.
    pub before: Duration,
    /// How long until that is said.
    pub after: Duration,
    /// What becomes of it.
    pub befalls: Befalls,
}

impl Fault {
    pub(super) fn is_done(self) -> bool {
        matches!(self.befalls, Befalls::Well | Befalls::DoneButRefused | Befalls::DoneButUnreachable)
    }

    /// What is said of it in the end.
    pub(super) fn result(self) -> Result<(), EngineError> {
        match self.befalls {
            Befalls::Well => Ok(()),
            Befalls::Refused | Befalls::DoneButRefused => Err(EngineError::Refused("bad luck".to_owned())),
            Befalls::Unreachable | Befalls::DoneButUnreachable => {
                Err(EngineError::Unreachable("bad luck".to_owned()))
            }
        }
    }
}

type Decide = Box<dyn FnMut(&str) -> Fault + Send>;

/// Who decides.
#[derive(Default)]
pub(super) struct Faults(Option<Decide>);

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Faults").field(&self.0.is_some()).finish()
    }
}

impl Fake {
    /// From now on this decides what befalls each request: `observe shop`, `start shop-api-1`, …
    pub fn decide(&self, decide: impl FnMut(&str) -> Fault + Send + 'static) {
        self.world().faults = Faults(Some(Box::new(decide)));
    }

    /// What befalls a request that usually takes so long.
    pub(super) fn fault(&self, line: &str, usual: Duration) -> Fault {
        let usual = Fault { before: usual, after: Duration::ZERO, befalls: Befalls::Well };
        self.world().faults.0.as_mut().map_or(usual, |decide| decide(line))
    }
}
