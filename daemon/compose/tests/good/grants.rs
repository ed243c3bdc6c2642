//! Secrets and configs.

use devd_compose::model::MountKind;
use devd_compose::{load, service_hash_input, to_json};
use expect_test::expect;

use crate::common::Folder;

#[test]
fn secrets_and_configs_of_files_are_mounted() {
    let folder = Folder::new(&[
        (
            "compose.yaml",
            "
services:
  a:
    image: x
    volumes: ['./mine:/run/secrets/by-hand']
    secrets: [one, {source: two, target: other, mode: 0440, uid: '5'}, {source: two, target: /abs}, by-hand]
    configs: [c, {source: c, target: /etc/c.conf}]
secrets:
  one: {file: ./one.txt}
  two: {file: two.txt, name: real}
  by-hand: {file: one.txt}
  unused: {environment: HOME}
configs:
  c: {file: /etc/hosts}
",
        ),
        ("one.txt", ""),
    ]);
    expect![[r#"
        warning: the file of the secret `two` does not exist: $DIR/two.txt
          --> $DIR/compose.yaml:6:20
           |
         6 |     secrets: ***** ******** **** ******* ****** ***** ***** **** ***** ******** **** ******* ****** ********
           |                    ^

        warning: `uid` is ignored: the container sees the file as it is
          --> $DIR/compose.yaml:6:61
           |
         6 |     secrets: ***** ******** **** ******* ****** ***** ***** **** ***** ******** **** ******* ****** ********
           |                                                             ^^^

        warning: `mode` is ignored: the container sees the file as it is
          --> $DIR/compose.yaml:6:49
           |
         6 |     secrets: ***** ******** **** ******* ****** ***** ***** **** ***** ******** **** ******* ****** ********
           |                                                 ^^^^

        {
          "configs": {
            "c": {
              "file": "/etc/hosts",
              "name": "shop_c"
            }
          },
          "name": "shop",
          "networks": {
            "default": {
              "ipam": {},
              "name": "shop_default"
            }
          },
          "secrets": {
            "by-hand": {
              "file": "$DIR/one.txt",
              "name": "shop_by-hand"
            },
            "one": {
              "file": "$DIR/one.txt",
              "name": "shop_one"
            },
            "two": {
              "file": "$DIR/two.txt",
              "name": "real"
            }
          },
          "services": {
            "a": {
              "command": null,
              "configs": [
                {
                  "source": "c"
                },
                {
                  "source": "c",
                  "target": "/etc/c.conf"
                }
              ],
              "entrypoint": null,
              "image": "x",
              "networks": {
                "default": null
              },
              "secrets": [
                {
                  "source": "one",
                  "target": "/run/secrets/one"
                },
                {
                  "mode": "0440",
                  "source": "two",
                  "target": "other",
                  "uid": "5"
                },
                {
                  "source": "two",
                  "target": "/abs"
                },
                {
                  "source": "by-hand",
                  "target": "/run/secrets/by-hand"
                }
              ],
              "volumes": [
                {
                  "bind": {
                    "create_host_path": true
                  },
                  "source": "$DIR/mine",
                  "target": "/run/secrets/by-hand",
                  "type": "bind"
                }
              ]
            }
          }
        }
    "#]].assert_eq(&folder.outcome(&folder.options()));
    let service = load(&folder.options()).unwrap().project.services["a"].clone();
    let mounts: Vec<String> = service
        .mounts()
        .iter()
        .map(|mount| match &mount.kind {
            MountKind::Bind { source, .. } => {
                format!("{}:{}:{}", source.display(), mount.target, mount.read_only)
            }
            _ => String::new(),
        })
        .collect();
    expect![[r#"
        $DIR/mine:/run/secrets/by-hand:false
        $DIR/one.txt:/run/secrets/one:true
        $DIR/two.txt:/run/secrets/other:true
        $DIR/two.txt:/abs:true
        /etc/hosts:/c:true
        /etc/hosts:/etc/c.conf:true"#]]
    .assert_eq(&folder.shown(&mounts.join("\n")));
    expect![[r#"{"command":null,"configs":[{"source":"c"},{"source":"c","target":"/etc/c.conf"}],"entrypoint":null,"files":["$DIR/one.txt","$DIR/two.txt","$DIR/two.txt","$DIR/one.txt","/etc/hosts","/etc/hosts"],"image":"x","networks":{"default":null},"secrets":[{"source":"one","target":"/run/secrets/one"},{"mode":"0440","source":"two","target":"other","uid":"5"},{"source":"two","target":"/abs"},{"source":"by-hand","target":"/run/secrets/by-hand"}],"volumes":[{"bind":{"create_host_path":true},"source":"$DIR/mine","target":"/run/secrets/by-hand","type":"bind"}]}"#]].assert_eq(&folder.shown(&service_hash_input(&service)));
}

#[test]
fn grants_are_known_by_their_place() {
    let folder = Folder::new(&[
        (
            "compose.yaml",
            "
services: {a: {image: x, secrets: [s], configs: [s, {source: s, target: /x}]}}
secrets: {s: {file: f}, t: {file: f}}
configs: {s: {file: f}, t: {file: f}}
",
        ),
        (
            "compose.override.yaml",
            "services: {a: {secrets: [{source: t, target: /run/secrets/s}], configs: [{source: t, target: /s}, t]}}",
        ),
        ("f", ""),
    ]);
    let json = to_json(&folder.load().unwrap().project);
    expect![[r#"[{"source":"t","target":"/run/secrets/s"}]"#]]
        .assert_eq(&json["services"]["a"]["secrets"].to_string());
    expect![[r#"[{"source":"t","target":"/s"},{"source":"s","target":"/x"},{"source":"t"}]"#]]
        .assert_eq(&json["services"]["a"]["configs"].to_string());
}
