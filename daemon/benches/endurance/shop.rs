//! The project that is under load: services that are saved to and tested, and others that nobody touches.
//!
//! What the tests of a service say follows from its files alone: each save writes a verdict and a number, and the tests
//! say the newest of them. So everybody can tell which verdict is right, and whether a run saw what it was to see.

use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Services that are saved to and tested; the tests of `two` need a database.
pub(crate) const TESTED: [&str; 2] = ["one", "two"];
/// Services that nothing happens to.
pub(crate) const STILL: [&str; 2] = ["still", "db"];
/// Ends by itself, once.
pub(crate) const ONCE: &str = "once";
/// The user stopped it.
pub(crate) const OFF: &str = "off";
/// Files of a service that are saved in turn: one that changes after each run looks like tests that write it.
const FILES: [&str; 4] = ["a", "b", "c", "d"];

const COMPOSE: &str = "services:
  one:
    image: busybox:1
    command: sh /app/serve.sh
    stop_signal: KILL
    volumes: ['./one/app:/app']
    depends_on: [db]
    x-devd: {tests: {file: one/tests.yaml, timeout: 30s}}
  two:
    image: busybox:1
    command: sh /app/serve.sh
    stop_signal: KILL
    volumes: ['./two/app:/app']
    x-devd: {tests: {file: two/tests.yaml, timeout: 30s}}
  still:
    image: busybox:1
    command: sh /app/serve.sh
    stop_signal: KILL
    volumes: ['./still/app:/app']
    ports: ['18080:80']
  db:
    image: redis:7
    volumes: ['data:/data']
  once:
    image: busybox:1
    command: 'true'
  off:
    image: busybox:1
    command: sleep 1000000
    stop_signal: KILL
volumes: {data: }
";
const TESTS: &str = "services:
  tests:
    image: busybox:1
    command: sh /app/check.sh
    volumes: ['./app:/app']
";
const DATABASE: &str = "    depends_on: [db]
  db:
    image: redis:7
";
const SERVE: &str = "exec sleep 1000000\n";
/// The newest save decides.
const CHECK: &str = "set -- $(cat /app/a /app/b /app/c /app/d | sort -n | tail -n 1)
echo \"tested $1\"
sleep 0.05
[ \"$2\" = pass ]
";
/// Without its database the tests say nothing of the code.
const PING: &str = "printf 'PING\\r\\n' | nc -w 5 db 6379 | grep -q PONG || { echo no database; exit 7; }\n";

/// What the files of a service say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) number: u64,
    pub(crate) passes: bool,
    /// A save is under way.
    writing: bool,
}

impl Content {
    /// The state of the tests that is right for it.
    pub(crate) fn verdict(self) -> &'static str {
        if self.passes { "passed" } else { "failed" }
    }
}

#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) root: PathBuf,
    pub(crate) name: String,
    contents: Mutex<BTreeMap<&'static str, Content>>,
}

impl Shop {
    pub(crate) fn new(folder: &Path) -> anyhow::Result<Self> {
        let name = "torture".to_owned();
        let root = folder.join("projects").join(&name);
        let this = Self { root, name, contents: Mutex::default() };
        this.write("compose.yaml", COMPOSE)?;
        this.write("still/app/serve.sh", SERVE)?;
        for service in TESTED {
            this.write(&format!("{service}/app/serve.sh"), SERVE)?;
            for file in FILES {
                this.write(&format!("{service}/app/{file}"), "0 pass\n")?;
            }
            let (tests, ping) = if service == "two" { (DATABASE, PING) } else { ("", "") };
            this.write(&format!("{service}/tests.yaml"), &format!("{TESTS}{tests}"))?;
            this.write(&format!("{service}/app/check.sh"), &format!("{ping}{CHECK}"))?;
            this.contents().insert(service, Content { number: 0, passes: true, writing: false });
        }
        Ok(this)
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    }

    fn contents(&self) -> MutexGuard<'_, BTreeMap<&'static str, Content>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a service's files say; nothing while they are being written.
    pub(crate) fn content(&self, service: &str) -> Option<Content> {
        self.contents().get(service).copied().filter(|content| !content.writing)
    }

    /// Saves to a service, by a new file in the old one's place or into it; the file.
    pub(crate) fn save(
        &self,
        service: &'static str,
        passes: bool,
        replaces: bool,
    ) -> anyhow::Result<PathBuf> {
        let number = {
            let mut contents = self.contents();
            let content = contents.entry(service).or_default();
            *content = Content { number: content.number + 1, passes, writing: true };
            content.number
        };
        let file = FILES[usize::try_from(number)? % FILES.len()];
        let path = self.root.join(service).join("app").join(file);
        let text = format!("{number} {}\n", if passes { "pass" } else { "fail" });
        if replaces {
            let new = path.with_extension("new~");
            std::fs::write(&new, text)?;
            std::fs::rename(new, &path)?;
        } else {
            std::fs::write(&path, text)?;
        }
        self.contents().entry(service).or_default().writing = false;
        Ok(path)
    }
}
