//! What processes in containers say to the bench, and when: lines through a FIFO, which wake the bench at once.
//!
//! The clock is the bench's own, so what a mark shows is later than what it is about by one write and one wake-up.
//! That is the same for everybody, and a fraction of a millisecond.

use crate::events::PATIENCE;
use crate::guard;
use rustix::fs::{CWD, FileType, Mode};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// Where the FIFO is in a container that has the volume at `/marks`.
pub(crate) const PATH: &str = "/marks/fifo";

/// The FIFO and its volume.
#[derive(Debug)]
pub(crate) struct Marks {
    /// The volume that containers mount. One that is made for it by name is watched by nobody.
    pub(crate) volume: String,
    lines: Receiver<(Instant, String)>,
}

impl Marks {
    pub(crate) fn new(folder: &Path, suffix: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("fifo");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o666), 0)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
        // For both ends: it never ends, and writers never wait.
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        let volume = guard::name(&format!("{suffix}marks"));
        let device = format!("device={}", folder.display());
        let label = format!("{}={volume}", guard::LABEL);
        guard::docker(&[
            "volume",
            "create",
            "--label",
            &label,
            "--opt",
            "type=none",
            "--opt",
            "o=bind",
            "--opt",
            &device,
            &volume,
        ])?;
        Ok(Self { volume, lines })
    }

    /// Waits for a line; those before it are forgotten.
    pub(crate) fn until(&self, line: &str) -> anyhow::Result<Instant> {
        self.until_with(line).map(|(_, at)| at)
    }

    /// Waits for a line; also when the line before it came.
    pub(crate) fn until_with(&self, wanted: &str) -> anyhow::Result<(Option<Instant>, Instant)> {
        let mut before = None;
        loop {
            let (at, line) = self
                .lines
                .recv_timeout(PATIENCE)
                .map_err(|error| anyhow::anyhow!("no process wrote {wanted:?}: {error}"))?;
            if line == wanted {
                return Ok((before, at));
            }
            before = Some(at);
        }
    }
}
