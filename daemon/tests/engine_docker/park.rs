//! The park in real containers: what it may not change, and what it must outlive.

use crate::stage::{Stage, bind, staged};
use devd_compose::model::Service;
use devd_proto::Stream;
use devdd::engine::docker::{Docker, Surroundings};
use devdd::engine::spec::{Act, ContainerSpec, Park, label};
use devdd::engine::{Applied, Engine, EngineError};
use devdd::warm::RunError;
use devdd::warm::parked::Parked;
use std::time::Duration;
use tempfile::TempDir;

/// Runs a test on an engine that knows the park.
async fn with_park<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Stage) -> F) {
    // Containers of any user reach their socket below it; the folder itself is private in real life too.
    let state = TempDir::new().unwrap();
    staged(name, |stage| async {
        let engine = Docker::connect(Surroundings::of_process(), Some(state.path()));
        engine.tried().await;
        test(Stage { engine, ..stage }).await;
    })
    .await;
}

fn waiting(spec: ContainerSpec) -> ContainerSpec {
    ContainerSpec { park: Some(Park::Wait { stays: false }), ..spec }
}

/// What came of a run.
#[derive(Debug)]
struct Outcome {
    code: Result<Option<i64>, RunError>,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Stage {
    async fn park(&self, spec: ContainerSpec) -> Parked {
        let Applied { id, parked } = self.act(Act::Create(Box::new(waiting(spec)))).await.unwrap();
        let attached = self.engine.attach(&id.unwrap()).await.unwrap();
        Parked::new(attached, parked.expect("it is under no park")).await.unwrap()
    }

    async fn released(&self, parked: Parked, command: &[&str]) -> Outcome {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let (sender, mut receiver) = tokio::sync::mpsc::channel(16);
        let run = async {
            let code = parked.run(&command, !command.is_empty(), &sender, || {}).await;
            drop(sender);
            code
        };
        let read = async {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            while let Some((stream, bytes)) = receiver.recv().await {
                let to: &mut Vec<u8> = if stream == Stream::Stdout { &mut out } else { &mut err };
                to.extend_from_slice(&bytes);
            }
            (out, err)
        };
        let (code, (out, err)) = tokio::join!(run, read);
        Outcome { code, out, err }
    }

    async fn parked_run(&self, spec: ContainerSpec) -> Outcome {
        let parked = self.park(spec).await;
        self.released(parked, &[]).await
    }

    /// Waits until the engine has removed a container.
    async fn until_gone(&self, name: &str) {
        let gone = async {
            while self.exists(name).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone).await.expect("its container stays");
    }

    /// An image with nothing but one static program, by the engine's own client.
    fn image(&self, tag: &str, dockerfile: &str) {
        let context = TempDir::new().unwrap();
        std::fs::write(context.path().join("Dockerfile"), dockerfile).unwrap();
        let label = format!("{}={}", label::PROJECT, self.project);
        let built = std::process::Command::new("docker")
            .args(["build", "-q", "--label", &label, "-t", tag])
            .arg(context.path())
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn what_the_image_says_stays_so() {
    with_park("says", |stage| async move {
        let tag = format!("{}-says", stage.project);
        let dockerfile = "FROM busybox:1\nRUN mkdir -p /opt/here\nUSER 1234:4321\nWORKDIR /opt/here\n\
             ENV COLOUR=green\nENTRYPOINT [\"/bin/sh\", \"-c\"]\n\
             CMD [\"id -u; id -g; pwd; echo $COLOUR; echo to stderr >&2; exit 7\"]\n";
        stage.image(&tag, dockerfile);
        let outcome = stage.parked_run(stage.container("image", &tag, &[])).await;
        assert_eq!(outcome.code.unwrap(), Some(7));
        assert_eq!(text(&outcome.out), "1234\n4321\n/opt/here\ngreen\n");
        assert_eq!(text(&outcome.err), "to stderr\n");

        // Another command behind the same entrypoint.
        let parked = stage.park(stage.container("other", &tag, &["echo never"])).await;
        let outcome = stage.released(parked, &["echo other; exit 3"]).await;
        assert_eq!((outcome.code.unwrap(), text(&outcome.out)), (Some(3), "other\n"));

        // The file's own words go before the image's.
        let mut spec = stage.container("file", &tag, &["user", "at", "work"]);
        spec.service = Service {
            entrypoint: Some(vec!["/bin/echo".to_owned(), "-n".to_owned()]),
            working_dir: Some("/tmp".to_owned()),
            user: Some("0".to_owned()),
            ..spec.service
        };
        let outcome = stage.parked_run(spec).await;
        assert_eq!((outcome.code.unwrap(), text(&outcome.out)), (Some(0), "user at work"));
    })
    .await;
}

#[tokio::test]
async fn ends_are_told_as_the_engine_would() {
    with_park("ends", |stage| async move {
        let outcome = stage.parked_run(stage.script("killed", "kill -9 $$")).await;
        assert_eq!(outcome.code.unwrap(), Some(137));
        let outcome = stage.parked_run(stage.script("segv", "kill -SEGV $$")).await;
        assert_eq!(outcome.code.unwrap(), Some(139));
        let outcome = stage.parked_run(stage.container("none", "busybox:1", &["/no/such/program"])).await;
        let reason = outcome.code.unwrap_err().to_string();
        assert!(reason.contains("cannot execute") && reason.contains("No such file"), "{reason}");
        let outcome = stage.parked_run(stage.script("eof", "cat; echo end of file")).await;
        assert_eq!((outcome.code.unwrap(), text(&outcome.out)), (Some(0), "end of file\n"));
        for name in ["killed", "segv", "none", "eof"] {
            stage.until_gone(&format!("{}-{name}-1", stage.project)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn every_byte_comes_through() {
    with_park("bytes", |stage| async move {
        let outcome = stage.parked_run(stage.script("large", "head -c 100000000 /dev/zero; echo; echo end")).await;
        assert_eq!(outcome.code.unwrap(), Some(0));
        assert_eq!(outcome.out.len(), 100_000_005);
        assert!(outcome.out.ends_with(b"\0\nend\n"));

        // Half of a record's beginning, then all bytes there are.
        let script = "printf '\\0\\377devd-pa'; i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %o $i)\"; i=$((i+1)); done";
        let outcome = stage.parked_run(stage.script("binary", script)).await;
        let all: Vec<u8> = b"\0\xffdevd-pa".iter().copied().chain(0..=255).collect();
        assert_eq!((outcome.code.unwrap(), outcome.out), (Some(0), all));
    })
    .await;
}

#[tokio::test]
async fn poor_containers_have_room_for_it() {
    with_park("poor", |stage| async move {
        let poor = |name: &str, image: &str, command: &[&str]| {
            let mut spec = stage.container(name, image, command);
            spec.service.read_only = true;
            spec.service.cap_drop = vec!["ALL".to_owned()];
            spec.service.security_opt = vec!["no-new-privileges:true".to_owned()];
            spec.service.user = Some("65534:65534".to_owned());
            spec
        };
        let outcome = stage.parked_run(poor("poor", "busybox:1", &["sh", "-c", "id -u; touch /x"])).await;
        assert_eq!((outcome.code.unwrap(), text(&outcome.out)), (Some(1), "65534\n"));

        let tag = format!("{}-bare", stage.project);
        stage.image(&tag, "FROM busybox:1 AS box\nFROM scratch\nCOPY --from=box /bin/busybox /busybox\nENTRYPOINT [\"/busybox\"]\n");
        let outcome = stage.parked_run(poor("bare", &tag, &["echo", "no shell here"])).await;
        assert_eq!((outcome.code.unwrap(), text(&outcome.out)), (Some(0), "no shell here\n"));

        let mut spec = poor("serve", &tag, &["sleep", "1000"]);
        spec.park = Some(Park::Serve);
        restarted_in_place(&stage, spec).await;
    })
    .await;
}

#[tokio::test]
async fn dropped_tests_are_gone_with_all_their_kind() {
    with_park("dropped", |stage| async move {
        let script = "trap '' TERM HUP INT; (setsid sh -c 'trap \"\" TERM HUP; sleep 1000' &) ; sleep 1000 & echo up; wait";
        let parked = stage.park(stage.script("stubborn", script)).await;
        let (sender, mut receiver) = tokio::sync::mpsc::channel(16);
        let run = tokio::spawn(async move { parked.run(&[], false, &sender, || {}).await });
        assert_eq!(receiver.recv().await.unwrap().1, "up\n");
        run.abort();
        stage.until_gone(&format!("{}-stubborn-1", stage.project)).await;

        // One that was never released.
        let parked = stage.park(stage.script("unused", "echo never")).await;
        drop(parked);
        stage.until_gone(&format!("{}-unused-1", stage.project)).await;
    })
    .await;
}

/// The time at which a container's main process was started, as the engine has it, and its process ids.
async fn life(stage: &Stage, id: &str) -> (String, String) {
    let found = stage.api.inspect_container(id, None).await.unwrap();
    let top = stage.api.top_processes(id, None).await.unwrap();
    (found.state.unwrap().started_at.unwrap(), format!("{:?}", top.processes))
}

async fn restarted_in_place(stage: &Stage, spec: ContainerSpec) {
    let id = stage.start(spec).await;
    let (started, processes) = life(stage, &id).await;
    stage.act(Act::Restart { container: id.clone(), grace: None }).await.unwrap();
    let (still, others) = life(stage, &id).await;
    assert_eq!(still, started, "the engine restarted it");
    assert_ne!(others, processes, "nothing was restarted");
}

#[tokio::test]
async fn a_service_is_restarted_in_its_container() {
    with_park("serve", |stage| async move {
        let serve = |spec: ContainerSpec| ContainerSpec { park: Some(Park::Serve), ..spec };
        restarted_in_place(&stage, serve(stage.script("kind", "sleep 1000"))).await;
        // It is killed when its time is over.
        restarted_in_place(&stage, serve(stage.script("deaf", "trap '' TERM; while :; do sleep 1; done")))
            .await;

        // These get the engine's restart.
        type Set = fn(&mut Service);
        let odd: [(&str, Set); 3] = [
            ("tty", |service| service.tty = true),
            ("input", |service| service.stdin_open = true),
            ("init", |service| service.init = Some(true)),
        ];
        for (name, set) in odd {
            let mut spec = serve(stage.script(name, "sleep 1000"));
            set(&mut spec.service);
            let id = stage.start(spec).await;
            let (started, _) = life(&stage, &id).await;
            stage.act(Act::Restart { container: id.clone(), grace: None }).await.unwrap();
            assert_ne!(life(&stage, &id).await.0, started, "{name} was not restarted");
        }
    })
    .await;
}

#[tokio::test]
async fn a_stop_by_hand_amid_a_restart_is_not_undone() {
    with_park("stop", |stage| async move {
        let script = "trap 'echo told' TERM; while :; do sleep 0.1; done";
        let id =
            stage.start(ContainerSpec { park: Some(Park::Serve), ..stage.script("web", script) }).await;
        let restart = Act::Restart { container: id.clone(), grace: Some(Duration::from_secs(3600)) };
        let restarts = tokio::spawn({
            let stage = stage.clone();
            async move { stage.act(restart).await }
        });
        let docker = |args: &[&str]| std::process::Command::new("docker").args(args).output().unwrap();
        let told = async {
            while docker(&["logs", &id]).stdout.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), told).await.expect("nobody restarts it");
        assert!(docker(&["stop", "-t", "1", &id]).status.success());
        let restarted = tokio::time::timeout(Duration::from_secs(60), restarts).await.unwrap().unwrap();
        assert!(
            matches!(&restarted, Err(EngineError::Refused(why)) if why == "somebody else stops its container"),
            "{restarted:?}"
        );
        let found = stage.api.inspect_container(&id, None).await.unwrap();
        assert_eq!(found.state.unwrap().running, Some(false));
    })
    .await;
}

#[tokio::test]
async fn a_stop_by_hand_right_before_a_restart_is_not_undone() {
    with_park("stopped", |stage| async move {
        let spec = ContainerSpec { park: Some(Park::Serve), ..stage.script("web", "sleep 1000") };
        let id = stage.start(spec).await;
        // Once its park was spoken with, and once more when only the engine knows of it.
        for spoken_with in [true, false] {
            let restart = || stage.act(Act::Restart { container: id.clone(), grace: None });
            if spoken_with {
                restart().await.unwrap();
            }
            let stop = std::process::Command::new("docker").args(["stop", "-t", "1", &id]).output().unwrap();
            assert!(stop.status.success());
            let restarted = restart().await;
            assert!(
                matches!(&restarted, Err(EngineError::Refused(why)) if why == "its container has ended meanwhile"),
                "{restarted:?}"
            );
            let found = stage.api.inspect_container(&id, None).await.unwrap();
            assert_eq!(found.state.unwrap().running, Some(false));
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_that_was_replaced_is_mounted_anew() {
    let state = TempDir::new().unwrap();
    staged("file", |stage| async move {
        // As it is when devd was started anew each time: what it knows of the container is what the engine tells.
        let devd = || async {
            let engine = Docker::connect(Surroundings::of_process(), Some(state.path()));
            engine.tried().await;
            Stage { engine, ..stage.clone() }
        };
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("conf");
        std::fs::write(&file, "old").unwrap();
        let mut spec = stage.script("web", "cat /conf; echo; sleep 1000");
        spec.park = Some(Park::Serve);
        spec.service.volumes = vec![bind(&file, "/conf")];
        let first = devd().await;
        let id = first.start(spec).await;
        // Each comes as soon as the engine calls the container started, when clocks are too coarse to tell which was first.
        for (saved, stage) in [("new", first.clone()), ("newer", first), ("newest", devd().await)] {
            // As editors save.
            std::fs::write(folder.path().join("half"), saved).unwrap();
            std::fs::rename(folder.path().join("half"), &file).unwrap();
            stage.act(Act::Restart { container: id.clone(), grace: None }).await.unwrap();
            let written = async {
                loop {
                    let logs = std::process::Command::new("docker").args(["logs", &id]).output().unwrap();
                    if text(&logs.stdout).ends_with(&format!("{saved}\n")) {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let read = tokio::time::timeout(Duration::from_secs(60), written).await;
            read.unwrap_or_else(|_| panic!("it does not read what is {saved}"));
        }
    })
    .await;
}
