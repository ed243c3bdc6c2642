//! One project that says nearly everything.

use devd_compose::{Options, load, to_json, to_yaml};
use expect_test::expect;

use crate::common::Folder;

/// Nearly every field that is loaded.
const RICH: &str = r#"
name: Rich.Shop
x-common: &common
  restart: on-failure:3
  labels: {team: blue}
services:
  api:
    <<: *common
    build:
      context: .
      dockerfile: docker/api
      args: {VERSION: 1.10, INHERITED: , MISSING: }
      target: dev
      labels: [a=b]
      tags: ["x:1"]
      network: host
      extra_hosts: ["h=10.0.0.1"]
      cache_from: [x]
      no_cache: yes
      pull: "true"
      shm_size: 64m
      ulimits: {nofile: 10}
    command: sh -c 'echo "$$HOME"'
    entrypoint: ["/init"]
    environment:
      MODE: 0755
      PRICE: $$5
      INHERITED:
      UNSET:
    volumes:
      - .:/src:ro
      - data:/var/lib/data
      - /anonymous
      - {type: bind, source: ~/x, target: /home/x, bind: {propagation: rshared, create_host_path: false}}
      - {type: volume, source: data, target: /copy, volume: {nocopy: true, subpath: s}}
      - {type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}
    ports: ["8000-8001:80-81", "127.0.0.1::90/udp", "5000-5005:50", {target: 60, published: "600", name: web, app_protocol: http, mode: host}]
    expose: [3000, "4000-4001/udp"]
    links: [db, "db:database"]
    depends_on: {db: {condition: service_healthy, restart: true}}
    networks: {front: {aliases: [www], ipv4_address: 10.5.0.2}, default: }
    healthcheck: {test: curl localhost, interval: 1m30s, timeout: 500ms, retries: 3, start_period: 1.5s, start_interval: 1s}
    working_dir: /src
    user: 1000:1000
    stop_signal: SIGINT
    stop_grace_period: 90s
    container_name: the-api
    hostname: api.local
    extra_hosts: {v6: "::1", gw: host-gateway}
    init: true
    tty: true
    stdin_open: true
    read_only: true
    privileged: true
    tmpfs: /run:size=1m
    cap_add: [NET_ADMIN]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    shm_size: 1g
    mem_limit: 1.5gb
    cpus: 0.5
    ulimits: {nofile: {soft: 1, hard: 2}, nproc: -1}
    sysctls: {net.core.somaxconn: 1024}
    dns: 1.1.1.1
    logging: {driver: json-file, options: {max-size: 10m, max-file: 3}}
    platform: linux/amd64
    pull_policy: if_not_present
    group_add: [audio, 44]
    develop:
      watch:
        - {path: ./src, action: sync+exec, target: /src, ignore: [x/], include: ["*.py"], exec: {command: make}, initial_sync: true}
        - {path: package.json, action: rebuild}
    x-devd:
      on_change: {signal: SIGHUP}
      watch: ./lib
      ignore: ["*.log"]
      supervise: false
      tests: {service: tests, timeout: 90s, pool: 2, report: /out/*.xml, prepare: npm ci}
    x-other: {anything: [goes]}
  db:
    image: postgres:16
    healthcheck: {disable: true}
    x-devd: {tests: false}
  side:
    image: x
    network_mode: service:api
  tests:
    image: x
    profiles: [test]
networks:
  front:
    driver: bridge
    driver_opts: {a: 1}
    internal: true
    attachable: true
    labels: [x=y]
    ipam: {driver: default, config: [{subnet: 10.5.0.0/16, gateway: 10.5.0.1, ip_range: 10.5.1.0/24, aux_addresses: {h: 10.5.0.9}}]}
  unused: {}
volumes:
  data: {name: my-data, driver: local, driver_opts: {type: none, o: bind, device: ./data}, labels: {l: 1}}
  unused: {external: true}
"#;

fn rich() -> (Folder, Options) {
    let folder = Folder::new(&[("compose.yaml", RICH)]);
    let mut options = folder.options();
    for (name, value) in [("HOME", "/home/me"), ("INHERITED", "in"), ("UNRELATED", "x")] {
        options.env.insert(name.to_owned(), value.to_owned());
    }
    (folder, options)
}

#[test]
fn every_field() {
    let (folder, options) = rich();
    expect![[r#"
        {
          "name": "richshop",
          "networks": {
            "default": {
              "ipam": {},
              "name": "richshop_default"
            },
            "front": {
              "attachable": true,
              "driver": "bridge",
              "driver_opts": {
                "a": "1"
              },
              "internal": true,
              "ipam": {
                "config": [
                  {
                    "aux_addresses": {
                      "h": "10.5.0.9"
                    },
                    "gateway": "10.5.0.1",
                    "ip_range": "10.5.1.0/24",
                    "subnet": "10.5.0.0/16"
                  }
                ],
                "driver": "default"
              },
              "labels": {
                "x": "y"
              },
              "name": "richshop_front"
            }
          },
          "services": {
            "api": {
              "build": {
                "args": {
                  "INHERITED": "in",
                  "VERSION": "1.1"
                },
                "cache_from": [
                  "x"
                ],
                "context": "$DIR",
                "dockerfile": "docker/api",
                "extra_hosts": [
                  "h=10.0.0.1"
                ],
                "labels": {
                  "a": "b"
                },
                "network": "host",
                "no_cache": true,
                "pull": true,
                "shm_size": "67108864",
                "tags": [
                  "x:1"
                ],
                "target": "dev",
                "ulimits": {
                  "nofile": 10
                }
              },
              "cap_add": [
                "NET_ADMIN"
              ],
              "cap_drop": [
                "ALL"
              ],
              "command": [
                "sh",
                "-c",
                "echo \"$$HOME\""
              ],
              "container_name": "the-api",
              "cpus": 0.5,
              "depends_on": {
                "db": {
                  "condition": "service_healthy",
                  "required": true,
                  "restart": true
                }
              },
              "develop": {
                "watch": [
                  {
                    "action": "sync+exec",
                    "exec": {
                      "command": [
                        "make"
                      ]
                    },
                    "ignore": [
                      "x/"
                    ],
                    "include": [
                      "*.py"
                    ],
                    "initial_sync": true,
                    "path": "$DIR/src",
                    "target": "/src"
                  },
                  {
                    "action": "rebuild",
                    "exec": {
                      "command": null
                    },
                    "path": "$DIR/package.json"
                  }
                ]
              },
              "dns": [
                "1.1.1.1"
              ],
              "entrypoint": [
                "/init"
              ],
              "environment": {
                "INHERITED": "in",
                "MODE": "493",
                "PRICE": "$$5",
                "UNSET": null
              },
              "expose": [
                "3000",
                "4000-4001/udp"
              ],
              "extra_hosts": [
                "gw=host-gateway",
                "v6=::1"
              ],
              "group_add": [
                "audio",
                "44"
              ],
              "healthcheck": {
                "interval": "1m30s",
                "retries": 3,
                "start_interval": "1s",
                "start_period": "1.5s",
                "test": [
                  "CMD-SHELL",
                  "curl localhost"
                ],
                "timeout": "500ms"
              },
              "hostname": "api.local",
              "init": true,
              "labels": {
                "team": "blue"
              },
              "links": [
                "db",
                "db:database"
              ],
              "logging": {
                "driver": "json-file",
                "options": {
                  "max-file": "3",
                  "max-size": "10m"
                }
              },
              "mem_limit": "1610612736",
              "networks": {
                "default": null,
                "front": {
                  "aliases": [
                    "www"
                  ],
                  "ipv4_address": "10.5.0.2"
                }
              },
              "platform": "linux/amd64",
              "ports": [
                {
                  "mode": "ingress",
                  "protocol": "tcp",
                  "published": "8000",
                  "target": 80
                },
                {
                  "mode": "ingress",
                  "protocol": "tcp",
                  "published": "8001",
                  "target": 81
                },
                {
                  "host_ip": "127.0.0.1",
                  "mode": "ingress",
                  "protocol": "udp",
                  "target": 90
                },
                {
                  "mode": "ingress",
                  "protocol": "tcp",
                  "published": "5000-5005",
                  "target": 50
                },
                {
                  "app_protocol": "http",
                  "mode": "host",
                  "name": "web",
                  "protocol": "tcp",
                  "published": "600",
                  "target": 60
                }
              ],
              "privileged": true,
              "pull_policy": "missing",
              "read_only": true,
              "restart": "on-failure:3",
              "security_opt": [
                "no-new-privileges:true"
              ],
              "shm_size": "1073741824",
              "stdin_open": true,
              "stop_grace_period": "1m30s",
              "stop_signal": "SIGINT",
              "sysctls": {
                "net.core.somaxconn": "1024"
              },
              "tmpfs": [
                "/run:size=1m"
              ],
              "tty": true,
              "ulimits": {
                "nofile": {
                  "hard": 2,
                  "soft": 1
                },
                "nproc": -1
              },
              "user": "1000:1000",
              "volumes": [
                {
                  "bind": {
                    "create_host_path": true
                  },
                  "read_only": true,
                  "source": "$DIR",
                  "target": "/src",
                  "type": "bind"
                },
                {
                  "source": "data",
                  "target": "/var/lib/data",
                  "type": "volume",
                  "volume": {}
                },
                {
                  "target": "/anonymous",
                  "type": "volume",
                  "volume": {}
                },
                {
                  "bind": {
                    "propagation": "rshared"
                  },
                  "source": "/home/me/x",
                  "target": "/home/x",
                  "type": "bind"
                },
                {
                  "source": "data",
                  "target": "/copy",
                  "type": "volume",
                  "volume": {
                    "nocopy": true,
                    "subpath": "s"
                  }
                },
                {
                  "target": "/t",
                  "tmpfs": {
                    "mode": 448,
                    "size": "1048576"
                  },
                  "type": "tmpfs"
                }
              ],
              "working_dir": "/src",
              "x-devd": {
                "ignore": [
                  "*.log"
                ],
                "on_change": {
                  "signal": "HUP"
                },
                "supervise": false,
                "tests": {
                  "on_change": true,
                  "pool": 2,
                  "prepare": [
                    "npm",
                    "ci"
                  ],
                  "report": "/out/*.xml",
                  "service": "tests",
                  "timeout": "1m30s"
                },
                "watch": [
                  "$DIR/lib"
                ]
              }
            },
            "db": {
              "command": null,
              "entrypoint": null,
              "healthcheck": {
                "disable": true
              },
              "image": "postgres:16",
              "networks": {
                "default": null
              },
              "x-devd": {
                "supervise": true,
                "tests": false
              }
            },
            "side": {
              "command": null,
              "depends_on": {
                "api": {
                  "condition": "service_started",
                  "required": true,
                  "restart": true
                }
              },
              "entrypoint": null,
              "image": "x",
              "network_mode": "service:api"
            }
          },
          "volumes": {
            "data": {
              "driver": "local",
              "driver_opts": {
                "device": "$DIR/data",
                "o": "bind",
                "type": "none"
              },
              "labels": {
                "l": "1"
              },
              "name": "my-data"
            }
          },
          "x-common": {
            "labels": {
              "team": "blue"
            },
            "restart": "on-failure:3"
          }
        }
    "#]]
    .assert_eq(&folder.outcome(&options));
}

#[test]
fn what_is_printed_loads_to_the_same() {
    let (folder, options) = rich();
    let loaded = load(&options).unwrap();
    assert_eq!(loaded.env_used.keys().collect::<Vec<_>>(), ["HOME", "INHERITED"]);
    let yaml = to_yaml(&loaded.project);
    folder.write("again/compose.yaml", &yaml);
    let mut again = options.clone();
    again.dir = folder.path().join("again");
    again.profiles = vec![];
    let again = load(&again).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    assert_eq!(to_json(&again.project), to_json(&loaded.project), "{yaml}");
}
