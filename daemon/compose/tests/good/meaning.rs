//! Smaller projects, one subject each.

use devd_compose::model::{MountKind, NetworkMode, OnChange};
use devd_compose::service_hash_input;
use expect_test::expect;

use crate::common::{Folder, outcome};

#[test]
fn the_hash_input_is_about_the_container_alone() {
    let hash = |yaml: &str| {
        let folder = Folder::new(&[("compose.yaml", yaml)]);
        let loaded = folder.load().unwrap();
        service_hash_input(&loaded.project.services["a"])
    };
    let plain = hash("services: {a: {image: x, environment: {P: '$$5'}}}");
    expect![[r#"{"command":null,"entrypoint":null,"environment":{"P":"$5"},"image":"x","networks":{"default":null}}"#]]
        .assert_eq(&plain);
    let more = "services: {a: {image: x, environment: [P=$$5], profiles: [], x-devd: {supervise: false}, depends_on: [b], pull_policy: always, develop: {watch: []}}, b: {image: x}}";
    assert_eq!(hash(more), plain);
    assert_ne!(hash("services: {a: {image: x, environment: {P: '6'}}}"), plain);
}

#[test]
fn the_old_form_with_links_in_a_circle() {
    let folder = Folder::new(&[
        ("Service 1/Dockerfile", "FROM x"),
        ("Service 2/Dockerfile", "FROM x"),
        (
            "docker-compose.yml",
            "service1:
    build: Service 1
    environment:
        ENV: dev
    volumes:
        - Service 1:/usr/src/app
    links:
        - service2
        - db
    ports:
        - 8001:8000

service2:
    build: Service 2
    dockerfile: Dockerfile.dev
    volumes:
        - Service 2:/usr/src/app
        - cache:/cache
    links:
        - service1
        - db
    ports:
        - 8002:8000

db:
    image: mongo
",
        ),
    ]);
    expect![[r#"
        warning: `Service 1`, `Service 2` are folders, so they are mounted; compose would take that for a volume's name
          --> $DIR/docker-compose.yml:6:11
           |
         6 |         - Service 1:/usr/src/app
           |           ^^^^^^^^^^^^^^^^^^^^^^
        help: write `./Service 1:…`

        {
          "name": "shop",
          "networks": {
            "default": {
              "ipam": {},
              "name": "shop_default"
            }
          },
          "services": {
            "db": {
              "command": null,
              "entrypoint": null,
              "image": "mongo",
              "networks": {
                "default": null
              }
            },
            "service1": {
              "build": {
                "context": "$DIR/Service 1",
                "dockerfile": "Dockerfile"
              },
              "command": null,
              "depends_on": {
                "db": {
                  "condition": "service_started",
                  "required": true,
                  "restart": true
                }
              },
              "entrypoint": null,
              "environment": {
                "ENV": "dev"
              },
              "links": [
                "service2",
                "db"
              ],
              "networks": {
                "default": null
              },
              "ports": [
                {
                  "mode": "ingress",
                  "protocol": "tcp",
                  "published": "8001",
                  "target": 8000
                }
              ],
              "volumes": [
                {
                  "bind": {
                    "create_host_path": true
                  },
                  "source": "$DIR/Service 1",
                  "target": "/usr/src/app",
                  "type": "bind"
                }
              ]
            },
            "service2": {
              "build": {
                "context": "$DIR/Service 2",
                "dockerfile": "Dockerfile.dev"
              },
              "command": null,
              "depends_on": {
                "db": {
                  "condition": "service_started",
                  "required": true,
                  "restart": true
                }
              },
              "entrypoint": null,
              "links": [
                "service1",
                "db"
              ],
              "networks": {
                "default": null
              },
              "ports": [
                {
                  "mode": "ingress",
                  "protocol": "tcp",
                  "published": "8002",
                  "target": 8000
                }
              ],
              "volumes": [
                {
                  "bind": {
                    "create_host_path": true
                  },
                  "source": "$DIR/Service 2",
                  "target": "/usr/src/app",
                  "type": "bind"
                },
                {
                  "source": "cache",
                  "target": "/cache",
                  "type": "volume",
                  "volume": {}
                }
              ]
            }
          },
          "volumes": {
            "cache": {
              "name": "shop_cache"
            }
          }
        }
    "#]].assert_eq(&folder.outcome(&folder.options()));
    let project = folder.load().unwrap().project;
    assert_eq!(project.closure("service1").into_iter().collect::<Vec<_>>(), ["db", "service2"]);
    assert_eq!(project.services["service1"].image_name(&project.name), "shop-service1");
    let (source, mount) = project.services["service2"].binds().next().unwrap();
    assert_eq!((source, mount.target.as_str()), (folder.path().join("Service 2").as_path(), "/usr/src/app"));
}

#[test]
fn a_folder_without_a_dot_is_mounted_in_the_new_form_too() {
    let folder = Folder::new(&[
        ("Service 1/", ""),
        (
            "compose.yaml",
            "services: {a: {image: x, volumes: ['Service 1:/app', 'data:/data']}}\nvolumes: {data: {}}\n",
        ),
        // A declared volume wins over a folder.
        ("data/", ""),
    ]);
    let loaded = folder.load().unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(
        matches!(&loaded.project.services["a"].volumes[1].kind, MountKind::Volume { source: Some(name), .. } if name == "data")
    );
}

#[test]
fn an_override_of_the_old_form_may_be_of_the_old_form() {
    let folder = Folder::new(&[
        ("docker-compose.yml", "web:\n  image: x\n  net: host\n"),
        ("docker-compose.override.yml", "web:\n  environment: [A=1]\n"),
    ]);
    let project = folder.load().unwrap().project;
    assert_eq!(project.services["web"].environment["A"], Some("1".to_owned()));
    assert_eq!(project.services["web"].network_mode, Some(NetworkMode::Host));
}

#[test]
fn spans_point_at_what_may_fail_later() {
    let project = Folder::new(&[(
        "compose.yaml",
        "services:\n  a:\n    image: x\n    build: .\n    ports:\n      - 80:80\n",
    )])
    .load()
    .unwrap()
    .project;
    let service = &project.services["a"];
    let at = |span: &devd_compose::model::Span| (span.line, span.column);
    assert_eq!(at(&service.span), (2, 3));
    assert_eq!(service.image_span.as_ref().map(at), Some((3, 12)));
    assert_eq!(service.build_span.as_ref().map(at), Some((4, 5)));
    assert_eq!(at(&service.ports[0].span), (6, 9));
}

#[test]
fn warnings_do_not_stop_the_load() {
    expect![[r#"
        warning: the variable `TAG` is not set, so it counts as empty
          --> $DIR/compose.yaml:4:14
           |
         4 |     image: x:$TAG
           |              ^^^^
        help: set it in the environment or in `.env`, or give it a default: `${TAG:-…}`

        warning: `version` means nothing any more and is ignored
          --> $DIR/compose.yaml:1:1
           |
         1 | version: '3'
           | ^^^^^^^
        help: take it out

        warning: no shell runs this, so the command ends at `&` and the rest is not run
          --> $DIR/compose.yaml:5:14
           |
         5 |     command: a && b
           |              ^^^^^^
        help: write `sh -c '…'` around it, or quote the character

        warning: `odd` is not an option of a mount, so it is ignored
          --> $DIR/compose.yaml:6:15
           |
         6 |     volumes: ['/x:/y:odd']
           |               ^^^^^^^^^^^

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
              "command": [
                "a"
              ],
              "entrypoint": null,
              "image": "x:",
              "networks": {
                "default": null
              },
              "volumes": [
                {
                  "bind": {
                    "create_host_path": true
                  },
                  "source": "/x",
                  "target": "/y",
                  "type": "bind"
                }
              ]
            }
          }
        }
    "#]]
    .assert_eq(&outcome(
        "version: '3'\nservices:\n  a:\n    image: x:$TAG\n    command: a && b\n    volumes: ['/x:/y:odd']\n",
    ));
}

#[test]
fn env_files_lie_below_the_environment() {
    let folder = Folder::new(&[
        (
            "compose.yaml",
            "services:\n  a:\n    image: x\n    env_file: [one.env, {path: two.env, format: raw}, {path: no.env, required: false}]\n    environment: {A: own, Q: $FROM_DOTENV}\n",
        ),
        ("one.env", "A=file\nB=one\nC=${A}-${FROM_DOTENV}-${B}\nD='$B'\n"),
        ("two.env", "B=$raw\n"),
        (".env", "FROM_DOTENV=dot\n"),
    ]);
    let loaded = folder.load().unwrap();
    let pairs: Vec<String> = loaded.project.services["a"]
        .environment
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(pairs, ["A=own", "B=$raw", "C=own-dot-one", "D=$B", "Q=dot"]);
    assert!(loaded.inputs.contains(&folder.path().join("no.env")));
}

#[test]
fn settings_for_devd() {
    let project = Folder::new(&[(
        "compose.yaml",
        "services:\n  a: {image: x, x-devd: {on_change: {exec: reload now}, tests: {pool: 0, report: null}}}\n  b: {image: x, x-devd: {on_change: none, tests: true}}\n",
    )])
    .load()
    .unwrap()
    .project;
    let a = &project.services["a"].x_devd;
    assert_eq!(a.on_change, Some(OnChange::Exec(vec!["reload".to_owned(), "now".to_owned()])));
    assert_eq!(a.tests.as_ref().map(|tests| (tests.pool, tests.on_change)), Some((0, true)));
    assert_eq!(project.services["b"].x_devd.on_change, Some(OnChange::None));
    assert!(project.services["b"].x_devd.tests.is_some());
}

#[test]
fn what_prepares_the_tests() {
    let folder = Folder::new(&[(
        "compose.yaml",
        "services:\n  a: {image: x, x-devd: {tests: {prepare: rake db:migrate}}}\n  b: {image: x, x-devd: {tests: {prepare: {command: [make, db], files: sql}}}}\n",
    )]);
    let project = folder.load().unwrap().project;
    let prepare = |name: &str| project.services[name].x_devd.tests.clone().unwrap().prepare.unwrap();
    assert_eq!(prepare("a").command, ["rake", "db:migrate"]);
    assert!(prepare("a").files.is_empty());
    assert_eq!(prepare("b").command, ["make", "db"]);
    assert_eq!(prepare("b").files, [project.dir.join("sql")]);
}

#[test]
fn texts_that_look_like_something_else_survive_printing() {
    let texts = [
        "null",
        "~",
        "true",
        "yes",
        "1.10",
        "0x1F",
        "2026-01-02",
        ".inf",
        "",
        " ",
        "a: b",
        "a #b",
        "- a",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "'",
        "\"",
        "\\",
        "$a",
        "${a}",
        "a\nb",
        "a\n",
        "\na",
        "a\n\n",
        " a\nb",
        "a \nb",
        "a\n  b\n",
        "a\r\nb",
        "\t",
        "ü",
        "\u{2028}",
        "\u{1}",
        "---\nx",
        "<<",
        "[a",
        "{a",
        "a,b",
        "?",
        "a:",
    ];
    let entries: serde_json::Map<String, serde_json::Value> =
        texts.iter().enumerate().map(|(n, text)| (format!("K{n}"), text.replace('$', "$$").into())).collect();
    let yaml = format!("services: {{a: {{image: x, environment: {}}}}}", serde_json::Value::Object(entries));
    let first = Folder::new(&[("compose.yaml", &yaml)]).load().unwrap().project;
    for (n, text) in texts.iter().enumerate() {
        assert_eq!(first.services["a"].environment[&format!("K{n}")].as_deref(), Some(*text));
    }
    let printed = devd_compose::to_yaml(&first);
    let again = Folder::new(&[("compose.yaml", &printed)]).load().unwrap().project;
    assert_eq!(again.services["a"].environment, first.services["a"].environment, "{printed}");
}
