//! Services on top of others.

use expect_test::{Expect, expect};

use crate::common::{Folder, relative};

fn check(files: &[(&str, &str)], expected: Expect) {
    let folder = Folder::new(files);
    expected.assert_eq(&folder.outcome(&folder.options()));
}

#[test]
fn extending_in_the_same_file_and_in_another() {
    check(
        &[
            (
                "compose.yaml",
                "
services:
  web:
    extends: {service: base, file: common/base.yaml}
    environment: {B: web, C: web}
    volumes: ['./web:/src']
    ports: ['80:80']
  worker:
    extends: web
    ports: !reset []
    command: work
",
            ),
            (
                "common/base.yaml",
                "
services:
  base:
    extends: {file: deeper/root.yaml, service: root}
    build: .
    env_file: [base.env, {path: other.env, required: false}]
    environment: [A=base, B=base]
    volumes: ['./src:/src', '../x:/x', {type: bind, source: y, target: /y}, 'cache:/cache', '~/z:/z']
    develop: {watch: [{path: ./src, action: restart}]}
    x-devd: {watch: ./lib}
",
            ),
            ("common/base.env", "FROM_FILE=1\n"),
            (
                "common/deeper/root.yaml",
                "services: {root: {image: root, volumes: ['.:/root'], cap_add: [A]}, unused: {}}\n",
            ),
            ("compose.override.yaml", "volumes: {cache: }\nservices: {web: {cap_add: [B]}}\n"),
        ],
        expect![[r#"
            {
              "name": "shop",
              "networks": {
                "default": {
                  "ipam": {},
                  "name": "shop_default"
                }
              },
              "services": {
                "web": {
                  "build": {
                    "context": "$DIR/common",
                    "dockerfile": "Dockerfile"
                  },
                  "cap_add": [
                    "A",
                    "B"
                  ],
                  "command": null,
                  "develop": {
                    "watch": [
                      {
                        "action": "restart",
                        "exec": {
                          "command": null
                        },
                        "path": "$DIR/common/src"
                      }
                    ]
                  },
                  "entrypoint": null,
                  "environment": {
                    "A": "base",
                    "B": "web",
                    "C": "web",
                    "FROM_FILE": "1"
                  },
                  "image": "root",
                  "networks": {
                    "default": null
                  },
                  "ports": [
                    {
                      "mode": "ingress",
                      "protocol": "tcp",
                      "published": "80",
                      "target": 80
                    }
                  ],
                  "volumes": [
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/common/deeper",
                      "target": "/root",
                      "type": "bind"
                    },
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/web",
                      "target": "/src",
                      "type": "bind"
                    },
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/x",
                      "target": "/x",
                      "type": "bind"
                    },
                    {
                      "source": "$DIR/common/y",
                      "target": "/y",
                      "type": "bind"
                    },
                    {
                      "source": "cache",
                      "target": "/cache",
                      "type": "volume",
                      "volume": {}
                    },
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/~/z",
                      "target": "/z",
                      "type": "bind"
                    }
                  ],
                  "x-devd": {
                    "supervise": true,
                    "tests": {
                      "on_change": true,
                      "pool": 1,
                      "timeout": "10m0s"
                    },
                    "watch": [
                      "$DIR/common/lib"
                    ]
                  }
                },
                "worker": {
                  "build": {
                    "context": "$DIR/common",
                    "dockerfile": "Dockerfile"
                  },
                  "cap_add": [
                    "A"
                  ],
                  "command": [
                    "work"
                  ],
                  "develop": {
                    "watch": [
                      {
                        "action": "restart",
                        "exec": {
                          "command": null
                        },
                        "path": "$DIR/common/src"
                      }
                    ]
                  },
                  "entrypoint": null,
                  "environment": {
                    "A": "base",
                    "B": "web",
                    "C": "web",
                    "FROM_FILE": "1"
                  },
                  "image": "root",
                  "networks": {
                    "default": null
                  },
                  "volumes": [
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/common/deeper",
                      "target": "/root",
                      "type": "bind"
                    },
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/web",
                      "target": "/src",
                      "type": "bind"
                    },
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/x",
                      "target": "/x",
                      "type": "bind"
                    },
                    {
                      "source": "$DIR/common/y",
                      "target": "/y",
                      "type": "bind"
                    },
                    {
                      "source": "cache",
                      "target": "/cache",
                      "type": "volume",
                      "volume": {}
                    },
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/~/z",
                      "target": "/z",
                      "type": "bind"
                    }
                  ],
                  "x-devd": {
                    "supervise": true,
                    "tests": {
                      "on_change": true,
                      "pool": 1,
                      "timeout": "10m0s"
                    },
                    "watch": [
                      "$DIR/common/lib"
                    ]
                  }
                }
              },
              "volumes": {
                "cache": {
                  "name": "shop_cache"
                }
              }
            }
        "#]],
    );
}

#[test]
fn what_is_extended_is_watched() {
    let folder = Folder::new(&[
        ("compose.yaml", "services: {a: {extends: {service: b, file: sub/b.yaml}}}"),
        ("sub/b.yaml", "services: {b: {image: x}}"),
    ]);
    let loaded = folder.load().unwrap();
    assert!(relative(loaded.inputs, &folder.path()).contains(&"sub/b.yaml".to_owned()));
}
