//! `develop`: what the compose specification says about changes on the disk.

use crate::model::{Develop, WatchAction, WatchExec, WatchRule};
use crate::node::Node;

use super::{Keys, Reader};

const DEVELOP: Keys = Keys { known: &["watch"], later: &[] };
const RULE: Keys =
    Keys { known: &["path", "action", "target", "ignore", "include", "exec", "initial_sync"], later: &[] };
const EXEC: Keys =
    Keys { known: &["command", "user", "privileged", "working_dir", "environment"], later: &[] };
const ACTIONS: [(&str, WatchAction); 5] = [
    ("sync", WatchAction::Sync),
    ("rebuild", WatchAction::Rebuild),
    ("restart", WatchAction::Restart),
    ("sync+restart", WatchAction::SyncRestart),
    ("sync+exec", WatchAction::SyncExec),
];

impl Reader<'_> {
    pub(super) fn develop(&mut self, node: &Node) -> Option<Develop> {
        if node.is_null() {
            return None;
        }
        let mut out = Develop::default();
        self.map(node, &DEVELOP, |reader, _, entry| {
            reader.each_item(&entry.value, |reader, item| out.watch.extend(reader.watch_rule(item)));
        });
        Some(out)
    }

    fn watch_rule(&mut self, node: &Node) -> Option<WatchRule> {
        let (mut path, mut action, mut target, mut exec) = (None, None, None, None);
        let (mut ignore, mut include, mut initial_sync) = (Vec::new(), Vec::new(), false);
        self.map(node, &RULE, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "path" => path = reader.word(value),
                "action" => action = reader.choice(value, &ACTIONS),
                "target" => target = reader.word(value),
                "ignore" => ignore = reader.string_or_list(value),
                "include" => include = reader.string_or_list(value),
                "exec" => exec = Some(reader.watch_exec(value)),
                _ => initial_sync = reader.flag(value).unwrap_or(false),
            }
        });
        let mut required = vec!["path", "action"];
        match action {
            Some(WatchAction::Sync | WatchAction::SyncRestart) => required.push("target"),
            Some(WatchAction::SyncExec) => required.extend(["target", "exec"]),
            Some(WatchAction::Rebuild | WatchAction::Restart) | None => {}
        }
        let mut complete = true;
        for key in required {
            if node.get(key).is_none() {
                complete = false;
                self.error("missing-key", node.place, format!("`{key}` is missing in this watch rule"));
            }
        }
        let (path, action) = (self.resolve(&path?), action?);
        let span = self.context.span(node.place);
        complete.then_some(WatchRule { path, action, target, ignore, include, exec, initial_sync, span })
    }

    fn watch_exec(&mut self, node: &Node) -> WatchExec {
        let mut out = WatchExec::default();
        self.map(node, &EXEC, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "command" => out.command = reader.command(value).unwrap_or_default(),
                "user" => out.user = reader.word(value),
                "privileged" => out.privileged = reader.flag(value).unwrap_or(false),
                "working_dir" => out.working_dir = reader.word(value),
                _ => out.environment = reader.environment(value),
            }
        });
        if out.command.is_empty() {
            self.error("missing-key", node.place, "`command` is missing: what to run");
        }
        out
    }
}
