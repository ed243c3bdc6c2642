//! Images are built by BuildKit, where Docker's client has it.

use crate::build::spec;
use crate::stage::{Stage, staged_with};
use devd_compose::model::{Build, Grant};
use devdd::engine::spec::Act;
use devdd::engine::{Engine, EngineError, Progress};
use std::fs;

pub(crate) fn has_buildx() -> bool {
    let version = std::process::Command::new("docker").args(["buildx", "version"]).output();
    version.is_ok_and(|output| output.status.success())
}

/// Said by a test that cannot be done without it.
pub(crate) const NO_BUILDX: &str = "docker buildx is not installed here: nothing is built with it";

async fn shows(stage: &Stage, image: &str, script: &str) -> String {
    let container = stage.create(stage.container("web", image, &["sh", "-c", script])).await;
    let (code, out, err) = stage.run(&container).await.unwrap();
    assert_eq!(code, 0, "{}", String::from_utf8_lossy(&err));
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn newer_dockerfiles_and_all_fields_of_a_build_work() {
    if !has_buildx() {
        println!("{NO_BUILDX}");
        return;
    }
    staged_with("1", "buildx", |stage| async move {
        let folder = tempfile::tempdir().unwrap();
        let context = folder.path().join("a b");
        fs::create_dir_all(&context).unwrap();
        fs::write(folder.path().join("key"), "of a file\n").unwrap();
        fs::write(context.join("kept"), "kept\n").unwrap();
        fs::write(context.join("left.out"), "").unwrap();
        fs::write(context.join(".dockerignore"), "*.out\n").unwrap();
        let dockerfile = "FROM busybox:1\nARG WHO\nCOPY . /src\n\
             RUN --mount=type=cache,target=/cache --mount=type=secret,id=key --mount=type=secret,id=token \
             echo $WHO > /who; cat /run/secrets/key /run/secrets/token > /secrets\n";
        let build = Build {
            dockerfile_inline: Some(dockerfile.to_owned()),
            args: [("WHO".to_owned(), Some("me and you".to_owned()))].into(),
            secrets: vec![
                Grant { source: "key".to_owned(), file: folder.path().join("key"), ..Grant::default() },
                Grant {
                    source: "token".to_owned(),
                    content: Some("of a variable\n".to_owned()),
                    ..Grant::default()
                },
            ],
            ..Build::default()
        };
        let spec = spec(&stage, &context, build);
        let (sender, mut lines) = tokio::sync::mpsc::channel(1000);
        let act = Act::Build(Box::new(spec.clone()));
        let id = stage.engine.apply(&act, &Progress::to(sender)).await.unwrap().id.unwrap();
        let mut said = Vec::new();
        while let Ok(line) = lines.try_recv() {
            said.push(line);
        }
        assert!(said.iter().any(|line| line.ends_with("COPY . /src")), "{said:?}");
        let image = stage.api.inspect_image(&spec.tag).await.unwrap();
        assert_eq!(image.id.as_ref(), Some(&id));
        let script = "ls /src; cat /who /secrets";
        let expected = "kept\nme and you\nof a file\nof a variable\n";
        assert_eq!(shows(&stage, &spec.tag, script).await, expected);
        // The same again is the same image.
        let again = stage.act(Act::Build(Box::new(spec))).await.unwrap().id.unwrap();
        assert_eq!(again, id);
    })
    .await;
}

#[tokio::test]
async fn a_build_that_fails_says_where() {
    if !has_buildx() {
        println!("{NO_BUILDX}");
        return;
    }
    staged_with("1", "buildxfails", |stage| async move {
        let folder = tempfile::tempdir().unwrap();
        let fails = async |dockerfile: &str| {
            fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
            match stage.act(Act::Build(Box::new(spec(&stage, folder.path(), Build::default())))).await {
                Err(EngineError::BuildFailed { message, output }) => (message, output),
                other => panic!("{other:?}"),
            }
        };
        let (message, output) = fails("FROM busybox:1\nRUN echo oops && exit 3\n").await;
        assert!(message.ends_with("RUN echo oops && exit 3 returned exit code 3"), "{message}");
        assert_eq!(output.last().map(String::as_str), Some("oops"), "{output:?}");
        let (message, _) = fails("FROM busybox:1\nRUNN true\n").await;
        assert!(message.contains("unknown instruction: RUNN"), "{message}");
        let (message, _) = fails("FROM devd-test/never:1\n").await;
        assert!(message.contains("devd-test/never:1"), "{message}");
    })
    .await;
}
