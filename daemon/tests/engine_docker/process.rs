//! What runs in a container: runs, probes, commands, logs.

use crate::stage::{Stage, staged};
use bytes::Bytes;
use devd_compose::model::{Healthcheck, Service};
use devd_proto::Stream;
use devdd::engine::spec::{Act, ContainerSpec, ExecSpec, LogQuery};
use devdd::engine::{Engine, EngineError, LogLine};
use futures_util::{StreamExt, TryStreamExt};
use std::time::{Duration, Instant};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn a_run_loses_nothing() {
    staged("run", |stage| async move {
        let script =
            "echo first; echo oops >&2; dd if=/dev/zero bs=1M count=10 2>/dev/null; echo last; exit 7";
        let id = stage.create(stage.script("big", script)).await;
        let (code, out, err) = stage.run(&id).await.unwrap();
        assert_eq!((code, err.as_slice()), (7, &b"oops\n"[..]));
        assert_eq!(out.len(), "first\n".len() + (10 << 20) + "last\n".len());
        assert!(out.starts_with(b"first\n") && out.ends_with(b"last\n"));

        // Shorter than any race, removed by the engine at its end, and never with an end of line.
        for number in 0..5 {
            let spec = ContainerSpec {
                auto_remove: true,
                ..stage.script(&format!("short{number}"), &format!("printf x; exit {number}"))
            };
            let id = stage.create(spec).await;
            assert_eq!(stage.run(&id).await.unwrap(), (number, b"x".to_vec(), Vec::new()));
        }

        let mut spec = stage.script("terminal", "printf '\\001prompt> '; test -t 1");
        spec.service.tty = true;
        let id = stage.create(spec).await;
        assert_eq!(stage.run(&id).await.unwrap(), (0, b"\x01prompt> ".to_vec(), Vec::new()));

        let id = stage.create(stage.script("killed", "sleep 1000")).await;
        let kill = async {
            while stage.act(Act::Signal(id.clone(), "KILL".to_owned())).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert_eq!(tokio::join!(stage.run(&id), kill).0.unwrap().0, 137);

        let id = stage.create(stage.container("nothing", "busybox:1", &["no-such-command"])).await;
        let Err(EngineError::Refused(message)) = stage.run(&id).await else {
            panic!("there is no such command")
        };
        assert!(message.starts_with("exec: \"no-such-command\": executable file not found"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn a_run_that_nobody_reads_still_ends() {
    staged("unread", |stage| async move {
        let id = stage.create(stage.script("big", "dd if=/dev/zero bs=1M count=3; exit 4")).await;
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        drop(receiver);
        assert_eq!(stage.engine.run(&id, sender).await.unwrap(), 4);

        // Dropped half-way, the container is still there.
        let id = stage.create(stage.script("long", "sleep 1000")).await;
        let (sender, _receiver) = tokio::sync::mpsc::channel(1);
        let run = tokio::time::timeout(Duration::from_secs(2), stage.engine.run(&id, sender)).await;
        assert!(run.is_err());
        assert!(stage.exists(&id).await);
    })
    .await;
}

fn checked(stage: &Stage, service: &str, script: &str, check: &str, limits: Healthcheck) -> ContainerSpec {
    let spec = stage.script(service, script);
    let healthcheck = Some(Healthcheck { test: Some(words(&["CMD-SHELL", check])), ..limits });
    ContainerSpec { service: Service { healthcheck, ..spec.service }, ..spec }
}

#[tokio::test]
async fn a_probe_is_faster_than_the_file() {
    staged("probe", |stage| async move {
        // The file's interval is Docker's: 30 seconds.
        let script = "sleep 1; touch /tmp/ready; sleep 1000";
        let slow =
            stage.start(checked(&stage, "slow", script, "test -f /tmp/ready", Healthcheck::default())).await;
        let begun = Instant::now();
        assert!(stage.engine.probe(&slow).await.unwrap());
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

        // Without a check, what counts is that its port is listened on.
        let redis = stage.start(stage.container("redis", "redis:7", &[])).await;
        assert!(stage.engine.probe(&redis).await.unwrap());
        let exec =
            stage.engine.exec(&redis, ExecSpec { cmd: words(&["redis-cli", "ping"]), ..Default::default() });
        assert_eq!(exec.await.unwrap().exit.await.unwrap(), 0);

        // Neither check nor ports: nothing can be told.
        let plain = stage.start(stage.script("plain", "sleep 1000")).await;
        assert!(stage.engine.probe(&plain).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_probe_fails_as_the_file_says() {
    staged("sick", |stage| async move {
        let limits = Healthcheck {
            interval: Some(Duration::from_millis(500)),
            retries: Some(2),
            start_period: Some(Duration::from_secs(1)),
            ..Default::default()
        };
        let sick = stage.start(checked(&stage, "sick", "sleep 1000", "exit 1", limits.clone())).await;
        let begun = Instant::now();
        assert!(!stage.engine.probe(&sick).await.unwrap());
        assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());

        let long = Healthcheck { start_period: Some(Duration::from_secs(600)), ..limits };
        let dying = stage.start(checked(&stage, "dying", "sleep 1; exit 1", "exit 1", long.clone())).await;
        assert!(!stage.engine.probe(&dying).await.unwrap());
        assert!(!stage.engine.probe("devd-no-such-container").await.unwrap());

        // A check that hangs is given up.
        let limits = Healthcheck {
            timeout: Some(Duration::from_millis(300)),
            interval: Some(Duration::from_millis(100)),
            retries: Some(2),
            ..Default::default()
        };
        let hanging = stage.start(checked(&stage, "hanging", "sleep 1000", "sleep 1000", limits)).await;
        assert!(!stage.engine.probe(&hanging).await.unwrap());
    })
    .await;
}

/// Runs a command with an input: its exit code and what it wrote.
async fn command(stage: &Stage, container: &str, spec: ExecSpec, input: &[u8]) -> (i64, Vec<u8>, Vec<u8>) {
    let exec = stage.engine.exec(container, spec).await.unwrap();
    let sender = exec.input;
    for piece in input.chunks(100_000) {
        sender.send(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    drop(sender);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = exec.output;
    while let Some((stream, bytes)) = output.try_next().await.unwrap() {
        match stream {
            Stream::Stdout => out.extend_from_slice(&bytes),
            Stream::Stderr => err.extend_from_slice(&bytes),
        }
    }
    (exec.exit.await.unwrap(), out, err)
}

#[tokio::test]
async fn a_command_has_input_output_and_an_end() {
    staged("exec", |stage| async move {
        let id = stage.start(stage.script("web", "sleep 1000")).await;
        let spec = |command: &[&str]| ExecSpec { cmd: words(command), ..Default::default() };
        let input = "line\n".repeat(30_000);
        let (code, out, _) = command(&stage, &id, spec(&["wc", "-l"]), input.as_bytes()).await;
        assert_eq!((code, String::from_utf8(out).unwrap().trim()), (0, "30000"));

        let script = "echo $GREETING; pwd; id -u; echo oops >&2; exit 5";
        let rich = ExecSpec {
            env: words(&["GREETING=hello you"]),
            user: Some("1000".to_owned()),
            workdir: Some("/tmp".to_owned()),
            ..spec(&["sh", "-c", script])
        };
        let (code, out, err) = command(&stage, &id, rich, b"").await;
        assert_eq!(
            (code, out.as_slice(), err.as_slice()),
            (5, &b"hello you\n/tmp\n1000\n"[..], &b"oops\n"[..])
        );

        let (code, ..) = command(&stage, &id, spec(&["true"]), b"").await;
        assert_eq!(code, 0);
        let (code, _, err) = command(&stage, &id, spec(&["no-such-command"]), b"").await;
        assert!([126, 127].contains(&code), "{code}: {err:?}");

        // What runs in a container ends with it.
        let long = stage.engine.exec(&id, spec(&["sleep", "1000"])).await.unwrap();
        stage.act(Act::Kill(id)).await.unwrap();
        long.output.for_each(|_| async {}).await;
        assert_eq!(long.exit.await.unwrap(), 137);

        let gone = stage.engine.exec("devd-no-such-container", spec(&["true"])).await;
        assert!(matches!(gone, Err(EngineError::NotFound(_))));
    })
    .await;
}

#[tokio::test]
async fn a_command_has_a_terminal() {
    staged("terminal", |stage| async move {
        let id = stage.start(stage.script("web", "sleep 1000")).await;
        let script = "read go; stty size; printf 'again? '; read go; stty size";
        let exec = stage
            .engine
            .exec(
                &id,
                ExecSpec { cmd: words(&["sh", "-c", script]), tty: Some((90, 30)), ..Default::default() },
            )
            .await
            .unwrap();
        let mut output = exec.output;
        let mut seen = String::new();
        // The first size is set a moment after the command begins.
        tokio::time::sleep(Duration::from_millis(500)).await;
        exec.input.send(Bytes::from_static(b"go\n")).await.unwrap();
        while !seen.contains("again? ") {
            seen.push_str(&String::from_utf8_lossy(&output.try_next().await.unwrap().unwrap().1));
        }
        assert!(seen.contains("30 90"), "{seen}");
        exec.resize.send((100, 40)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        exec.input.send(Bytes::from_static(b"go\n")).await.unwrap();
        while let Some((_, bytes)) = output.try_next().await.unwrap() {
            seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert!(seen.contains("40 100"), "{seen}");
        assert_eq!(exec.exit.await.unwrap(), 0);
    })
    .await;
}

fn texts(lines: &[LogLine]) -> Vec<(Stream, &str)> {
    lines.iter().map(|line| (line.stream, line.line.as_str())).collect()
}

#[tokio::test]
async fn logs_are_lines() {
    staged("logs", |stage| async move {
        let long = "x".repeat(40_000);
        let script = "echo one; echo; head -c 40000 /dev/zero | tr '\\0' x; echo; sleep 0.3; echo oops >&2; sleep 0.3; printf end";
        let id = stage.create(stage.script("web", script)).await;
        stage.run(&id).await.unwrap();
        let lines: Vec<_> = stage.engine.logs(&id, LogQuery::default()).try_collect().await.unwrap();
        let expected = [
            (Stream::Stdout, "one"),
            (Stream::Stdout, ""),
            (Stream::Stdout, long.as_str()),
            (Stream::Stderr, "oops"),
            (Stream::Stdout, "end"),
        ];
        assert_eq!(texts(&lines), expected);
        assert!(lines.iter().all(|line| line.time.starts_with("20") && line.time.ends_with('Z')), "{lines:?}");

        let tail = LogQuery { tail: Some(2), ..Default::default() };
        let lines: Vec<_> = stage.engine.logs(&id, tail).try_collect().await.unwrap();
        assert_eq!(texts(&lines), expected[3..]);
        let since = LogQuery { since: "2096-10-02T07:06:40Z".parse().ok(), ..Default::default() };
        assert_eq!(stage.engine.logs(&id, since).count().await, 0);
        let gone: Result<Vec<_>, _> = stage.engine.logs("devd-no-such-container", LogQuery::default()).try_collect().await;
        assert!(matches!(gone, Err(EngineError::NotFound(_))));
    })
    .await;
}

#[tokio::test]
async fn logs_can_be_followed() {
    staged("follow", |stage| async move {
        let mut spec = stage.script("web", "echo one; sleep 1; echo two; sleep 1000");
        spec.service.tty = true;
        let id = stage.start(spec).await;
        let mut lines = stage.engine.logs(&id, LogQuery { follow: true, ..Default::default() });
        for expected in ["one", "two"] {
            let line = tokio::time::timeout(Duration::from_secs(20), lines.try_next())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            assert_eq!((line.stream, line.line.as_str()), (Stream::Stdout, expected));
            assert!(line.time.starts_with("20"), "{line:?}");
        }
        stage.act(Act::Kill(id)).await.unwrap();
        assert_eq!(lines.try_next().await.unwrap(), None);
    })
    .await;
}
