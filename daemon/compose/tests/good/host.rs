//! What a service asks of its host, and `deploy`.

use devd_compose::model::RestartPolicy;
use devd_compose::{load, service_hash_input, to_json, to_yaml};
use expect_test::expect;

use crate::common::Folder;

const RICH: &str = r#"
services:
  a:
    image: x
    annotations: [a=b]
    attach: false
    blkio_config:
      weight: 300
      weight_device: [{path: /dev/sda, weight: 400}]
      device_read_bps: [{path: /dev/sdb, rate: 12mb}]
      device_read_iops: [{path: /dev/sdb, rate: 120}]
      device_write_bps: [{path: /dev/sdb, rate: 1024k}]
      device_write_iops: [{path: /dev/sdb, rate: 30}]
    cgroup: private
    cgroup_parent: m-executor-abcd
    cpu_count: 2
    cpu_percent: "12.5"
    cpu_period: "100000"
    cpu_quota: -1
    cpu_rt_period: 1400
    cpu_rt_runtime: 400
    cpu_shares: 73
    cpuset: 0-3
    device_cgroup_rules: [c 1:3 mr]
    devices: [/dev/null, "/dev/a:/dev/b", "/dev/c:/dev/d:r", {source: /dev/e, target: /dev/f}, vendor.com/class=name]
    dns_opt: [use-vc]
    dns_search: example.com
    domainname: example.com
    gpus: all
    ipc: shareable
    isolation: default
    label_file: ./labels
    labels: {one: set}
    mem_reservation: 64m
    mem_swappiness: 60
    memswap_limit: -1
    oom_kill_disable: true
    oom_score_adj: -500
    pid: host
    pids_limit: 10
    runtime: runc
    scale: 1
    storage_opt: {size: 1G}
    userns_mode: host
    uts: host
    volumes_from: ["container:other:ro"]
    deploy:
      mode: replicated
      replicas: 1
      labels: {a: b}
      endpoint_mode: vip
      update_config: {parallelism: 2, delay: 10s, failure_action: pause, monitor: 1m, max_failure_ratio: 0.5, order: start-first}
      rollback_config: {parallelism: 1}
      placement: {constraints: [node.role==manager], preferences: [{spread: node.labels.zone}], max_replicas_per_node: 1}
      restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 120s}
      resources:
        limits: {cpus: "0.50", memory: 50M, pids: 10}
        reservations:
          cpus: 0.25
          memory: 64m
          devices:
            - {driver: nvidia, count: 1, capabilities: [gpu, utility]}
            - {device_ids: ["0", "3"], capabilities: [gpu], options: {virtualization: "false"}}
            - {capabilities: [tpu]}
"#;

#[test]
fn every_field_of_the_host() {
    let folder = Folder::new(&[("compose.yaml", RICH), ("labels", "one=file\ntwo=file\n")]);
    let loaded = folder.load().unwrap_or_else(|error| panic!("{error}"));
    expect![[r#"
        {
          "annotations": {
            "a": "b"
          },
          "attach": false,
          "blkio_config": {
            "device_read_bps": [
              {
                "Path": "/dev/sdb",
                "Rate": "12582912"
              }
            ],
            "device_read_iops": [
              {
                "Path": "/dev/sdb",
                "Rate": "120"
              }
            ],
            "device_write_bps": [
              {
                "Path": "/dev/sdb",
                "Rate": "1048576"
              }
            ],
            "device_write_iops": [
              {
                "Path": "/dev/sdb",
                "Rate": "30"
              }
            ],
            "weight": 300,
            "weight_device": [
              {
                "Path": "/dev/sda",
                "Weight": 400
              }
            ]
          },
          "cgroup": "private",
          "cgroup_parent": "m-executor-abcd",
          "command": null,
          "cpu_count": 2,
          "cpu_percent": 12.5,
          "cpu_period": 100000,
          "cpu_quota": -1,
          "cpu_rt_period": 1400,
          "cpu_rt_runtime": 400,
          "cpu_shares": 73,
          "cpuset": "0-3",
          "deploy": {
            "endpoint_mode": "vip",
            "labels": {
              "a": "b"
            },
            "mode": "replicated",
            "placement": {
              "constraints": [
                "node.role==manager"
              ],
              "max_replicas_per_node": 1,
              "preferences": [
                {
                  "spread": "node.labels.zone"
                }
              ]
            },
            "replicas": 1,
            "resources": {
              "limits": {
                "cpus": 0.5,
                "memory": "52428800",
                "pids": 10
              },
              "reservations": {
                "cpus": 0.25,
                "devices": [
                  {
                    "capabilities": [
                      "gpu",
                      "utility"
                    ],
                    "count": 1,
                    "driver": "nvidia"
                  },
                  {
                    "capabilities": [
                      "gpu"
                    ],
                    "device_ids": [
                      "0",
                      "3"
                    ],
                    "options": {
                      "virtualization": "false"
                    }
                  },
                  {
                    "capabilities": [
                      "tpu"
                    ],
                    "count": -1
                  }
                ],
                "memory": "67108864"
              }
            },
            "restart_policy": {
              "condition": "on-failure",
              "delay": "5s",
              "max_attempts": 3,
              "window": "2m0s"
            },
            "rollback_config": {
              "parallelism": 1
            },
            "update_config": {
              "delay": "10s",
              "failure_action": "pause",
              "max_failure_ratio": 0.5,
              "monitor": "1m0s",
              "order": "start-first",
              "parallelism": 2
            }
          },
          "device_cgroup_rules": [
            "c 1:3 mr"
          ],
          "devices": [
            {
              "permissions": "rwm",
              "source": "/dev/null",
              "target": "/dev/null"
            },
            {
              "permissions": "rwm",
              "source": "/dev/a",
              "target": "/dev/b"
            },
            {
              "permissions": "r",
              "source": "/dev/c",
              "target": "/dev/d"
            },
            {
              "source": "/dev/e",
              "target": "/dev/f"
            },
            {
              "permissions": "rwm",
              "source": "vendor.com/class=name",
              "target": "vendor.com/class=name"
            }
          ],
          "dns_opt": [
            "use-vc"
          ],
          "dns_search": [
            "example.com"
          ],
          "domainname": "example.com",
          "entrypoint": null,
          "gpus": [
            {
              "count": -1
            }
          ],
          "image": "x",
          "ipc": "shareable",
          "isolation": "default",
          "labels": {
            "one": "set",
            "two": "file"
          },
          "mem_reservation": "67108864",
          "mem_swappiness": "60",
          "memswap_limit": "-1",
          "networks": {
            "default": null
          },
          "oom_kill_disable": true,
          "oom_score_adj": -500,
          "pid": "host",
          "pids_limit": 10,
          "runtime": "runc",
          "scale": 1,
          "storage_opt": {
            "size": "1G"
          },
          "userns_mode": "host",
          "uts": "host",
          "volumes_from": [
            "container:other:ro"
          ]
        }
    "#]]
    .assert_eq(&format!("{:#}\n", to_json(&loaded.project)["services"]["a"]));
    let again = Folder::new(&[("compose.yaml", &to_yaml(&loaded.project))]);
    assert_eq!(
        to_json(&again.load().unwrap_or_else(|error| panic!("{error}")).project),
        to_json(&loaded.project)
    );
}

#[test]
fn deploy_wins_where_it_means_something() {
    let folder = Folder::new(&[("compose.yaml", RICH)]);
    folder.write("labels", "");
    let service = folder.load().unwrap().project.services["a"].clone();
    assert_eq!(service.cpu_limit(), Some(500_000_000));
    assert_eq!(service.memory_limit(), Some(50 << 20));
    assert_eq!(service.memory_reservation(), Some(64 << 20));
    assert_eq!(service.pids_limit(), Some(10));
    assert_eq!(service.restart_policy(), Some(RestartPolicy::OnFailure { max_retries: Some(3) }));
    let asked: Vec<_> = service.device_requests().iter().map(|asked| asked.capabilities.join(" ")).collect();
    assert_eq!(asked, ["gpu utility", "gpu", "tpu", "gpu"]);
}

#[test]
fn restart_policies_of_deploy_in_the_words_of_the_engine() {
    for (condition, policy) in [
        ("none", RestartPolicy::No),
        ("no", RestartPolicy::No),
        ("any", RestartPolicy::Always),
        ("always", RestartPolicy::Always),
        ("unless-stopped", RestartPolicy::UnlessStopped),
        ("on-failure", RestartPolicy::OnFailure { max_retries: None }),
    ] {
        let yaml = format!(
            "services: {{a: {{image: x, restart: always, deploy: {{restart_policy: {{condition: {condition}}}}}}}}}"
        );
        let loaded = Folder::new(&[("compose.yaml", &yaml)]).load().unwrap();
        assert_eq!(loaded.project.services["a"].restart_policy(), Some(policy), "{condition}");
    }
}

#[test]
fn what_only_swarm_reads_is_not_in_the_hash() {
    let hash = |more: &str| {
        let yaml = format!("services: {{a: {{image: x{more}}}}}");
        let folder = Folder::new(&[("compose.yaml", &yaml)]);
        service_hash_input(&load(&folder.options()).unwrap().project.services["a"])
    };
    let plain = hash("");
    assert_eq!(hash(", attach: false, scale: 1, deploy: {replicas: 1, labels: [a=b], mode: global}"), plain);
    assert_ne!(hash(", deploy: {resources: {limits: {memory: 1g}}}"), plain);
    assert_ne!(hash(", deploy: {restart_policy: {condition: none}}"), plain);
    assert_ne!(hash(", cpu_shares: 5"), plain);
}
