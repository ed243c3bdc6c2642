//! Namespaces and volumes of other services.

use crate::files::{Files, spec};
use crate::stage::{refusal, staged};
use devdd::engine::spec::Act;

const TEXT: &str = r#"
services:
  owner:
    image: busybox:1
    command: sh -c 'echo of the owner > /data/file; exec sleep 1001'
    stop_grace_period: 0s
    ipc: shareable
    volumes: [/data]
  a-guest:
    image: busybox:1
    command: sleep 1002
    stop_grace_period: 0s
    network_mode: service:owner
    ipc: service:owner
    pid: service:owner
    volumes_from: [owner]
  a-reader:
    image: busybox:1
    command: sleep 1003
    stop_grace_period: 0s
    volumes_from: ["owner:ro"]
"#;

#[tokio::test]
async fn what_another_service_has_is_shared() {
    staged("shares", |stage| async move {
        let files = stage.files(TEXT, &[]);
        let made = stage.run_all(&files).await;
        let (owner, guest) = (&made["owner"], &made["a-guest"]);
        for space in ["net", "ipc", "pid"] {
            let link = format!("readlink /proc/self/ns/{space}");
            assert_eq!(stage.inside(owner, &link).await, stage.inside(guest, &link).await, "{space}");
        }
        // The owner may not have come so far yet.
        let seen = "until ps | grep 'sleep 100[1]'; do usleep 20000; done";
        assert!(stage.inside(guest, seen).await.contains("sleep 1001"));
        assert_eq!(stage.inside(guest, "cat /data/file; echo more > /data/more").await, "of the owner\n");
        let reader = stage.inside(&made["a-reader"], "exec 2>&1; cat /data/more; echo no > /data/no").await;
        assert!(reader.starts_with("more\n") && reader.contains("Read-only"), "{reader}");

        let host = &stage.inspect(guest).await["HostConfig"];
        let of_owner = format!("container:{owner}");
        for key in ["NetworkMode", "IpcMode", "PidMode"] {
            assert_eq!(host[key], of_owner.as_str());
        }
        assert_eq!(host["VolumesFrom"], serde_json::json!([owner]));

        // A look tells with whom: that is how a container of an owner that is gone is known.
        let look = stage.look().await.observed;
        let shares = |service: &str| look.main(&service.into()).unwrap().shares.clone();
        assert_eq!(shares("a-guest"), [owner.clone()].into());
        assert_eq!(shares("a-reader"), [owner.clone()].into());
        assert!(shares("owner").is_empty());
    })
    .await;
}

#[tokio::test]
async fn nothing_is_shared_with_who_is_not_there() {
    staged("shares-none", |stage| async move {
        let Files { blueprint, .. } = stage.files(TEXT, &[]);
        let message = refusal(stage.act(Act::Create(Box::new(spec(&blueprint, "a-guest")))).await);
        assert_eq!(message, format!("there is no container {}-owner-1 to share with", stage.project));
    })
    .await;
}

#[tokio::test]
async fn links_give_names_on_the_engines_own_network() {
    staged("bridge", |stage| async move {
        let text = "services:
  a:
    image: busybox:1
    command: sleep 1000
    stop_grace_period: 0s
    network_mode: bridge
    links: ['b:friend']
  b:
    image: busybox:1
    command: sleep 1000
    stop_grace_period: 0s
    network_mode: bridge
";
        let files = stage.files(text, &[]);
        let made = stage.run_all(&files).await;
        let said = stage.inside(&made["a"], "ping -c 1 -W 2 friend").await;
        assert!(said.contains("1 packets received"), "{said}");
        let look = stage.look().await.observed;
        assert!(look.main(&"a".into()).unwrap().shares.contains(&format!("{}-b-1", stage.project)));
    })
    .await;
}
