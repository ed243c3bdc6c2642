//! Projects that include others.

use expect_test::{Expect, expect};

use crate::common::Folder;

fn check(files: &[(&str, &str)], expected: Expect) {
    let folder = Folder::new(files);
    expected.assert_eq(&folder.outcome(&folder.options()));
}

#[test]
fn including() {
    check(
        &[
            (
                "compose.yaml",
                "
include:
  - db/compose.yaml
  - path: [cache/one.yaml, cache/two.yaml]
    project_directory: cache/home
    env_file: cache/some.env
services:
  web: {image: web, depends_on: [db, cache], environment: {V: '${V-unset}'}}
",
            ),
            ("compose.override.yaml", "services: {db: {environment: {OVER: parent}}}\n"),
            (".env", "PARENT=1\nBOTH=parent\n"),
            (
                "db/compose.yaml",
                "
name: other
version: '3'
x-thing: 1
include: [more.yaml]
services:
  db:
    build: {dockerfile: D}
    environment: {OVER: db, V: , BOTH: , PARENT: , UNSET: }
    volumes: ['./data:/data', 'named:/named', 'folder:/folder']
    secrets: [s]
volumes: {named: , local: {driver: local, driver_opts: {o: bind, device: ./local}}}
secrets: {s: {file: s.txt}}
",
            ),
            ("db/.env", "V=db\nBOTH=db\n"),
            ("db/folder/", ""),
            ("db/s.txt", ""),
            ("db/more.yaml", "services: {more: {image: 'more:${V}', env_file: e.env}}\n"),
            ("db/e.env", "E=1\n"),
            ("cache/one.yaml", "services: {cache: {image: 'one:${K}', volumes: ['./c:/c']}}\n"),
            ("cache/two.yaml", "services: {cache: {cap_add: [A], labels: ['k=${K}']}}\n"),
            ("cache/some.env", "K=some\n"),
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
              "secrets": {
                "s": {
                  "file": "$DIR/db/s.txt",
                  "name": "shop_s"
                }
              },
              "services": {
                "cache": {
                  "cap_add": [
                    "A"
                  ],
                  "command": null,
                  "entrypoint": null,
                  "image": "one:some",
                  "labels": {
                    "k": "some"
                  },
                  "networks": {
                    "default": null
                  },
                  "volumes": [
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/cache/home/c",
                      "target": "/c",
                      "type": "bind"
                    }
                  ]
                },
                "db": {
                  "build": {
                    "context": "$DIR/db",
                    "dockerfile": "D"
                  },
                  "command": null,
                  "entrypoint": null,
                  "environment": {
                    "BOTH": "parent",
                    "OVER": "parent",
                    "PARENT": "1",
                    "UNSET": null,
                    "V": "db"
                  },
                  "networks": {
                    "default": null
                  },
                  "secrets": [
                    {
                      "source": "s",
                      "target": "/run/secrets/s"
                    }
                  ],
                  "volumes": [
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/db/data",
                      "target": "/data",
                      "type": "bind"
                    },
                    {
                      "source": "named",
                      "target": "/named",
                      "type": "volume",
                      "volume": {}
                    },
                    {
                      "bind": {
                        "create_host_path": true
                      },
                      "source": "$DIR/db/folder",
                      "target": "/folder",
                      "type": "bind"
                    }
                  ]
                },
                "more": {
                  "command": null,
                  "entrypoint": null,
                  "environment": {
                    "E": "1"
                  },
                  "image": "more:db",
                  "networks": {
                    "default": null
                  }
                },
                "web": {
                  "command": null,
                  "depends_on": {
                    "cache": {
                      "condition": "service_started",
                      "required": true
                    },
                    "db": {
                      "condition": "service_started",
                      "required": true
                    }
                  },
                  "entrypoint": null,
                  "environment": {
                    "V": "unset"
                  },
                  "image": "web",
                  "networks": {
                    "default": null
                  }
                }
              },
              "volumes": {
                "named": {
                  "name": "shop_named"
                }
              }
            }
        "#]],
    );
}
