//! Smaller parts of a service: health, limits, logging, restarts.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Healthcheck, Logging, NetworkMode, PullPolicy, RestartPolicy, Ulimit};
use crate::node::{Node, Value};

use super::{Keys, Reader};

const HEALTHCHECK: &Keys =
    &["test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"];
const LOGGING: &Keys = &["driver", "options"];
const ULIMIT: &Keys = &["soft", "hard"];

impl Reader<'_> {
    pub(super) fn healthcheck(&mut self, node: &Node) -> Option<Healthcheck> {
        let mut out = Healthcheck::default();
        self.map(node, HEALTHCHECK, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "test" => out.test = reader.health_test(value),
                "interval" => out.interval = reader.duration(value),
                "timeout" => out.timeout = reader.duration(value),
                "retries" => out.retries = reader.number(value, "a number of tries"),
                "start_period" => out.start_period = reader.duration(value),
                "start_interval" => out.start_interval = reader.duration(value),
                _ => out.disable = reader.flag(value).unwrap_or(false),
            }
        });
        Some(out)
    }

    fn health_test(&mut self, node: &Node) -> Option<Vec<String>> {
        if let Value::Scalar { .. } = &node.value {
            return self.text(node).map(|text| vec!["CMD-SHELL".to_owned(), text]);
        }
        let words = self.command(node)?;
        let help = "begin it with `CMD` for a program and its arguments, `CMD-SHELL` for one line of shell, or `NONE`";
        match (words.first().map(String::as_str), words.len()) {
            (Some("NONE"), _) | (Some("CMD" | "CMD-SHELL"), 2..) => return Some(words),
            (Some("CMD" | "CMD-SHELL"), _) => {
                self.error("wrong-value", node.place, "the health check has no command");
            }
            (Some(_), _) => {
                self.error(
                    "wrong-value",
                    node.place,
                    "a health check begins with `CMD`, `CMD-SHELL` or `NONE`",
                )
                .help(help);
            }
            // That is what the image says.
            (None, _) => {}
        }
        None
    }

    pub(super) fn logging(&mut self, node: &Node) -> Option<Logging> {
        let mut out = Logging::default();
        self.map(node, LOGGING, |reader, key, entry| match key {
            "driver" => out.driver = reader.optional(&entry.value),
            _ => {
                let values = reader.entries(&entry.value).unwrap_or_default();
                if values.iter().any(|entry| entry.value.is_null()) {
                    out.options = reader.full_pairs(&entry.value);
                } else {
                    out.options = reader.options(&entry.value);
                }
            }
        });
        Some(out)
    }

    pub(super) fn ulimits(&mut self, node: &Node) -> BTreeMap<String, Ulimit> {
        let mut out = BTreeMap::new();
        self.each_entry(node, |reader, entry| {
            let limit = if entry.value.as_map().is_some() {
                reader.ulimit_range(&entry.value)
            } else {
                reader.ulimit(&entry.value).map(Ulimit::Single)
            };
            out.extend(limit.map(|limit| (entry.key.to_string(), limit)));
        });
        out
    }

    fn ulimit_range(&mut self, node: &Node) -> Option<Ulimit> {
        let (mut soft, mut hard) = (None, None);
        self.map(node, ULIMIT, |reader, key, entry| match key {
            "soft" => soft = reader.ulimit(&entry.value),
            _ => hard = reader.ulimit(&entry.value),
        });
        for key in ["soft", "hard"] {
            if node.get(key).is_none() {
                self.error("missing-key", node.place, format!("`{key}` is missing"))
                    .help(format!("add `{key}: …`"));
            }
        }
        Some(Ulimit::Range { soft: soft?, hard: hard? })
    }

    fn ulimit(&mut self, node: &Node) -> Option<i64> {
        self.parsed(node, "a limit", |text| text.parse().ok().filter(|limit| *limit >= -1))
    }

    pub(super) fn restart(&mut self, node: &Node) -> Option<RestartPolicy> {
        let text = self.optional(node)?;
        if let Some(count) = text.strip_prefix("on-failure:") {
            let max_retries = count.parse().ok();
            if max_retries.is_none() {
                self.bad_value(node, "a restart policy").help("write a number after `on-failure:`");
                return None;
            }
            return Some(RestartPolicy::OnFailure { max_retries });
        }
        let known = [
            ("no", RestartPolicy::No),
            ("always", RestartPolicy::Always),
            ("unless-stopped", RestartPolicy::UnlessStopped),
            ("on-failure", RestartPolicy::OnFailure { max_retries: None }),
        ];
        match known.iter().find(|(word, _)| *word == text) {
            Some((_, policy)) => Some(*policy),
            None => {
                let help = "known are no, always, unless-stopped, on-failure and on-failure:COUNT";
                self.bad_value(node, "a restart policy").help(help);
                None
            }
        }
    }

    pub(super) fn pull_policy(&mut self, node: &Node) -> Option<PullPolicy> {
        let text = self.text(node)?;
        let age = match text.as_str() {
            "daily" => Some("1d"),
            "weekly" => Some("1w"),
            _ => text.strip_prefix("every_"),
        };
        if let Some(age) = age {
            let Some(age) = crate::model::text::parse_duration(age) else {
                let help = "write a time after `every_`, such as `every_12h` or `every_3d`";
                self.bad_value(node, "a pull policy").help(help);
                return None;
            };
            return Some(PullPolicy::Every { age, text });
        }
        let words = ["always", "missing", "if_not_present", "never", "build", "refresh"];
        match self.choice(node, &words.map(|word| (word, word)))? {
            "always" => Some(PullPolicy::Always),
            "never" => Some(PullPolicy::Never),
            "build" => Some(PullPolicy::Build),
            "refresh" => Some(PullPolicy::Refresh),
            _ => Some(PullPolicy::Missing),
        }
    }

    pub(super) fn network_mode(&mut self, node: &Node) -> Option<NetworkMode> {
        let text = self.optional(node)?;
        let named =
            |prefix: &str| text.strip_prefix(prefix).filter(|name| !name.is_empty()).map(str::to_owned);
        Some(match text.as_str() {
            "host" => NetworkMode::Host,
            "none" => NetworkMode::None,
            "bridge" => NetworkMode::Bridge,
            _ => match (named("service:"), named("container:")) {
                (Some(name), _) => NetworkMode::Service(name),
                (None, Some(name)) => NetworkMode::Container(name),
                (None, None) => NetworkMode::Other(text),
            },
        })
    }

    /// A list of `host:address` or `host=address`, or a mapping.
    pub(super) fn extra_hosts(&mut self, node: &Node) -> Vec<String> {
        let mut out = BTreeSet::new();
        let mut add = |reader: &mut Self, node: &Node, host: Option<&str>| {
            let Some(text) = reader.word(node) else { return };
            let pair = match host {
                Some(host) => Some((host, text.as_str())),
                None => text.split_once('=').or_else(|| text.split_once(':')),
            };
            let Some((host, address)) = pair else {
                reader.bad_value(node, "a host and its address").help("write `name=10.0.0.1`");
                return;
            };
            for address in address.split(',').map(str::trim) {
                let bare =
                    address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
                if bare != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
                    reader
                        .bad_value(node, "a host and its address")
                        .help("the address is an IP address or `host-gateway`");
                    return;
                }
                out.insert(format!("{}={bare}", host.trim()));
            }
        };
        if node.as_map().is_some() {
            self.each_entry(node, |reader, entry| match &entry.value.value {
                Value::List(_) => {
                    reader.each_item(&entry.value, |reader, item| add(reader, item, Some(&entry.key)))
                }
                Value::Scalar { .. } | Value::Map(_) => add(reader, &entry.value, Some(&entry.key)),
            });
        } else {
            self.each_item(node, |reader, item| add(reader, item, None));
        }
        out.into_iter().collect()
    }
}
