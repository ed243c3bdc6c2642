use std::path::PathBuf;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::text;

/// What a service says to devd alone, under `x-devd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct XDevd {
    /// `None`: not said, so devd chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_change: Option<OnChange>,
    /// Folders and files watched besides the build context and the mounted sources. Absolute.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<PathBuf>,
    /// Patterns added to those of `.dockerignore`, `.gitignore` and the built-in list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Whether the process may be restarted inside its container.
    pub supervise: bool,
    /// `None`: `tests: false`, the service has none even if a test file lies in its folder.
    #[serde(serialize_with = "tests_or_false")]
    pub tests: Option<Tests>,
}

impl Default for XDevd {
    fn default() -> Self {
        Self {
            on_change: None,
            watch: Vec::new(),
            ignore: Vec::new(),
            supervise: true,
            tests: Some(Tests::default()),
        }
    }
}

impl XDevd {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a saved file does to its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnChange {
    Restart,
    Rebuild,
    None,
    /// A signal's name without `SIG`, or its number.
    Signal(String),
    /// A command run in the container.
    Exec(Vec<String>),
}

impl Serialize for OnChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Restart => serializer.serialize_str("restart"),
            Self::Rebuild => serializer.serialize_str("rebuild"),
            Self::None => serializer.serialize_str("none"),
            Self::Signal(name) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("signal", name)?;
                map.end()
            }
            Self::Exec(command) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("exec", command)?;
                map.end()
            }
        }
    }
}

/// Where a service's tests are, and how they are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tests {
    /// The compose file of the tests, as written: relative to the service's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A service of that file, or of the root file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Run at every save.
    pub on_change: bool,
    #[serde(serialize_with = "text::plain_duration")]
    pub timeout: Duration,
    /// Environments kept warm; 0 turns it off.
    pub pool: u32,
    /// A JUnit file or a pattern for several, inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// What brings the dependencies of the tests into the state that the tests expect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare: Option<Prepare>,
}

/// A command run in a container of the tests' own, once their dependencies are ready: migrations, fixtures. What it
/// leaves in the dependencies is kept and used again for as long as nothing that it depends on changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepare {
    pub command: Vec<String>,
    /// Absolute paths of the files and folders whose change makes it run anew. Empty: those that look like it.
    pub files: Vec<PathBuf>,
}

impl Serialize for Prepare {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.files.is_empty() {
            return self.command.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("command", &self.command)?;
        map.serialize_entry("files", &self.files)?;
        map.end()
    }
}

impl Default for Tests {
    fn default() -> Self {
        Self {
            file: None,
            service: None,
            on_change: true,
            timeout: Duration::from_secs(600),
            pool: 1,
            report: None,
            prepare: None,
        }
    }
}

fn tests_or_false<S: Serializer>(tests: &Option<Tests>, serializer: S) -> Result<S::Ok, S::Error> {
    match tests {
        Some(tests) => tests.serialize(serializer),
        None => serializer.serialize_bool(false),
    }
}
