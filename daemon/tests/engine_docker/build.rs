//! Images are built as Docker would build them.

use crate::stage::{Stage, map, staged};
use devd_compose::model::Build;
use devdd::engine::spec::{Act, BuildSpec, label};
use devdd::engine::{Engine, EngineError, Progress};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(crate) fn spec(stage: &Stage, context: &Path, build: Build) -> BuildSpec {
    BuildSpec {
        tag: format!("{}-web", stage.project),
        build: Build { context: context.to_owned(), ..build },
        labels: map(&[(label::PROJECT, &stage.project)]),
        platform: None,
    }
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

async fn fails(stage: &Stage, spec: BuildSpec) -> (String, Vec<String>) {
    match stage.act(Act::Build(Box::new(spec))).await {
        Err(EngineError::BuildFailed { message, output }) => (message, output),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_only_buildkit_has_is_refused_by_name() {
    staged("beyond", |stage| async move {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("Dockerfile", "FROM busybox:1\nRUN --mount=type=cache,target=/c true\n")]);
        let (message, _) = fails(&stage, spec(&stage, folder.path(), Build::default())).await;
        assert!(message.contains(": RUN --mount=type=cache,target=/c true: it needs BuildKit"), "{message}");
        let build = Build { cache_to: vec!["type=inline".to_owned()], ..Build::default() };
        let (message, _) = fails(&stage, spec(&stage, folder.path(), build)).await;
        assert!(message.starts_with("`build.cache_to` needs BuildKit, and `docker buildx`"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn an_image_has_what_is_not_ignored() {
    staged("build", |stage| async move {
        let folder = tempfile::tempdir().unwrap();
        let context = folder.path().join("Service 1");
        write(
            &context,
            &[
                (
                    "Dockerfile",
                    "FROM busybox:1\nARG WHO=nobody\nARG NOT\nWORKDIR /app\nCOPY . .\nRUN echo $WHO > who\n",
                ),
                (".dockerignore", "*.md\n!keep.md\nnode_modules\nDockerfile\n.dockerignore"),
                ("a file.txt", "a"),
                ("README.md", ""),
                ("keep.md", ""),
                ("node_modules/x.js", ""),
                ("run.sh", "#!/bin/sh\necho runs"),
            ],
        );
        fs::set_permissions(context.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("a file.txt", context.join("link")).unwrap();
        let args = [("WHO".to_owned(), Some("me and you".to_owned())), ("NOT".to_owned(), None)].into();
        let extra = format!("{}-extra:2", stage.project);
        let spec = spec(&stage, &context, Build { args, tags: vec![extra.clone()], ..Default::default() });
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1000);
        let act = Act::Build(Box::new(spec.clone()));
        let id = stage.engine.apply(&act, &Progress::to(sender)).await.unwrap().id.unwrap();
        assert!(id.starts_with("sha256:"), "{id}");
        let mut progress = Vec::new();
        while let Ok(line) = receiver.try_recv() {
            progress.push(line);
        }
        assert!(progress.contains(&"Step 1/7 : FROM busybox:1".to_owned()), "{progress:?}");
        for image in [&spec.tag, &extra] {
            assert_eq!(stage.api.inspect_image(image).await.unwrap().id.as_ref(), Some(&id));
        }

        let script = "ls -A | sort; cat who; ./run.sh; readlink link; stat -c %u:%g run.sh";
        let container = stage.create(stage.container("web", &spec.tag, &["sh", "-c", script])).await;
        let (code, out, err) = stage.run(&container).await.unwrap();
        assert_eq!(code, 0, "{}", String::from_utf8_lossy(&err));
        let expected = "a file.txt\nkeep.md\nlink\nrun.sh\nwho\nme and you\nruns\na file.txt\n0:0\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);

        // The same again is the same image, out of the cache.
        assert_eq!(stage.act(act).await.unwrap().id, Some(id));
    })
    .await;
}

#[tokio::test]
async fn a_dockerfile_from_elsewhere_leaves_no_trace() {
    staged("elsewhere", |stage| async move {
        let folder = tempfile::tempdir().unwrap();
        let text = "FROM busybox:1\nWORKDIR /app\nCOPY . .\n";
        write(folder.path(), &[("context/a", ""), ("b.Dockerfile", text)]);
        let context = folder.path().join("context");
        let outside = Build { dockerfile: Some("../b.Dockerfile".to_owned()), ..Default::default() };
        let inline = Build { dockerfile_inline: Some(text.to_owned()), ..Default::default() };
        for build in [outside, inline] {
            let spec = spec(&stage, &context, build);
            stage.act(Act::Build(Box::new(spec.clone()))).await.unwrap();
            let container = stage.create(stage.container("web", &spec.tag, &["ls", "-A"])).await;
            assert_eq!(stage.run(&container).await.unwrap(), (0, b"a\n".to_vec(), Vec::new()));
            stage.act(Act::Kill(container)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_failure_says_where() {
    staged("failing", |stage| async move {
        let folder = tempfile::tempdir().unwrap();
        let build = |text: &str| {
            let build = Build { dockerfile_inline: Some(text.to_owned()), ..Default::default() };
            spec(&stage, folder.path(), build)
        };
        let (message, output) =
            fails(&stage, build("FROM busybox:1\nRUN seq 100; echo oops; exit 3\n")).await;
        // The engine counts the label as a step, too.
        assert_eq!(message, "Step 2/3: RUN seq 100; echo oops; exit 3 returned exit code 3");
        assert_eq!(output.len(), 20);
        assert!(output.contains(&"oops".to_owned()) && output.contains(&"100".to_owned()), "{output:?}");

        let (message, _) = fails(&stage, build("FROM localhost:1/nothing:1\n")).await;
        let start = "Step 1/2: FROM localhost:1/nothing:1: cannot pull localhost:1/nothing:1: ";
        assert!(message.starts_with(start), "{message}");

        let (message, _) = fails(&stage, build("FROM busybox:1\nCOPY missing /\n")).await;
        assert!(
            message.starts_with("Step 2/3: COPY missing /: ") && message.contains("missing"),
            "{message}"
        );
        let (message, _) = fails(&stage, build("FROM busybox:1\nFETCH x\n")).await;
        assert!(message.to_lowercase().contains("unknown instruction: fetch"), "{message}");

        let (message, _) = fails(&stage, spec(&stage, folder.path(), Build::default())).await;
        assert_eq!(message, format!("there is no Dockerfile at {}/Dockerfile", folder.path().display()));
        let labelled = stage.api.inspect_image(&format!("{}-web", stage.project)).await;
        assert!(labelled.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_large_context_is_streamed() {
    staged("large", |stage| async move {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("Dockerfile", "FROM busybox:1\nCOPY large /\nRUN wc -c < /large > /size\n")]);
        let file = fs::File::create(folder.path().join("large")).unwrap();
        file.set_len(64 << 20).unwrap();
        let spec = spec(&stage, folder.path(), Build::default());
        stage.act(Act::Build(Box::new(spec.clone()))).await.unwrap();
        let container = stage.create(stage.container("web", &spec.tag, &["cat", "/size"])).await;
        let (_, out, _) = stage.run(&container).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap().trim(), (64 << 20).to_string());
    })
    .await;
}
