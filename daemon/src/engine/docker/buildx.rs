//! Building an image with BuildKit, by `docker buildx`: Docker's own client of it, and what compose builds with.
//!
//! It sends only what changed of the context since the last build, and has what newer Dockerfiles and the newer fields of
//! `build` need. Values of arguments and secrets go through its environment: command lines are for everybody to read.

use super::link::Connection;
use super::wire::Address;
use crate::engine::spec::BuildSpec;
use crate::engine::{EngineError, Progress};
use devd_compose::model::Grant;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// How many lines of a failed build are kept, and how long one may be.
const TAIL: usize = 20;
const LINE: u64 = 64 << 10;

/// The client on this machine, if it has one.
#[derive(Debug)]
pub(super) struct Buildx {
    /// `DOCKER_BUILDKIT=0` asks for the classic builder, as it does of Docker's client.
    wanted: bool,
    config_dir: Option<PathBuf>,
    found: OnceCell<bool>,
}

impl Buildx {
    pub(super) fn new(buildkit: Option<&str>, config_dir: Option<PathBuf>) -> Self {
        Self { wanted: buildkit != Some("0"), config_dir, found: OnceCell::new() }
    }

    /// Whether it builds for this engine.
    pub(super) async fn serves(&self, connection: &Connection) -> bool {
        if !self.wanted || connection.podman {
            return false;
        }
        *self
            .found
            .get_or_init(|| async {
                self.command(connection).arg("version").output().await.is_ok_and(|it| it.status.success())
            })
            .await
    }

    fn command(&self, connection: &Connection) -> Command {
        let mut command = Command::new("docker");
        let host = match &connection.address {
            Address::Unix(path) => format!("unix://{}", path.display()),
            Address::Tcp(host) => format!("tcp://{host}"),
        };
        command.arg("buildx").env("DOCKER_HOST", host).env_remove("DOCKER_CONTEXT");
        if let Some(config_dir) = &self.config_dir {
            command.env("DOCKER_CONFIG", config_dir);
        }
        // Else the same context would give another image each time where images are kept in containerd's store.
        command.env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Builds it; the image's id.
    pub(super) async fn build(
        &self,
        connection: &Connection,
        spec: &BuildSpec,
        progress: &Progress,
    ) -> Result<String, EngineError> {
        let failed = |message| EngineError::BuildFailed { message, output: Vec::new() };
        let Asked { args, env } = asked(spec).map_err(failed)?;
        let mut command = self.command(connection);
        command.args(args).envs(env);
        if spec.build.dockerfile_inline.is_some() {
            command.stdin(Stdio::piped());
        }
        let started = command.spawn();
        let mut child = started.map_err(|error| failed(format!("docker buildx cannot be run: {error}")))?;
        let inline = child.stdin.take().zip(spec.build.dockerfile_inline.clone());
        let stderr = child.stderr.take();
        let write = async {
            if let Some((mut stdin, text)) = inline {
                // When it does not read it, it says why.
                let _ = stdin.write_all(text.as_bytes()).await;
            }
        };
        let read = async {
            let mut transcript = Transcript::hiding(&spec.build.args);
            let Some(stderr) = stderr else { return transcript };
            let mut lines = BufReader::new(stderr);
            let mut line = Vec::new();
            // Without an end of the line within reason it is no line.
            while matches!((&mut lines).take(LINE).read_until(b'\n', &mut line).await, Ok(1..)) {
                transcript.line(String::from_utf8_lossy(&line).trim_end(), progress);
                line.clear();
            }
            transcript
        };
        let ((), transcript) = tokio::join!(write, read);
        let status = child.wait().await;
        let status = status.map_err(|error| failed(format!("docker buildx got lost: {error}")))?;
        if !status.success() {
            let message = transcript.failure();
            return Err(EngineError::BuildFailed { message, output: transcript.tail.into() });
        }
        Ok(connection.api.inspect_image(&spec.tag).await?.id.unwrap_or_default())
    }
}

/// A command line, and what it takes in its environment.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    args: Vec<OsString>,
    env: Vec<(String, String)>,
}

impl Asked {
    fn flag(&mut self, name: &str, value: impl Into<OsString>) {
        self.args.extend([name.into(), value.into()]);
    }

    fn flags<T: Into<OsString>>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.flag(name, value);
        }
    }
}

fn asked(spec: &BuildSpec) -> Result<Asked, String> {
    let build = &spec.build;
    let mut asked = Asked::default();
    asked.args.push("build".into());
    // Whatever builder the user has chosen: the image is wanted in this engine.
    asked.flag("--builder", "default");
    asked.flag("--progress", "plain");
    let more = build.tags.iter().filter(|tag| **tag != spec.tag);
    asked.flags("--tag", [&spec.tag].into_iter().chain(more));
    match (&build.dockerfile_inline, &build.dockerfile) {
        (Some(_), _) => asked.flag("--file", "-"),
        // In what is elsewhere the file is looked for there.
        (None, Some(file)) if build.remote => asked.flag("--file", file),
        (None, Some(file)) => asked.flag("--file", build.context.join(file)),
        (None, None) => {}
    }
    for (name, value) in &build.args {
        if let Some(value) = value {
            asked.flag("--build-arg", name);
            asked.env.push((name.clone(), value.clone()));
        }
    }
    let labels = build.labels.iter().chain(&spec.labels);
    asked.flags("--label", labels.map(|(name, value)| format!("{name}={value}")));
    asked.flags("--target", &build.target);
    asked.flags("--network", &build.network);
    asked.flags("--platform", &spec.platform);
    asked.flags("--shm-size", build.shm_size.map(|size| size.to_string()));
    asked.flags("--add-host", &build.extra_hosts);
    let limits = build.ulimits.iter();
    asked.flags("--ulimit", limits.map(|(name, limit)| format!("{name}={}:{}", limit.soft(), limit.hard())));
    asked.flags("--cache-from", &build.cache_from);
    asked.flags("--cache-to", &build.cache_to);
    for (name, place) in &build.additional_contexts {
        asked.flag("--build-context", format!("{name}={place}"));
    }
    for (number, grant) in build.secrets.iter().enumerate() {
        let (secret, value) = secret(number, grant)?;
        asked.flag("--secret", secret);
        asked.env.extend(value);
    }
    asked.flags(
        "--ssh",
        build.ssh.iter().map(|key| match &key.path {
            Some(path) => format!("{}={path}", key.id),
            None => key.id.clone(),
        }),
    );
    asked.flags("--allow", &build.entitlements);
    asked.flags("--allow", build.privileged.then_some("security.insecure"));
    asked.flags("--provenance", &build.provenance);
    asked.flags("--sbom", &build.sbom);
    asked.args.extend(build.no_cache.then(|| "--no-cache".into()));
    asked.args.extend(build.pull.then(|| "--pull".into()));
    asked.args.extend(["--".into(), build.context.clone().into()]);
    Ok(asked)
}

/// How a secret is named on the command line, and the variable that has it where it is no file.
fn secret(number: usize, grant: &Grant) -> Result<(OsString, Option<(String, String)>), String> {
    let id = grant.target.as_deref().map_or(grant.source.as_str(), |target| {
        Path::new(target).file_name().and_then(|name| name.to_str()).unwrap_or(target)
    });
    if !grant.file.as_os_str().is_empty() {
        let mut text = OsString::from(format!("id={id},src="));
        text.push(&grant.file);
        return Ok((text, None));
    }
    let missing = || format!("the secret {} has neither a file nor a value", grant.source);
    let value = grant.content.clone().ok_or_else(missing)?;
    let variable = format!("DEVD_BUILD_SECRET_{number}");
    Ok((format!("id={id},env={variable}").into(), Some((variable, value))))
}

/// What BuildKit has said so far, in its plain form: `#5 [2/3] RUN make`, `#5 0.312 output`, `#5 ERROR: why`.
#[derive(Debug, Default)]
struct Transcript {
    /// Titles of the steps by their numbers.
    steps: Vec<(String, String)>,
    /// The step that failed, and why.
    failed: Option<(String, String)>,
    /// The last word of the client.
    error: Option<String>,
    tail: VecDeque<String>,
    /// Values of arguments, and what is told in their place; the longest first.
    hidden: Vec<(String, String)>,
}

/// Shorter values of arguments are no secrets, and stand in many words.
const SHORTEST_SECRET: usize = 4;

impl Transcript {
    /// Steps are told with the values of arguments put into them: here, with the names that stand in the Dockerfile.
    fn hiding(args: &BTreeMap<String, Option<String>>) -> Self {
        let values = args.iter().filter_map(|(name, value)| Some((value.clone()?, format!("${name}"))));
        let mut hidden: Vec<_> = values.filter(|(value, _)| value.len() >= SHORTEST_SECRET).collect();
        hidden.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self { hidden, ..Self::default() }
    }

    fn without_values(&self, line: &str) -> String {
        self.hidden.iter().fold(line.to_owned(), |line, (value, name)| line.replace(value, name))
    }

    fn line(&mut self, line: &str, progress: &Progress) {
        let line = &self.without_values(line);
        if let Some(error) = line.strip_prefix("ERROR: ") {
            self.error = Some(error.to_owned());
            return;
        }
        let Some((number, text)) = line.strip_prefix('#').and_then(|rest| rest.split_once(' ')) else {
            return;
        };
        if let Some(error) = text.strip_prefix("ERROR: ") {
            let title =
                self.steps.iter().rev().find(|(step, _)| step == number).map(|(_, title)| title.clone());
            self.failed = Some((title.unwrap_or_default(), error.to_owned()));
            return;
        }
        if text.starts_with('[') {
            if !self.steps.iter().any(|(step, _)| step == number) {
                self.steps.push((number.to_owned(), text.to_owned()));
                progress.line(text);
                self.keep(text);
            }
            return;
        }
        // What a step writes has the seconds since its begin in front.
        let written =
            text.split_once(' ').filter(|(at, _)| at.parse::<f64>().is_ok()).map(|(_, written)| written);
        if let Some(written) = written {
            progress.line(written);
            self.keep(written);
        }
    }

    fn keep(&mut self, line: &str) {
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
    }

    /// What went wrong, at which step.
    fn failure(&self) -> String {
        if let Some((title, error)) = &self.failed {
            return match error.rsplit_once("exit code: ") {
                Some((_, code)) => format!("{title} returned exit code {code}"),
                None => format!("{title}: {error}"),
            };
        }
        let error = self.error.as_deref().unwrap_or("docker buildx failed and did not say why");
        if error.contains("capability moby.buildkit.frontend.contexts") {
            return "`build.additional_contexts` needs a newer engine: Docker has it from 23.0 on".to_owned();
        }
        error.strip_prefix("failed to build: ").unwrap_or(error).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_compose::model::{Build, SshKey, Ulimit};

    fn said(text: &str) -> Transcript {
        let mut transcript = Transcript::default();
        text.lines().for_each(|line| transcript.line(line, &Progress::none()));
        transcript
    }

    #[test]
    fn a_failed_step_is_named() {
        let transcript = said(
            "#0 building with \"default\" instance using docker driver\n#5 [2/3] RUN echo oops && exit 3\n#5 0.271 oops\n\
             #5 ERROR: process \"/bin/sh -c echo oops && exit 3\" did not complete successfully: exit code: 3\n------\n\
             > [2/3] RUN echo oops && exit 3:\n0.271 oops\n------\nDockerfile:2\n\
             ERROR: failed to build: failed to solve: process \"/bin/sh -c …\" did not complete successfully: exit code: 3\n",
        );
        assert_eq!(transcript.failure(), "[2/3] RUN echo oops && exit 3 returned exit code 3");
        assert_eq!(transcript.tail, ["[2/3] RUN echo oops && exit 3", "oops"]);
    }

    /// BuildKit puts them into the titles of steps, and those went into statuses, events and the logs of runs.
    #[test]
    fn values_of_arguments_are_told_by_their_names() {
        let args = [("TOKEN", "s3cret"), ("LONG", "s3cret-and-more"), ("N", "2")];
        let args = args.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
        let mut transcript =
            Transcript::hiding(&args.into_iter().chain([("NONE".to_owned(), None)]).collect());
        for line in [
            "#5 [2/3] RUN use \"s3cret\" s3cret-and-more 2",
            "#5 0.271 got s3cret",
            "#5 ERROR: process \"/bin/sh -c use s3cret\" did not complete successfully: exit code: 3",
            "ERROR: failed to build: failed to solve: process \"/bin/sh -c use s3cret\" did not complete",
        ] {
            transcript.line(line, &Progress::none());
        }
        assert_eq!(transcript.tail, ["[2/3] RUN use \"$TOKEN\" $LONG 2", "got $TOKEN"]);
        assert_eq!(transcript.failure(), "[2/3] RUN use \"$TOKEN\" $LONG 2 returned exit code 3");
        assert!(!transcript.error.unwrap().contains("s3cret"));
    }

    #[test]
    fn what_fails_before_any_step_is_said() {
        let transcript = said(
            "ERROR: failed to build: failed to solve: dockerfile parse error on line 2: unknown instruction: RUNN",
        );
        let message = "failed to solve: dockerfile parse error on line 2: unknown instruction: RUNN";
        assert_eq!(transcript.failure(), message);
        assert_eq!(said("").failure(), "docker buildx failed and did not say why");
        let old = "ERROR: failed to solve: unsupported frontend capability moby.buildkit.frontend.contexts";
        assert!(said(old).failure().starts_with("`build.additional_contexts` needs a newer engine"));
    }

    #[test]
    fn everything_said_is_asked_for_and_no_value_stands_on_the_command_line() {
        let text = |text: &str| text.to_owned();
        let build = Build {
            context: "/src/a b".into(),
            dockerfile: Some(text("dev/Dockerfile")),
            args: [(text("A"), Some(text("hush"))), (text("B"), None)].into(),
            cache_from: vec![text("c:1")],
            cache_to: vec![text("type=inline")],
            additional_contexts: [(text("lib"), text("/lib"))].into(),
            extra_hosts: vec![text("h=1.2.3.4")],
            labels: [(text("l"), text("build"))].into(),
            network: Some(text("host")),
            no_cache: true,
            pull: true,
            privileged: true,
            provenance: Some(text("false")),
            secrets: vec![
                Grant { source: text("file"), file: "/run/key".into(), ..Grant::default() },
                Grant {
                    source: text("value"),
                    target: Some(text("token")),
                    content: Some(text("hush")),
                    ..Grant::default()
                },
            ],
            shm_size: Some(64),
            ssh: vec![
                SshKey { id: text("default"), path: None },
                SshKey { id: text("k"), path: Some(text("/k")) },
            ],
            tags: vec![text("t:1"), text("extra:2")],
            target: Some(text("dev")),
            ulimits: [(text("nofile"), Ulimit::Single(3))].into(),
            ..Default::default()
        };
        let labels = [(text("l"), text("devd"))].into();
        let spec = BuildSpec { tag: text("t:1"), build, labels, platform: Some(text("linux/arm64")) };
        let Asked { args, env } = asked(&spec).unwrap();
        let args: Vec<_> = args.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(
            args.join(" "),
            "build --builder default --progress plain --tag t:1 --tag extra:2 --file /src/a b/dev/Dockerfile --build-arg A \
             --label l=build --label l=devd --target dev --network host --platform linux/arm64 --shm-size 64 \
             --add-host h=1.2.3.4 --ulimit nofile=3:3 --cache-from c:1 --cache-to type=inline --build-context lib=/lib \
             --secret id=file,src=/run/key --secret id=token,env=DEVD_BUILD_SECRET_1 --ssh default --ssh k=/k \
             --allow security.insecure --provenance false --no-cache --pull -- /src/a b"
        );
        assert_eq!(env, [(text("A"), text("hush")), (text("DEVD_BUILD_SECRET_1"), text("hush"))]);
        let plain = BuildSpec { build: Build::default(), labels: BTreeMap::new(), platform: None, ..spec };
        assert_eq!(asked(&plain).unwrap().args.len(), 9);
    }
}
