//! Ctrl-C, and a polite kill.

use crate::error::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end a wait.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Error> {
        let interrupt = listen(SignalKind::interrupt())?;
        let terminate = listen(SignalKind::terminate())?;
        Ok(Self { interrupt, terminate, hangup: None })
    }

    /// Also a terminal that goes away. Only for who must put something back in order: `nohup` relies on the rest.
    pub(crate) fn with_hangup() -> Result<Self, Error> {
        Ok(Self { hangup: Some(listen(SignalKind::hangup())?), ..Self::new()? })
    }

    /// Waits for one of them and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = hangup => SignalKind::hangup().as_raw_value(),
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Error> {
    signal(kind).map_err(|error| Error::local(format!("cannot listen for signals: {error}")))
}

/// Does the work unless a signal comes first.
pub(crate) async fn guard<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut signals = Signals::new()?;
    tokio::select! {
        outcome = work => outcome,
        number = signals.next() => Err(Error::Interrupted(number)),
    }
}
