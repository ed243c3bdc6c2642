use super::*;
use devd_compose::{Options, load};
use serde_json::json;

/// The host's part for the service `a` of a compose file.
fn of(yaml: &str) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("compose.yaml"), yaml).unwrap();
    let options =
        Options { dir: folder.path().to_owned(), project_name: Some("p".into()), ..Options::default() };
    let loaded = load(&options).unwrap_or_else(|error| panic!("{error}"));
    serde_json::to_value(settings(&loaded.project.services["a"])).unwrap()
}

#[test]
fn a_plain_service_asks_for_nothing() {
    assert_eq!(of("services: {a: {image: x, attach: false, scale: 1, deploy: {labels: [a=b]}}}"), json!({}));
}

#[test]
fn every_setting_reaches_the_engine() {
    let found = of(r#"
services:
  a:
    image: x
    annotations: {a: b}
    blkio_config:
      weight: 300
      weight_device: [{path: /dev/sda, weight: 400}]
      device_read_bps: [{path: /dev/sdb, rate: 12mb}]
      device_read_iops: [{path: /dev/sdb, rate: 120}]
      device_write_bps: [{path: /dev/sdb, rate: 1k}]
      device_write_iops: [{path: /dev/sdb, rate: 30}]
    cgroup: host
    cgroup_parent: parent
    cpu_count: 2
    cpu_percent: "12.5"
    cpu_period: 100000
    cpu_quota: -1
    cpu_rt_period: 1400
    cpu_rt_runtime: 400
    cpu_shares: 73
    cpuset: 0-3
    device_cgroup_rules: [c 1:3 mr]
    devices: [/dev/null, "/dev/c:/dev/d:r", {source: /dev/e, target: /dev/e}, vendor.com/class=name]
    dns_opt: [use-vc]
    dns_search: [example.com]
    gpus: all
    ipc: shareable
    isolation: default
    mem_reservation: 64m
    mem_swappiness: 60
    memswap_limit: -1
    oom_kill_disable: true
    oom_score_adj: -500
    pid: host
    runtime: runc
    storage_opt: {size: 1G}
    userns_mode: host
    uts: host
    volumes_from: ["container:other:ro"]
    deploy:
      resources:
        limits: {cpus: 0.5, memory: 1m, pids: 7}
        reservations: {memory: 64m, devices: [{driver: nvidia, device_ids: ["0"], capabilities: [gpu, utility], options: {o: p}}]}
"#);
    let expected = json!({
        "Annotations": { "a": "b" },
        "BlkioWeight": 300,
        "BlkioWeightDevice": [{ "Path": "/dev/sda", "Weight": 400 }],
        "BlkioDeviceReadBps": [{ "Path": "/dev/sdb", "Rate": 12_582_912 }],
        "BlkioDeviceReadIOps": [{ "Path": "/dev/sdb", "Rate": 120 }],
        "BlkioDeviceWriteBps": [{ "Path": "/dev/sdb", "Rate": 1024 }],
        "BlkioDeviceWriteIOps": [{ "Path": "/dev/sdb", "Rate": 30 }],
        "CgroupnsMode": "host",
        "CgroupParent": "parent",
        "CpuCount": 2,
        "CpuPercent": 1250,
        "CpuPeriod": 100_000,
        "CpuQuota": -1,
        "CpuRealtimePeriod": 1400,
        "CpuRealtimeRuntime": 400,
        "CpuShares": 73,
        "CpusetCpus": "0-3",
        "DeviceCgroupRules": ["c 1:3 mr"],
        "Devices": [
            { "PathOnHost": "/dev/null", "PathInContainer": "/dev/null", "CgroupPermissions": "rwm" },
            { "PathOnHost": "/dev/c", "PathInContainer": "/dev/d", "CgroupPermissions": "r" },
            { "PathOnHost": "/dev/e", "PathInContainer": "/dev/e", "CgroupPermissions": "rwm" },
        ],
        "DeviceRequests": [
            { "Driver": "nvidia", "DeviceIDs": ["0"], "Capabilities": [["gpu", "utility"]], "Options": { "o": "p" } },
            { "Count": -1, "Capabilities": [["gpu"]] },
            { "Driver": "cdi", "DeviceIDs": ["vendor.com/class=name"] },
        ],
        "DnsOptions": ["use-vc"],
        "DnsSearch": ["example.com"],
        "Isolation": "default",
        "Memory": 1 << 20,
        "MemoryReservation": 64 << 20,
        "MemorySwap": -1,
        "MemorySwappiness": 60,
        "NanoCpus": 500_000_000,
        "OomKillDisable": true,
        "OomScoreAdj": -500,
        "PidsLimit": 7,
        "Runtime": "runc",
        "StorageOpt": { "size": "1G" },
        "UsernsMode": "host",
        "UTSMode": "host",
    });
    assert_eq!(found, expected);
}
