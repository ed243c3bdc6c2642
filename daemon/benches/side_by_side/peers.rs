//! What devd is measured beside, as far as it is installed.

use crate::guard;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

/// The peers of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    pub(crate) compose: Option<Compose>,
    /// The version of `watchexec`.
    pub(crate) watchexec: Option<String>,
}

/// Docker's compose, of either generation.
#[derive(Clone, Debug)]
pub(crate) struct Compose {
    /// What to call it in the table.
    pub(crate) name: &'static str,
    pub(crate) version: String,
    words: &'static [&'static str],
}

impl Peers {
    /// Looks for them.
    pub(crate) fn find() -> Self {
        let plugin: &[&str] = &["docker", "compose"];
        let composes = [("docker compose", plugin), ("docker-compose", &["docker-compose"])];
        let compose = composes.into_iter().find_map(|(name, words)| {
            let version = answer(words, &["version", "--short"])?;
            Some(Compose { name, version, words })
        });
        let watchexec = answer(&["watchexec"], &["--version"])
            .and_then(|text| text.split_whitespace().nth(1).map(str::to_owned));
        Self { compose, watchexec }
    }

    /// What could not be measured, and how to have it.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        match &self.compose {
            None => missing.push(
                "docker compose is not installed: nothing is compared with it (on Debian or Ubuntu: apt-get install \
                 docker-compose-v2, or docker-compose)"
                    .to_owned(),
            ),
            Some(compose) if !compose.watches() => missing.push(format!(
                "{} {} has no `watch`: its `restart`, run right after the save, is shown instead",
                compose.name, compose.version
            )),
            Some(_) => {}
        }
        if self.watchexec.is_none() {
            missing.push("watchexec is not installed (cargo install watchexec-cli)".to_owned());
        }
        missing
    }

    pub(crate) fn json(&self) -> Value {
        let mut versions = json!({ "watchexec": self.watchexec });
        if let Some(compose) = &self.compose {
            versions[compose.name] = compose.version.clone().into();
        }
        versions
    }
}

impl Compose {
    /// A command about one project, in its folder.
    pub(crate) fn command(&self, root: &Path, file: &str, project: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.words[0]);
        command.args(&self.words[1..]).args(["-p", project, "-f", file]).args(args).current_dir(root);
        command.stdin(Stdio::null()).env("NO_COLOR", "1");
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COMPOSE_"))
        {
            command.env_remove(name);
        }
        command
    }

    /// Runs such a command to its end.
    pub(crate) fn run(
        &self,
        root: &Path,
        file: &str,
        project: &str,
        args: &[&str],
    ) -> anyhow::Result<String> {
        guard::run(&mut self.command(root, file, project, args))
    }

    /// Whether it has `watch`: since 2.22.
    pub(crate) fn watches(&self) -> bool {
        let mut parts = self.version.trim_start_matches('v').split('.').map_while(|part| part.parse().ok());
        let version: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        version >= (2, 22)
    }
}

fn answer(words: &[&str], args: &[&str]) -> Option<String> {
    let output = Command::new(words[0]).args(&words[1..]).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
