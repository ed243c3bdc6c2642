//! Laying one file over another.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::node::{Entry, Node, Tag, Value};
use crate::read::short::{mount_target, split_pair};

/// `over` on top of `base`, both whole documents.
pub(crate) fn merge(base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
    Merge { path: Vec::new() }.node(base, over)
}

/// A document that lies on nothing: what its tags take away is gone.
pub(crate) fn first(document: &Rc<Node>) -> Rc<Node> {
    strip(document)
}

/// A service on top of the one that it extends.
pub(crate) fn service(base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
    // The path decides the rules.
    Merge { path: vec![Rc::from("services"), Rc::from("")] }.node(&strip(base), over)
}

struct Merge {
    path: Vec<Rc<str>>,
}

/// What is particular about a place of the tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Mappings key by key, lists one after the other, anything else replaced.
    Plain,
    Replace,
    /// A list of `KEY=VALUE` is a mapping.
    Pairs,
    /// A mapping of hosts to addresses is a list, because a host may have several.
    Hosts,
    /// A list of names is a mapping of them to nothing.
    Names,
    /// The same, of names to the condition that a bare name stands for.
    Dependencies,
    /// A string is the `context` of a mapping.
    Build,
    /// A single string is a list of one.
    Strings,
    /// Entries for the same place in the container replace each other.
    Mounts,
    /// The same, where there may be a folder for what says no place.
    Secrets,
    Configs,
    /// Options of different drivers do not mix.
    Logging,
    /// Pools are known by their subnet.
    Pools,
}

impl Merge {
    fn rule(&self) -> Rule {
        let path: Vec<&str> = self.path.iter().map(|part| &**part).collect();
        let within = match path.as_slice() {
            ["services", _, rest @ ..] => rest,
            ["networks" | "volumes" | "secrets" | "configs", _, "labels"] => return Rule::Pairs,
            ["networks", _, "ipam", "config"] => return Rule::Pools,
            _ => return Rule::Plain,
        };
        match within {
            ["command" | "entrypoint"] | ["healthcheck", "test"] | ["ulimits", _] => Rule::Replace,
            ["build", "ulimits", _] | ["x-devd", "on_change"] | ["x-devd", "tests", "prepare"] => {
                Rule::Replace
            }
            ["environment" | "labels" | "annotations" | "sysctls"] => Rule::Pairs,
            ["build", "args" | "labels" | "additional_contexts"] => Rule::Pairs,
            ["extra_hosts"] | ["build", "extra_hosts"] => Rule::Hosts,
            ["deploy", "labels"] => Rule::Pairs,
            ["networks" | "models"] => Rule::Names,
            ["depends_on"] => Rule::Dependencies,
            ["build"] => Rule::Build,
            ["dns" | "dns_search" | "dns_opt" | "tmpfs" | "env_file" | "label_file"] => Rule::Strings,
            ["volumes" | "devices"] => Rule::Mounts,
            ["secrets"] => Rule::Secrets,
            ["configs"] => Rule::Configs,
            ["logging"] => Rule::Logging,
            _ => Rule::Plain,
        }
    }

    fn node(&mut self, base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
        let rule = self.rule();
        if over.tag == Some(Tag::Override) || rule == Rule::Replace {
            return strip(over);
        }
        // A key without a value says nothing about what another file put there.
        if over.is_null() && base.as_text().is_none() {
            return Rc::clone(base);
        }
        let (base, over) = (long_form(rule, base), long_form(rule, over));
        match (&base.value, &over.value) {
            (Value::Map(_), Value::Map(_)) if rule == Rule::Logging && other_driver(&base, &over) => {
                strip(&over)
            }
            (Value::Map(below), Value::Map(above)) => {
                Rc::new(Node { value: Value::Map(self.entries(below, above)), ..(*base).clone() })
            }
            (Value::List(below), Value::List(above)) => {
                let subnet = |pool: &Node| Some(pool.get("subnet")?.value.as_text()?.to_owned());
                let items = if rule == Rule::Mounts {
                    keyed(below, above, mount_target)
                } else if rule == Rule::Pools {
                    // Those of the upper file remain, each over the one of the same subnet.
                    let below: BTreeMap<_, _> = below.iter().map(|pool| (subnet(pool), pool)).collect();
                    let known = |pool: &Rc<Node>| below.get(&subnet(pool)).map(|base| Rc::clone(base));
                    let both = |pool: &Rc<Node>| match known(pool) {
                        Some(base) => Merge { path: Vec::new() }.node(&base, pool),
                        None => strip(pool),
                    };
                    above.iter().map(both).collect()
                } else if matches!(rule, Rule::Secrets | Rule::Configs) {
                    let folder = if rule == Rule::Secrets { "/run/secrets" } else { "" };
                    keyed(below, above, |grant| grant_place(grant, folder))
                } else {
                    below.iter().cloned().chain(above.iter().map(strip)).collect()
                };
                Rc::new(Node { value: Value::List(items), ..(*base).clone() })
            }
            _ => strip(&over),
        }
    }

    fn entries(&mut self, below: &[Entry], above: &[Entry]) -> Vec<Entry> {
        let mut out: Vec<Option<Entry>> = below.iter().cloned().map(Some).collect();
        let index: BTreeMap<&str, usize> =
            below.iter().enumerate().map(|(index, entry)| (&*entry.key, index)).collect();
        for entry in above {
            let known = index.get(&*entry.key).copied();
            let slot = known.and_then(|index| out.get_mut(index));
            let is_reset = entry.value.tag == Some(Tag::Reset);
            match slot {
                Some(slot) if is_reset => *slot = None,
                Some(slot) => {
                    self.path.push(Rc::clone(&entry.key));
                    if let Some(base) = slot.take() {
                        let value = self.node(&base.value, &entry.value);
                        *slot = Some(Entry { value, ..base });
                    }
                    self.path.pop();
                }
                None if is_reset => {}
                None => out.push(Some(Entry { value: strip(&entry.value), ..entry.clone() })),
            }
        }
        out.into_iter().flatten().collect()
    }
}

/// Takes out what is marked as reset.
fn strip(node: &Rc<Node>) -> Rc<Node> {
    let value = match &node.value {
        Value::Scalar { .. } => return Rc::clone(node),
        Value::List(items) => {
            let kept = items.iter().filter(|item| item.tag != Some(Tag::Reset));
            Value::List(kept.map(strip).collect())
        }
        Value::Map(entries) => {
            let kept = entries.iter().filter(|entry| entry.value.tag != Some(Tag::Reset));
            Value::Map(kept.map(|entry| Entry { value: strip(&entry.value), ..entry.clone() }).collect())
        }
    };
    Rc::new(Node { value, ..(**node).clone() })
}

fn long_form(rule: Rule, node: &Rc<Node>) -> Rc<Node> {
    let entry = |item: &Rc<Node>, key: &str, value: Node| Entry {
        key: Rc::from(key),
        place: item.place,
        value: Rc::new(value),
    };
    match (rule, &node.value) {
        (Rule::Build, Value::Scalar { .. }) if !node.is_null() => {
            let context = Entry { key: Rc::from("context"), place: node.place, value: Rc::clone(node) };
            Rc::new(Node::map(node.place, vec![context]))
        }
        (Rule::Strings, Value::Scalar { .. }) if !node.is_null() => {
            Rc::new(Node::list(node.place, vec![Rc::clone(node)]))
        }
        (Rule::Names | Rule::Dependencies | Rule::Pairs, Value::List(items)) => {
            let mut entries: Vec<Entry> = Vec::new();
            let mut index: BTreeMap<Rc<str>, usize> = BTreeMap::new();
            for item in items {
                // What is not a string stays for the reader to complain about.
                let Some(text) = item.as_text() else { return Rc::clone(node) };
                let (key, value) = if rule == Rule::Pairs { split_pair(text) } else { (text, None) };
                let value = if rule == Rule::Dependencies {
                    let condition = Node::text(item.place, "service_started");
                    Node::map(item.place, vec![entry(item, "condition", condition)])
                } else {
                    value.map_or_else(|| Node::null(item.place), |value| Node::text(item.place, value))
                };
                let new = entry(item, key, value);
                match index.get(&new.key).and_then(|index| entries.get_mut(*index)) {
                    Some(known) => *known = new,
                    None => {
                        index.insert(Rc::clone(&new.key), entries.len());
                        entries.push(new);
                    }
                }
            }
            Rc::new(Node { value: Value::Map(entries), ..(**node).clone() })
        }
        (Rule::Hosts, Value::Map(entries)) => {
            let mut items = Vec::new();
            for entry in entries {
                let addresses = match &entry.value.value {
                    Value::List(addresses) => addresses.clone(),
                    Value::Scalar { .. } | Value::Map(_) => vec![Rc::clone(&entry.value)],
                };
                for address in addresses {
                    let Some(text) = address.as_text() else { return Rc::clone(node) };
                    items.push(Rc::new(Node::text(address.place, format!("{}={text}", entry.key))));
                }
            }
            Rc::new(Node::list(node.place, items))
        }
        _ => Rc::clone(node),
    }
}

/// Where a secret or config is put in the container.
fn grant_place(grant: &Node, folder: &str) -> Option<String> {
    if let Some(target) = grant.get("target") {
        return target.value.as_text().map(str::to_owned);
    }
    let source = match grant.as_text() {
        Some(text) => text,
        None => grant.get("source")?.value.as_text()?,
    };
    Some(format!("{folder}/{source}"))
}

fn other_driver(base: &Node, over: &Node) -> bool {
    let driver = |node: &Node| node.get("driver").and_then(|entry| entry.value.as_text().map(str::to_owned));
    matches!((driver(base), driver(over)), (Some(base), Some(over)) if base != over)
}

/// Items of `above` take the place of those of `below` with the same key; the others follow.
fn keyed(below: &[Rc<Node>], above: &[Rc<Node>], key: impl Fn(&Node) -> Option<String>) -> Vec<Rc<Node>> {
    let mut out = below.to_vec();
    let mut index: BTreeMap<String, usize> =
        below.iter().enumerate().filter_map(|(index, item)| Some((key(item)?, index))).collect();
    for item in above {
        let item = strip(item);
        let known = key(&item);
        let slot = known.as_ref().and_then(|key| index.get(key)).and_then(|index| out.get_mut(*index));
        match slot {
            Some(slot) => *slot = item,
            None => {
                index.extend(known.map(|key| (key, out.len())));
                out.push(item);
            }
        }
    }
    out
}
