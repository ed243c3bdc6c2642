//! What is mounted.

use crate::stage::{docker, staged};
use serde_json::{Value, json};

#[tokio::test]
async fn all_kinds_of_mounts_are_made() {
    staged("mounted", |stage| async move {
        let text = "
services:
  a:
    image: busybox:1
    command: sleep 1000
    stop_grace_period: 0s
    tmpfs: /scratch:size=64k
    volumes:
      - {type: bind, source: ./here, target: /flat, bind: {recursive: disabled}}
      - {type: bind, source: ./made, target: /made, read_only: true}
      - {type: volume, target: /anonymous, volume: {labels: {who: me}}}
      - {type: volume, source: data, target: /data, volume: {nocopy: true}}
      - {type: tmpfs, target: /memory, tmpfs: {size: 1m}}
volumes: {data: {labels: {kept: 'yes'}}}
";
        let files = stage.files(text, &[]);
        std::fs::create_dir(files.dir.path().join("here")).unwrap();
        let id = &stage.run_all(&files).await["a"];
        let seen = stage.inspect(id).await;
        let mounts = seen["HostConfig"]["Mounts"].as_array().unwrap();
        let of = |target: &str| mounts.iter().find(|it| it["Target"] == target).unwrap_or(&Value::Null);
        assert_eq!(of("/flat")["BindOptions"], json!({ "NonRecursive": true }));
        assert_eq!(of("/anonymous")["VolumeOptions"]["Labels"]["who"], "me");
        assert_eq!(of("/memory")["TmpfsOptions"], json!({ "SizeBytes": 1 << 20 }));
        let made = seen["Mounts"].as_array().unwrap();
        let anonymous = made.iter().find(|it| it["Destination"] == "/anonymous").unwrap();
        let name = anonymous["Name"].as_str().unwrap();
        let label = docker(&["volume", "inspect", "--format", "{{.Labels.who}}", name]).await;
        assert_eq!(label.trim(), "me");
        let volume = format!("{}_data", stage.project);
        let named = docker(&["volume", "inspect", "--format", "{{.Labels.kept}}", &volume]).await;
        assert_eq!(named.trim(), "yes");
        assert!(files.dir.path().join("made").is_dir());
        let found = stage
            .inside(
                id,
                "touch /flat/x /data/x /memory/x /scratch/x; touch /made/x 2>&1; df -k /scratch | tail -1",
            )
            .await;
        assert!(found.contains("/made/x: Read-only file system"), "{found}");
        assert!(found.contains(" 64 "), "{found}");
        assert!(files.dir.path().join("here/x").exists());
    })
    .await;
}
