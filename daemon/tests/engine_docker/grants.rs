//! Secrets and configs.

use crate::files::{Files, definition};
use crate::stage::{refusal, staged};

const TEXT: &str = r#"
services:
  app:
    image: busybox:1
    command: sleep 1000
    stop_grace_period: 0s
    user: "1000:1000"
    secrets:
      - token
      - {source: file, target: /elsewhere/file}
      - {source: token, target: mine, uid: "1000", gid: "7", mode: 0400}
    configs:
      - plain
      - {source: plain, target: /etc/deep/er/app.conf, mode: 0640, gid: "1000"}
      - from
secrets:
  token: {environment: TOKEN}
  file: {file: ./file.txt}
configs:
  plain: {content: "for ${TOKEN:+somebody} $${HOME}\n"}
  from: {environment: OTHER}
"#;

const ENV: [(&str, &str); 2] = [("TOKEN", "hush-hush"), ("OTHER", "other\nlines")];

#[tokio::test]
async fn what_is_no_file_is_put_into_the_container() {
    staged("grants", |stage| async move {
        let files = stage.files(TEXT, &ENV);
        std::fs::write(files.dir.path().join("file.txt"), "of a file").unwrap();
        let id = &stage.run_all(&files).await["app"];
        let paths = "/run/secrets/token /run/secrets/mine /plain /etc/deep/er/app.conf /from";
        let found = stage
            .inside(id, &format!("stat -c '%n %u:%g %a' {paths}; cd /; cat {paths} /elsewhere/file"))
            .await;
        let expected = "/run/secrets/token 0:0 444\n/run/secrets/mine 1000:7 400\n/plain 0:0 444\n\
            /etc/deep/er/app.conf 0:1000 640\n/from 0:0 444\n\
            hush-hushhush-hushfor somebody ${HOME}\nfor somebody ${HOME}\nother\nlinesof a file";
        assert_eq!(found, expected);

        // Only the one that is a file is mounted, and no value can be read from outside.
        let seen = stage.inspect(id).await;
        let mounts: Vec<_> = seen["Mounts"].as_array().unwrap().iter().map(|it| &it["Destination"]).collect();
        assert_eq!(mounts, ["/elsewhere/file"]);
        for value in ["hush", "other\\nlines"] {
            assert!(!seen.to_string().contains(value));
        }

        // They outlast a restart, and saying it again changes nothing.
        assert_eq!(&stage.make(&files).await.unwrap()["app"], id);
        stage.act(devdd::engine::spec::Act::Restart { container: id.clone(), grace: None }).await.unwrap();
        assert_eq!(stage.inside(id, "cat /run/secrets/token").await, "hush-hush");

        // Another value is another container.
        let other = stage.load(files.dir.path(), TEXT, &[("TOKEN", "another"), ENV[1]]).unwrap();
        assert_ne!(definition(&files.blueprint, "app"), definition(&other, "app"));
        let message = refusal(stage.make(&Files { blueprint: other, ..files }).await);
        assert!(message.contains("is held by container") && !message.contains("another"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_put_there_leaves_nothing_behind() {
    staged("no-grants", |stage| async move {
        let text = "services:\n  app:\n    image: busybox:1\n    command: sleep 1000\n    configs: [{source: c, target: /etc}]\nconfigs: {c: {content: hush}}\n";
        let files = stage.files(text, &[]);
        let message = refusal(stage.make(&files).await);
        assert!(message.starts_with("cannot put /etc into the container: "), "{message}");
        assert!(!message.contains("hush"), "{message}");
        assert!(!stage.exists(&format!("{}-app-1", stage.project)).await);
    })
    .await;
}
