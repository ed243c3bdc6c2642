//! What a user sets for all projects: `$DEVD_CONFIG`, else `config.toml` in devd's folder of `$XDG_CONFIG_HOME`.

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, de};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All settings. An empty file and none at all mean the same.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Test environments that stand ready.
    pub pool: Pool,
}

/// Test environments that stand ready.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// The memory that all of them may take: a part of the machine's (`"25%"`), or a size (`"2GiB"`).
    #[serde(deserialize_with = "memory")]
    pub memory: Memory,
    /// How long after the last sign of life they are kept.
    #[serde(deserialize_with = "duration")]
    pub idle: Duration,
}

impl Default for Pool {
    fn default() -> Self {
        Self { memory: Memory::Percent(25), idle: Duration::from_secs(15 * 60) }
    }
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Of the machine's.
    Percent(u64),
    /// In bytes.
    Bytes(u64),
}

impl Memory {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Percent(percent) => (total_memory() / 100).saturating_mul(percent),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Settings {
    /// Reads them.
    pub fn load(path: &Path) -> io::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        // The error says where and shows the line.
        toml::from_str(&text).map_err(|error| io::Error::other(error.to_string().trim_end().to_owned()))
    }
}

/// Where the settings are, by the environment of this process; none where there is no home folder.
pub fn path() -> io::Result<Option<PathBuf>> {
    if let Some(path) = std::env::var_os("DEVD_CONFIG").filter(|path| !path.is_empty()) {
        return devd_proto::paths::absolute(Path::new(&path)).map(Some);
    }
    let config = devd_proto::paths::xdg(&|name: &str| std::env::var_os(name), "XDG_CONFIG_HOME");
    let config = config.or_else(|| Some(etcetera::home_dir().ok()?.join(".config")));
    Ok(config.map(|config| config.join("devd/config.toml")))
}

fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Memory, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || {
        let expected = "a part of the machine's memory like \"25%\", or a size like \"2GiB\"";
        de::Error::invalid_value(de::Unexpected::Str(&text), &expected)
    };
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent = percent.trim().parse().ok().filter(|percent| *percent <= 100);
            percent.map(Memory::Percent).ok_or_else(wrong)
        }
        None => text.parse::<ByteSize>().map(|size| Memory::Bytes(size.as_u64())).map_err(|_| wrong()),
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|parsed| parsed.try_into().ok());
    let wrong = || de::Error::invalid_value(de::Unexpected::Str(&text), &"a duration like \"15m\"");
    parsed.ok_or_else(wrong)
}

#[cfg(target_os = "linux")]
fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(info.mem_unit.into())
}

/// Elsewhere containers live in a virtual machine, whose size is not the host's; this is what it usually has.
#[cfg(not(target_os = "linux"))]
fn total_memory() -> u64 {
    ByteSize::gib(8).as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Settings::load(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_read() {
        assert_eq!(Settings::load(Path::new("/no such file")).unwrap(), Settings::default());
        assert_eq!(parsed("").unwrap(), Settings::default());
        let set = parsed("[pool]\nmemory = \"2GiB\"\nidle = \"1h 30m\"\n").unwrap().pool;
        assert_eq!(set, Pool { memory: Memory::Bytes(2 << 30), idle: Duration::from_secs(5400) });
        assert_eq!(parsed("pool.memory = '10%'").unwrap().pool.memory, Memory::Percent(10));
        assert!(Memory::Percent(10).bytes() > 1 << 20);
    }

    /// Each is a file that some version of devd took; a new setting is a new file, and the old ones load for ever.
    #[test]
    fn settings_of_each_earlier_version_load() {
        let all = [(
            include_str!("settings/golden/1.toml"),
            Pool { memory: Memory::Percent(40), idle: Duration::from_secs(1800) },
        )];
        for (text, pool) in all {
            assert_eq!(parsed(text).unwrap(), Settings { pool });
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let wrong = |text| parsed(text).unwrap_err();
        assert!(wrong("pol.memory = '1%'").contains("unknown field `pol`"), "{}", wrong("pol.memory = '1%'"));
        for text in ["pool.memory = '101%'", "pool.memory = 'much'", "pool.idle = '-5m'", "pool.idle = 15"] {
            assert!(wrong(text).starts_with("TOML parse error at line 1, column"), "{}", wrong(text));
        }
    }
}
