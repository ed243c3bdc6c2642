//! The daemon's own log: to the journal where systemd keeps it, to files of bounded size when the terminal was left, else
//! to standard error.

use super::rotating::Rotating;
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Mutex;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The file in the state folder; older ones are beside it as `devdd.log.1` and so on.
pub const FILE: &str = "devdd.log";

/// Begins to log, by `RUST_LOG`; into `state_dir` when the terminal was left.
pub fn begin(state_dir: Option<&Path>) -> io::Result<()> {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let parsed = match wanted.as_str() {
        "" => Ok(Targets::new().with_default(LevelFilter::INFO)),
        wanted => wanted.parse::<Targets>(),
    };
    let filter =
        parsed.as_ref().map_or_else(|_| Targets::new().with_default(LevelFilter::INFO), Clone::clone);
    let builder = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_target(false);
    match state_dir {
        Some(dir) => {
            let file = Rotating::open(&dir.join(FILE))?;
            builder.with_ansi(false).with_writer(Mutex::new(file)).finish().with(filter).init();
        }
        None if is_journal(std::env::var("JOURNAL_STREAM").ok().as_deref()) => {
            let builder = builder.with_ansi(false).with_writer(io::stderr);
            builder.event_format(Prioritised::default()).finish().with(filter).init();
        }
        None => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colour).with_writer(io::stderr).finish().with(filter).init();
        }
    }
    if let Err(error) = parsed {
        tracing::warn!(%error, "RUST_LOG is not understood: write it like `info` or `warn,devdd=debug`");
    }
    Ok(())
}

/// Whether standard error is the stream to the journal that `JOURNAL_STREAM` names as `device:inode`: whoever was started
/// by somebody under systemd inherits the variable, but not that stream.
fn is_journal(stream: Option<&str>) -> bool {
    let found = rustix::fs::fstat(io::stderr().as_fd());
    let (Some(stream), Ok(found)) = (stream, found) else { return false };
    stream == format!("{}:{}", found.st_dev, found.st_ino)
}

/// Lines as the journal takes them from a stream: the priority first. The journal knows the time itself.
#[derive(Debug)]
struct Prioritised(Format<tracing_subscriber::fmt::format::Full, ()>);

impl Default for Prioritised {
    fn default() -> Self {
        Self(Format::default().without_time().with_level(false).with_target(false).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Prioritised
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// As syslog numbers them.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, PoisonError};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_journal_gets_a_priority_before_each_line_and_no_time() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(Prioritised::default())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(path = "/x", "cannot write");
            tracing::warn!("slow");
            tracing::info!("ready");
            tracing::debug!("looked");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "<3>cannot write path=\"/x\"\n<4>slow\n<6>ready\n<7>looked\n");
    }

    #[test]
    fn only_the_stream_that_is_named_is_the_journal() {
        let found = rustix::fs::fstat(io::stderr().as_fd()).unwrap();
        assert!(is_journal(Some(&format!("{}:{}", found.st_dev, found.st_ino))));
        assert!(!is_journal(Some("1:2")));
        assert!(!is_journal(Some("")));
        assert!(!is_journal(None));
    }
}
