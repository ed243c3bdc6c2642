//! What a service asks of its host, wrongly.

use crate::check;
use expect_test::expect;

#[test]
fn more_than_one_container() {
    check(
        r#"
services:
  a: {image: x, scale: 2}
  b: {image: x, deploy: {replicas: 0}}
  c: {image: x, deploy: {replicas: many}}
"#,
        expect![[r#"
            error: `many` is not a number of containers
              --> $DIR/compose.yaml:5:36
               |
             5 |   c: {image: x, deploy: {replicas: many}}
               |                                    ^^^^
            help: write it in digits
        "#]],
    );
}

#[test]
fn limits_that_contradict_each_other() {
    check(
        r#"
services:
  a:
    image: x
    cpus: 1
    mem_limit: 1g
    mem_reservation: 1m
    pids_limit: 5
    deploy:
      resources:
        limits: {cpus: 2, memory: 2g, pids: 6}
        reservations: {memory: 2m}
"#,
        expect![[r#"
            error: `cpus` and `deploy.resources.limits.cpus` are not the same
              --> $DIR/compose.yaml:5:5
               |
             5 |     cpus: 1
               |     ^^^^
            help: say it once, under `deploy.resources.limits.cpus`

            error: `mem_limit` and `deploy.resources.limits.memory` are not the same
              --> $DIR/compose.yaml:6:5
               |
             6 |     mem_limit: 1g
               |     ^^^^^^^^^
            help: say it once, under `deploy.resources.limits.memory`

            error: `mem_reservation` and `deploy.resources.reservations.memory` are not the same
              --> $DIR/compose.yaml:7:5
               |
             7 |     mem_reservation: 1m
               |     ^^^^^^^^^^^^^^^
            help: say it once, under `deploy.resources.reservations.memory`

            error: `pids_limit` and `deploy.resources.limits.pids` are not the same
              --> $DIR/compose.yaml:8:5
               |
             8 |     pids_limit: 5
               |     ^^^^^^^^^^
            help: say it once, under `deploy.resources.limits.pids`
        "#]],
    );
}

#[test]
fn parts_of_deploy_that_make_no_sense() {
    check(
        r#"
services:
  a:
    image: x
    deploy:
      restart_policy: {condition: sometimes, delay: soon}
      placment: {}
      resources:
        limits: {devices: []}
        reservations:
          generic_resources: []
          devices: [{count: 1}, {count: 1, device_ids: [a], capabilities: [gpu]}, {count: some, capabilities: [gpu]}]
"#,
        expect![[r#"
            error: `sometimes` is not known here
              --> $DIR/compose.yaml:6:35
               |
             6 |       restart_policy: {condition: sometimes, delay: soon}
               |                                   ^^^^^^^^^
            help: known are any, none, on-failure, always, no, unless-stopped

            error: `soon` is not a duration
              --> $DIR/compose.yaml:6:53
               |
             6 |       restart_policy: {condition: sometimes, delay: soon}
               |                                                     ^^^^
            help: write it like `1m30s`, `10s` or `500ms`

            error: unknown key `placment`
              --> $DIR/compose.yaml:7:7
               |
             7 |       placment: {}
               |       ^^^^^^^^
            help: did you mean `placement`?

            error: unknown key `devices`
              --> $DIR/compose.yaml:9:18
               |
             9 |         limits: {devices: []}
               |                  ^^^^^^^
            help: known here: cpus, memory, pids

            error: `capabilities` is missing
              --> $DIR/compose.yaml:12:21
               |
            12 |           devices: [{count: 1}, {count: 1, device_ids: [a], capabilities: [gpu]}, {count: some, capabilities: [gpu]}]
               |                     ^
            help: add `capabilities: …`

            error: `count` and `device_ids` exclude each other
              --> $DIR/compose.yaml:12:33
               |
            12 |           devices: [{count: 1}, {count: 1, device_ids: [a], capabilities: [gpu]}, {count: some, capabilities: [gpu]}]
               |                                 ^
            help: keep one of them

            error: `some` is not a number of devices, or `all`
              --> $DIR/compose.yaml:12:91
               |
            12 |           devices: [{count: 1}, {count: 1, device_ids: [a], capabilities: [gpu]}, {count: some, capabilities: [gpu]}]
               |                                                                                           ^^^^
            help: write it in digits
        "#]],
    );
}

#[test]
fn attempts_that_nobody_counts() {
    check(
        "services: {a: {image: x, deploy: {restart_policy: {condition: any, max_attempts: 3}}}}\n",
        expect![[r#"
            warning: attempts are counted only with `condition: on-failure`, so they have no limit
              --> $DIR/compose.yaml:1:68
               |
             1 | services: {a: {image: x, deploy: {restart_policy: {condition: any, max_attempts: 3}}}}
               |                                                                    ^^^^^^^^^^^^

            {
              "name": "shop",
              "networks": {
                "default": {
                  "ipam": {},
                  "name": "shop_default"
                }
              },
              "services": {
                "a": {
                  "command": null,
                  "deploy": {
                    "placement": {},
                    "resources": {},
                    "restart_policy": {
                      "condition": "any",
                      "max_attempts": 3
                    }
                  },
                  "entrypoint": null,
                  "image": "x",
                  "networks": {
                    "default": null
                  }
                }
              }
            }
        "#]],
    );
}

#[test]
fn what_belongs_to_other_services() {
    check(
        r#"
services:
  a:
    image: x
    ipc: service:b
    pid: service:b
    volumes_from: [b, "container:"]
    external_links: [other]
    mac_address: 02:42:ac:11:65:43
  b: {image: x, pid: private}
"#,
        expect![[r#"
            error: `container:` names no container
              --> $DIR/compose.yaml:7:23
               |
             7 |     volumes_from: [b, "container:"]
               |                       ^^^^^^^^^^^^
            help: write `SERVICE`, `SERVICE:ro` or `container:NAME:ro`

            error: `private` is not known here
              --> $DIR/compose.yaml:10:22
               |
            10 |   b: {image: x, pid: private}
               |                      ^^^^^^^
            help: write one of host, `service:NAME` or `container:NAME`
        "#]],
    );
}

#[test]
fn values_out_of_bounds() {
    check(
        r#"
services:
  a:
    image: x
    blkio_config: {weight: 5, weight_device: [{path: /dev/sda}], device_read_bps: [{rate: 1x, path: /dev/sda}]}
    cpu_percent: 101
    cpu_shares: -1
    devices: ["a:b:c:d", {target: /x}, "/a:/b:x"]
    gpus: some
    cgroup: shared
    mem_swappiness: 101
    memswap_limit: -2
    oom_score_adj: 1001
    uts: private
    label_file: none
"#,
        expect![[r#"
            error: `5` is not a weight from 10 to 1000
              --> $DIR/compose.yaml:5:28
               |
             5 |     blkio_config: {weight: 5, weight_device: [{path: /dev/sda}], device_read_bps: [{rate: 1x, path: /dev/sda}]}
               |                            ^

            error: `weight` is missing
              --> $DIR/compose.yaml:5:47
               |
             5 |     blkio_config: {weight: 5, weight_device: [{path: /dev/sda}], device_read_bps: [{rate: 1x, path: /dev/sda}]}
               |                                               ^
            help: add `weight: …`

            error: `1x` is not a size
              --> $DIR/compose.yaml:5:91
               |
             5 |     blkio_config: {weight: 5, weight_device: [{path: /dev/sda}], device_read_bps: [{rate: 1x, path: /dev/sda}]}
               |                                                                                           ^^
            help: write it like `64m` or `1g`

            error: `101` is not a percentage
              --> $DIR/compose.yaml:6:18
               |
             6 |     cpu_percent: 101
               |                  ^^^
            help: write it in digits

            error: `-1` is not a number
              --> $DIR/compose.yaml:7:17
               |
             7 |     cpu_shares: -1
               |                 ^^
            help: write it in digits

            error: `a:b:c:d` is not a device
              --> $DIR/compose.yaml:8:15
               |
             8 |     devices: ["a:b:c:d", {target: /x}, "/a:/b:x"]
               |               ^^^^^^^^^
            help: write `/dev/SOURCE:/dev/TARGET`, with `:r` or `:rw` perhaps

            error: `source` is missing: the device of the host
              --> $DIR/compose.yaml:8:26
               |
             8 |     devices: ["a:b:c:d", {target: /x}, "/a:/b:x"]
               |                          ^
            help: add `source: …`

            error: what may be done with a device is of `r`, `w`, `m`
              --> $DIR/compose.yaml:8:40
               |
             8 |     devices: ["a:b:c:d", {target: /x}, "/a:/b:x"]
               |                                        ^^^^^^^^^
            help: write `:r` or `:rwm` at its end

            error: `services.a.gpus` must be a list, not a single value
              --> $DIR/compose.yaml:9:11
               |
             9 |     gpus: some
               |           ^^^^
            help: write each item on a line of its own after `- `, or all in `[…]`

            error: `shared` is not known here
              --> $DIR/compose.yaml:10:13
               |
            10 |     cgroup: shared
               |             ^^^^^^
            help: known are host, private

            error: `101` is not a percentage from 0 to 100
              --> $DIR/compose.yaml:11:21
               |
            11 |     mem_swappiness: 101
               |                     ^^^
            help: write it in digits

            error: `-2` is not a size
              --> $DIR/compose.yaml:12:20
               |
            12 |     memswap_limit: -2
               |                    ^^
            help: write it like `64m` or `1g`

            error: `1001` is not a number from -1000 to 1000
              --> $DIR/compose.yaml:13:20
               |
            13 |     oom_score_adj: 1001
               |                    ^^^^
            help: write it in digits

            error: `private` is not known here
              --> $DIR/compose.yaml:14:10
               |
            14 |     uts: private
               |          ^^^^^^^
            help: write one of host, `service:NAME` or `container:NAME`

            error: the label file $DIR/none cannot be read: No such file or directory (os error 2)
              --> $DIR/compose.yaml:15:17
               |
            15 |     label_file: none
               |                 ^^^^
        "#]],
    );
}
