//! What somebody else does to a service through the engine: `docker stop`, `docker compose down`.
//!
//! That is a wish, and not a death to mend: whoever stops a service means it. It holds until the user asks devd for the
//! service, or somebody starts it again. A process that was killed (`docker kill`) has died all the same.

use crate::{ContainerState, Moment};

/// How long after a signal that ends processes an exit is put down to it. Docker's own grace period is ten seconds.
const GRACE: Moment = Moment::from_secs(15);

/// How long after such an exit nothing is done: whoever stopped it will have said so by then.
const WORD: Moment = Moment::from_secs(2);

/// Who did what, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside {
    /// When its process was told to end.
    told: Option<Moment>,
    /// It is said to have been stopped; the next look shows whether it still is.
    said: bool,
    /// It was stopped so, and is.
    stopped: bool,
}

impl Outside {
    /// Somebody sent its process a signal that ends processes.
    pub(crate) fn tells(&mut self, now: Moment) {
        self.told = Some(now);
    }

    /// Somebody stopped it.
    pub(crate) fn says(&mut self) {
        self.said = true;
    }

    /// When an exit that is seen now may be mended, if somebody else may have caused it.
    pub(crate) fn wait_for_word(&self, now: Moment) -> Option<Moment> {
        self.told.filter(|told| now < *told + GRACE).map(|_| now + WORD)
    }

    /// Whether it was stopped so.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// A look that began after all that was said shows its container so: whether it is stopped by somebody else from now
    /// on (`Some(true)`), or not any more.
    pub(crate) fn looked(&mut self, container: Option<ContainerState>) -> Option<bool> {
        let up = matches!(
            container,
            Some(ContainerState::Running | ContainerState::Restarting | ContainerState::Paused)
        );
        let said = std::mem::take(&mut self.said);
        let before = self.stopped;
        self.stopped = !up && (said || before);
        if up && before {
            self.told = None;
        }
        (self.stopped != before).then_some(self.stopped)
    }
}
