//! How services are on their networks, and what networks are.

use crate::stage::{docker, refusal, staged};
use serde_json::json;

#[tokio::test]
async fn everything_of_a_place_on_a_network_is_applied() {
    staged("attached", |stage| async move {
        let text = "
services:
  a:
    image: busybox:1
    command: sleep 1000
    stop_grace_period: 0s
    mac_address: 02:42:0a:57:00:99
    networks:
      a-back: {priority: -1, driver_opts: {com.example.x: y}}
      front:
        ipv4_address: 10.219.87.9
        ipv6_address: 'fd00:219:87::9'
        link_local_ips: [169.254.8.8]
        aliases: [other]
    external_links: ['b-box:friend']
networks:
  a-back: {}
  front:
    enable_ipv6: true
    driver_opts: {com.docker.network.bridge.enable_icc: 'true'}
    ipam:
      options: {com.example.o: p}
      config: [{subnet: 10.219.87.0/24, gateway: 10.219.87.254}, {subnet: 'fd00:219:87::/64'}]
";
        let files = stage.files(text, &[]);
        let id = &stage.run_all(&files).await["a"];
        let seen = stage.inspect(id).await;
        let network = |key: &str| format!("{}_{key}", stage.project);
        // The first one, by its priority and not by its name, is the container's own.
        assert_eq!(seen["HostConfig"]["NetworkMode"], network("front").as_str());
        let front = &seen["NetworkSettings"]["Networks"][network("front")];
        assert_eq!(
            front["IPAMConfig"],
            json!({
                "IPv4Address": "10.219.87.9", "IPv6Address": "fd00:219:87::9", "LinkLocalIPs": ["169.254.8.8"],
            })
        );
        assert_eq!(front["MacAddress"], "02:42:0a:57:00:99");
        assert_eq!(front["Links"], json!(["b-box:friend"]));
        let back = &seen["NetworkSettings"]["Networks"][network("a-back")];
        assert_eq!(back["DriverOpts"], json!({ "com.example.x": "y" }));
        let addresses = stage.inside(id, "ip addr; ip route").await;
        for expected in
            ["02:42:0a:57:00:99", "inet 10.219.87.9/24", "inet6 fd00:219:87::9/64", "default via 10.219.87.254"]
        {
            assert!(addresses.contains(expected), "{expected}: {addresses}");
        }
        let front = stage.inspect(&network("front")).await;
        assert_eq!(front["EnableIPv6"], true);
        assert_eq!(front["IPAM"]["Options"], json!({ "com.example.o": "p" }));
    })
    .await;
}

#[tokio::test]
async fn what_this_engine_cannot_do_is_refused_by_its_name() {
    let version = docker(&["version", "--format", "{{.Server.APIVersion}}"]).await;
    let minor: u32 = version.trim().rsplit('.').next().unwrap().parse().unwrap();
    staged("cannot", |stage| async move {
        let networks = |said: &str| format!("    networks: {{default: {{{said}}}}}\n");
        let volumes = |said: &str| format!("    volumes: [{said}]\n");
        for (since, field, said) in [
            (48, "gw_priority", networks("gw_priority: 3")),
            (49, "interface_name", networks("interface_name: eth7")),
            (44, "mac_address", "    networks: {default: {}, other: {mac_address: '02:42:0a:57:00:98'}}\n".to_owned()),
            (44, "bind.recursive", volumes("{type: bind, source: ., target: /b, bind: {recursive: readonly}}")),
            (45, "volume.subpath", volumes("{type: volume, source: v, target: /b, volume: {subpath: x}}")),
            (48, "type: image", volumes("{type: image, source: 'busybox:1', target: /b}")),
        ] {
            if minor >= since {
                eprintln!("this engine has API 1.{minor}: nothing to see of `{field}`");
                continue;
            }
            let text = format!("services:\n  a:\n    image: busybox:1\n{said}networks: {{other: {{}}}}\nvolumes: {{v: {{}}}}\n");
            let files = stage.files(&text, &[]);
            let message = refusal(stage.make(&files).await);
            let (start, end) = (format!("`{field}` of the "), format!("this one has 1.{minor}"));
            assert!(message.starts_with(&start) && message.ends_with(&end), "{message}");
        }
        if minor < 48 {
            let text = "services: {a: {image: 'busybox:1', networks: [n]}}\nnetworks: {n: {enable_ipv4: false}}\n";
            let message = refusal(stage.make(&stage.files(text, &[])).await);
            assert!(message.starts_with("`enable_ipv4: false` of the network "), "{message}");
        }
    })
    .await;
}
