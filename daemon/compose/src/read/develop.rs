//! `develop`: what the compose specification says about changes on the disk.

use crate::model::{Develop, WatchAction, WatchRule};
use crate::node::Node;

use super::{Keys, Reader};

const DEVELOP: &Keys = &["watch"];
const RULE: &Keys = &["path", "action", "target", "ignore", "include", "exec", "initial_sync"];
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
        self.map(node, DEVELOP, |reader, _, entry| {
            reader.each_item(&entry.value, |reader, item| out.watch.extend(reader.watch_rule(item)));
        });
        Some(out)
    }

    fn watch_rule(&mut self, node: &Node) -> Option<WatchRule> {
        let (mut path, mut action, mut target, mut exec) = (None, None, None, None);
        let (mut ignore, mut include, mut initial_sync) = (Vec::new(), Vec::new(), false);
        self.map(node, RULE, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "path" => path = reader.word(value),
                "action" => action = reader.choice(value, &ACTIONS),
                "target" => target = reader.optional(value),
                "ignore" => ignore = reader.string_or_list(value),
                "include" => include = reader.string_or_list(value),
                "exec" => exec = Some(reader.hook(value)),
                _ => initial_sync = reader.plain_flag(value).unwrap_or(false),
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
                self.error("missing-key", node.place, format!("`{key}` is missing in this watch rule"))
                    .help(format!("add `{key}: …`"));
            }
        }
        let (path, action) = (crate::paths::without_link(&self.resolve(&path?)), action?);
        let span = self.context.span(node.place);
        complete.then_some(WatchRule { path, action, target, ignore, include, exec, initial_sync, span })
    }
}
