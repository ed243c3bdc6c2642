//! Waiting for a project to be what was asked for, and showing how it gets there.

use crate::context::Context;
use crate::error::Error;
use crate::http::Client;
use crate::project;
use crate::render::progress;
use crate::ui::Ui;
use devd_proto::{ProjectName, ProjectStatus, What};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often the seconds on the screen are counted on. Nothing is asked for then.
const TICK: Duration = Duration::from_secs(1);

/// Waits until the request with this revision is done, one way or the other.
///
/// Shows every service; or those named, of which nothing is said until something happens to them.
pub(crate) async fn until_settled(
    context: &Context,
    client: &Client,
    project: &ProjectName,
    revision: u64,
    only: &[String],
) -> Result<ProjectStatus, Error> {
    // First listen, then look: whatever happens after the look is heard.
    let mut events = client.events(Some(project.as_str())).await?;
    let mut status = project::status(client, project).await?;
    let mut screen = Screen::new(&context.ui, only);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.reset();
    loop {
        screen.show(&status);
        if status.revision >= revision && status.settled {
            screen.clear();
            return Ok(status);
        }
        tokio::select! {
            event = events.next() => match event?.what {
                What::Status { status: new } if new.revision >= status.revision => status = *new,
                What::Lost { .. } => status = project::status(client, project).await?,
                What::Removed => return Err(removed(project)),
                What::Status { .. }
                | What::Service { .. }
                | What::Changed { .. }
                | What::RunStarted { .. }
                | What::RunFinished { .. } => {}
            },
            _ = tick.tick(), if screen.live => {}
        }
    }
}

fn removed(project: &ProjectName) -> Error {
    Error::local(format!("{project} was taken down while this command waited for it"))
}

/// The picture on the terminal, or the lines instead of one.
struct Screen<'a> {
    ui: &'a Ui,
    only: &'a [String],
    live: bool,
    drawn: usize,
    before: Option<ProjectStatus>,
}

impl<'a> Screen<'a> {
    fn new(ui: &'a Ui, only: &'a [String]) -> Self {
        Self { ui, only, live: ui.is_live_on_stderr(), drawn: 0, before: None }
    }

    fn show(&mut self, status: &ProjectStatus) {
        let mut status = status.clone();
        if !self.only.is_empty() {
            status.services.retain(|service| self.only.iter().any(|name| name == service.name.as_str()));
        }
        if self.live {
            let (columns, rows) = self.ui.size();
            let lines = progress::picture(&status, Timestamp::now(), columns, rows);
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            self.ui.draw(&format!("{}{text}", self.back()));
            self.drawn = lines.len();
        } else if !self.ui.json {
            if self.before.is_none() && !self.only.is_empty() {
                self.before = Some(progress::at_rest(&status));
            }
            for line in progress::changes(self.before.as_ref(), &status) {
                self.ui.note(&line);
            }
            self.before = Some(status);
        }
    }

    /// The picture goes: what comes after it says more.
    fn clear(&mut self) {
        let back = self.back();
        self.ui.draw(&back);
        self.drawn = 0;
    }

    /// Up to the picture's first line, and everything from there gone.
    fn back(&self) -> String {
        match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }
}
