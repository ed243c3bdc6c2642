//! `x-devd`: what a service says to devd alone.

use std::path::PathBuf;

use crate::model::{OnChange, Prepare, Tests, XDevd};
use crate::node::Node;

use super::{Keys, Reader};

const DEVD: &Keys = &["on_change", "watch", "ignore", "supervise", "tests"];
const ON_CHANGE: &Keys = &["signal", "exec"];
const TESTS: &Keys = &["file", "service", "on_change", "timeout", "pool", "report", "prepare"];
const PREPARE: &Keys = &["command", "files"];
/// Each warm environment is a set of running containers.
const MAX_POOL: u32 = 32;

impl Reader<'_> {
    pub(super) fn x_devd(&mut self, node: &Node) -> XDevd {
        let mut out = XDevd::default();
        self.map(node, DEVD, |reader, key, entry| {
            let value = &entry.value;
            match key {
                _ if value.is_null() => {}
                "on_change" => out.on_change = reader.on_change(value),
                "watch" => {
                    let paths = reader.string_or_list(value);
                    out.watch = paths.iter().map(|path| reader.resolve(path)).collect();
                }
                "ignore" => out.ignore = reader.string_or_list(value),
                "supervise" => out.supervise = reader.flag(value).unwrap_or(true),
                _ => out.tests = reader.tests(value),
            }
        });
        out
    }

    fn on_change(&mut self, node: &Node) -> Option<OnChange> {
        if node.as_map().is_none() {
            let text = self.text(node)?;
            let help = match text.as_str() {
                "restart" => return Some(OnChange::Restart),
                "rebuild" => return Some(OnChange::Rebuild),
                "none" => return Some(OnChange::None),
                "signal" => "say which: `on_change: {signal: HUP}`",
                "exec" => "say what: `on_change: {exec: [cmd, …]}`",
                _ => "known are restart, rebuild, none, {signal: HUP} and {exec: [cmd, …]}",
            };
            self.bad_value(node, "known here").help(help);
            return None;
        }
        let mut out = None;
        self.map(node, ON_CHANGE, |reader, key, entry| match key {
            "signal" => out = reader.signal(&entry.value).map(OnChange::Signal),
            _ => {
                out = reader.command(&entry.value).filter(|command| !command.is_empty()).map(OnChange::Exec);
                if out.is_none() {
                    reader.error("empty-value", entry.value.place, "`exec` has no command");
                }
            }
        });
        if node.get("signal").is_some() == node.get("exec").is_some() {
            self.error("wrong-value", node.place, "`on_change` takes one of `signal` and `exec`");
        }
        out
    }

    fn signal(&mut self, node: &Node) -> Option<String> {
        self.parsed(node, "a signal", |text| {
            let upper = text.to_ascii_uppercase();
            let name = upper.strip_prefix("SIG").unwrap_or(&upper);
            let well_formed = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '+' || c == '-');
            well_formed.then(|| name.to_owned())
        })
    }

    /// `None` turns the tests off.
    fn tests(&mut self, node: &Node) -> Option<Tests> {
        let mut out = Tests::default();
        if node.as_text().is_some() {
            return self.flag(node)?.then_some(out);
        }
        self.map(node, TESTS, |reader, key, entry| {
            let value = &entry.value;
            match key {
                _ if value.is_null() => {}
                "file" => out.file = reader.word(value).map(PathBuf::from),
                "service" => out.service = reader.word(value),
                "on_change" => out.on_change = reader.flag(value).unwrap_or(true),
                "timeout" => out.timeout = reader.duration(value).unwrap_or(out.timeout),
                "pool" => {
                    let wanted = format!("a number from 0 to {MAX_POOL}");
                    let pool =
                        reader.parsed(value, &wanted, |text| text.parse().ok().filter(|n| *n <= MAX_POOL));
                    out.pool = pool.unwrap_or(out.pool);
                }
                "report" => out.report = reader.word(value),
                _ => out.prepare = reader.prepare(value),
            }
        });
        Some(out)
    }

    /// A command, or a map that also names files.
    fn prepare(&mut self, node: &Node) -> Option<Prepare> {
        let (mut command, mut files) = (None, Vec::new());
        if node.as_map().is_none() {
            // Nothing to say about files.
            command = Some(self.command(node)?);
        } else {
            self.map(node, PREPARE, |reader, key, entry| match key {
                "command" => command = reader.command(&entry.value),
                _ => {
                    let paths = reader.string_or_list(&entry.value);
                    files = paths.iter().map(|path| reader.resolve(path)).collect();
                }
            });
        }
        // A command that cannot be read has been said to be one.
        let said = command.is_none() && node.get("command").is_some_and(|command| !command.value.is_null());
        let command = command.filter(|command| !command.is_empty());
        if command.is_none() && !said {
            self.error("empty-value", node.place, "`prepare` has no command")
                .help("give it one: `prepare: python manage.py migrate`");
        }
        Some(Prepare { command: command?, files })
    }
}
