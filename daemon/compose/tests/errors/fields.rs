//! Fields of the specification that are used wrongly.

use crate::check;
use expect_test::expect;

#[test]
fn a_number_where_a_text_belongs() {
    check(
        r#"
services:
  a:
    image: x
    user: 1000
    command: [sleep, 10]
    labels: {born: 2026-01-02}
    cap_add: [true]
"#,
        expect![[r#"
            error: `services.a.user` must be a text, and `1000` is a number
              --> $DIR/compose.yaml:5:11
               |
             5 |     user: 1000
               |           ^^^^
            help: put it in quotes: `"1000"`

            error: `services.a.command[1]` must be a text, and `10` is a number
              --> $DIR/compose.yaml:6:22
               |
             6 |     command: [sleep, 10]
               |                      ^^
            help: put it in quotes: `"10"`

            error: `born` must be a text, and YAML takes this for a date
              --> $DIR/compose.yaml:7:20
               |
             7 |     labels: {born: 2026-01-02}
               |                    ^^^^^^^^^^
            help: put it in quotes

            error: `services.a.cap_add[0]` must be a text, and `true` is true or false
              --> $DIR/compose.yaml:8:15
               |
             8 |     cap_add: [true]
               |               ^^^^
            help: put it in quotes: `"true"`
        "#]],
    );
}

#[test]
fn a_key_without_a_value() {
    check(
        r#"
services:
  a:
    image: x
    environment:
    ports:
    healthcheck:
  b:
volumes:
"#,
        expect![[r#"
            error: `services.a.environment` has no value
              --> $DIR/compose.yaml:5:16
               |
             5 |     environment:
               |                ^
            help: take the key out, or write what belongs there

            error: `services.a.ports` has no value
              --> $DIR/compose.yaml:6:10
               |
             6 |     ports:
               |          ^
            help: take the key out, or write what belongs there

            error: `services.a.healthcheck` has no value
              --> $DIR/compose.yaml:7:16
               |
             7 |     healthcheck:
               |                ^
            help: take the key out, or write what belongs there

            error: the service `b` is empty
              --> $DIR/compose.yaml:8:3
               |
             8 |   b:
               |   ^
            help: give it an `image` or a `build`

            error: `volumes` has no value
              --> $DIR/compose.yaml:9:8
               |
             9 | volumes:
               |        ^
            help: take the key out, or write what belongs there
        "#]],
    );
}

#[test]
fn a_version_as_a_number() {
    check(
        r#"
version: 3.8
services: {a: {image: x}}
"#,
        expect![[r#"
            error: `version` must be a text, and `3.8` is a number
              --> $DIR/compose.yaml:2:10
               |
             2 | version: 3.8
               |          ^^^
            help: put it in quotes: `"3.8"`
        "#]],
    );
}

#[test]
fn a_flag_that_is_a_number() {
    check(
        r#"
services:
  a:
    image: x
    tty: 1
    use_api_socket: "yes"
    depends_on: {a2: {condition: service_started, required: "false"}}
  a2: {image: x}
"#,
        expect![[r#"
            error: `1` is not `true` or `false`
              --> $DIR/compose.yaml:5:10
               |
             5 |     tty: 1
               |          ^
            help: write `true` or `false`

            error: `services.a.use_api_socket` must be true or false, and this is a text
              --> $DIR/compose.yaml:6:21
               |
             6 |     use_api_socket: "yes"
               |                     ^^^^^
            help: write `true` or `false`, without quotes

            error: `services.a.depends_on.a2.required` must be true or false, and this is a text
              --> $DIR/compose.yaml:7:61
               |
             7 |     depends_on: {a2: {condition: service_started, required: "false"}}
               |                                                             ^^^^^^^
            help: write `true` or `false`, without quotes
        "#]],
    );
}

#[test]
fn a_dependency_without_a_condition() {
    check(
        r#"
services:
  a: {image: x, depends_on: {b: {restart: true}}}
  b: {image: x}
"#,
        expect![[r#"
            error: `condition` is missing: what to wait for
              --> $DIR/compose.yaml:3:30
               |
             3 |   a: {image: x, depends_on: {b: {restart: true}}}
               |                              ^
            help: write `condition: service_started`, or `service_healthy`
        "#]],
    );
}

#[test]
fn providers_models_and_hooks() {
    check(
        r#"
services:
  a:
    image: x
    models: [llm, lmm]
    post_start: [{user: root}]
    pre_stop: [{comand: x}]
  b: {provider: {options: {a: b}}}
models:
  llm: {context_size: many}
"#,
        expect![[r#"
            error: `command` is missing: what to run
              --> $DIR/compose.yaml:6:18
               |
             6 |     post_start: [{user: root}]
               |                  ^
            help: add `command: …`

            error: unknown key `comand`
              --> $DIR/compose.yaml:7:17
               |
             7 |     pre_stop: [{comand: x}]
               |                 ^^^^^^
            help: did you mean `command`?

            error: `type` is missing
              --> $DIR/compose.yaml:8:17
               |
             8 |   b: {provider: {options: {a: b}}}
               |                 ^
            help: add `type: …`

            error: `many` is not a number of tokens
              --> $DIR/compose.yaml:10:23
               |
            10 |   llm: {context_size: many}
               |                       ^^^^

            error: the model `llm` does not say which one it is
              --> $DIR/compose.yaml:10:3
               |
            10 |   llm: {context_size: many}
               |   ^^^
            help: name it: `model: ai/…`

            error: there is no model `lmm`
              --> $DIR/compose.yaml:5:19
               |
             5 |     models: [llm, lmm]
               |                   ^^^
            help: did you mean `llm`?
        "#]],
    );
}

#[test]
fn builds_that_cannot_be() {
    check(
        r#"
services:
  a:
    platform: linux/arm64
    build:
      additional_contexts: {one: service:b, two: service:c, three: }
      ssh: [key]
      platforms: [linux/amd64]
      secrets: [none]
  b: {image: x}
"#,
        expect![[r#"
            error: the context `three` does not say where it is
              --> $DIR/compose.yaml:6:28
               |
             6 |       additional_contexts: {one: service:b, two: service:c, three: }
               |                            ^
            help: write `NAME=FOLDER`, or an image: `NAME=docker-image://…`

            error: `key` is no key for SSH
              --> $DIR/compose.yaml:7:12
               |
             7 |       ssh: [key]
               |            ^
            help: write `default` for the agent, or `ID=/path/of/the/key`

            error: the service runs on `linux/arm64`, and its image is not built for it
              --> $DIR/compose.yaml:4:15
               |
             4 |     platform: linux/arm64
               |               ^^^^^^^^^^^
            help: add `linux/arm64` to `build.platforms`: linux/amd64

            error: `a` builds on `b`, which is not built
              --> $DIR/compose.yaml:6:28
               |
             6 |       additional_contexts: {one: service:b, two: service:c, three: }
               |                            ^
            help: give `b` a `build`, or name its image: `docker-image://…`

            error: `a` builds on `c`, and there is no such service
              --> $DIR/compose.yaml:6:28
               |
             6 |       additional_contexts: {one: service:b, two: service:c, three: }
               |                            ^
            help: add a service `c`, or take this out

            error: there is no secret `none`
              --> $DIR/compose.yaml:9:17
               |
             9 |       secrets: ******
               |                 ^^^^
            help: declare it at the top level: `secrets: {none: {file: …}}`
        "#]],
    );
}

#[test]
fn how_many_containers() {
    check(
        r#"
services:
  a: {image: x, scale: 2, container_name: one}
  b: {image: x, scale: 2, deploy: {replicas: 3}}
  c: {image: x, scale: many}
"#,
        expect![[r#"
            error: 2 containers cannot all be called `one`
              --> $DIR/compose.yaml:3:27
               |
             3 |   a: {image: x, scale: 2, container_name: one}
               |                           ^^^^^^^^^^^^^^
            help: take the name out, or run one container

            error: `scale` and `deploy.replicas` are not the same
              --> $DIR/compose.yaml:4:17
               |
             4 |   b: {image: x, scale: 2, deploy: {replicas: 3}}
               |                 ^^^^^
            help: keep one of them

            error: `many` is not a number of containers
              --> $DIR/compose.yaml:5:24
               |
             5 |   c: {image: x, scale: many}
               |                        ^^^^
        "#]],
    );
}

#[test]
fn shared_with_what_is_not_there() {
    check(
        r#"
services:
  a: {image: x, volumes_from: [b, "bb:ro", "container:c:rwx"], pid: "service:zz", ipc: "servce:b"}
  bb: {image: x}
"#,
        expect![[r#"
            error: `container:c:rwx` names no container
              --> $DIR/compose.yaml:3:44
               |
             3 |   a: {image: x, volumes_from: [b, "bb:ro", "container:c:rwx"], pid: "service:zz", ipc: "servce:b"}
               |                                            ^^^^^^^^^^^^^^^^^
            help: write `SERVICE`, `SERVICE:ro` or `container:NAME:ro`

            error: `servce:b` is not known here
              --> $DIR/compose.yaml:3:88
               |
             3 |   a: {image: x, volumes_from: [b, "bb:ro", "container:c:rwx"], pid: "service:zz", ipc: "servce:b"}
               |                                                                                        ^^^^^^^^^^
            help: write one of host, private, shareable, none, `service:NAME` or `container:NAME`

            error: `a` mounts the volumes of `b`, and there is no such service
              --> $DIR/compose.yaml:3:32
               |
             3 |   a: {image: x, volumes_from: [b, "bb:ro", "container:c:rwx"], pid: "service:zz", ipc: "servce:b"}
               |                                ^
            help: did you mean `bb`?

            error: `a` shares a namespace of `zz`, and there is no such service
              --> $DIR/compose.yaml:3:69
               |
             3 |   a: {image: x, volumes_from: [b, "bb:ro", "container:c:rwx"], pid: "service:zz", ipc: "servce:b"}
               |                                                                     ^^^^^^^^^^^^
            help: add a service `zz`, or take this out
        "#]],
    );
}

#[test]
fn made_elsewhere_and_here() {
    check(
        r#"
services:
  a: {image: x, volumes: [vol:/v], networks: [net]}
volumes: {vol: {external: true, driver: nfs}}
networks: {net: {name: one, external: {name: other}}}
"#,
        expect![[r#"
            error: `driver` means nothing for a volume that is made elsewhere
              --> $DIR/compose.yaml:4:33
               |
             4 | volumes: {vol: {external: true, driver: nfs}}
               |                                 ^^^^^^
            help: take it out, or take `external` out

            error: `name` and the name under `external` are not the same
              --> $DIR/compose.yaml:5:46
               |
             5 | networks: {net: {name: one, external: {name: other}}}
               |                                              ^^^^^
            help: keep `name`, and write `external: true`
        "#]],
    );
}

#[test]
fn ports_that_cannot_be() {
    check(
        r#"
services:
  a:
    image: x
    ports: ["::1:80:80", "80:0", "[1.1.1.1]:80:80", {target: http}, "80:80:80:80", "8080:99999"]
"#,
        expect![[r#"
            error: `::1` must be in brackets: `[::1]`
              --> $DIR/compose.yaml:5:13
               |
             5 |     ports: ["::1:80:80", "80:0", "[1.1.1.1]:80:80", {target: http}, "80:80:80:80", "8080:99999"]
               |             ^^^^^^^^^^^
            help: write `HOST:CONTAINER`, `CONTAINER` or `ADDRESS:HOST:CONTAINER`, with `/udp` at the end if need be

            error: there is no port 0 in a container
              --> $DIR/compose.yaml:5:26
               |
             5 |     ports: ["::1:80:80", "80:0", "[1.1.1.1]:80:80", {target: http}, "80:80:80:80", "8080:99999"]
               |                          ^^^^^^
            help: name the port that the service listens on

            error: `http` is not a port in the container
              --> $DIR/compose.yaml:5:62
               |
             5 |     ports: ["::1:80:80", "80:0", "[1.1.1.1]:80:80", {target: http}, "80:80:80:80", "8080:99999"]
               |                                                              ^^^^

            error: `80:80` is not an IP address
              --> $DIR/compose.yaml:5:69
               |
             5 |     ports: ["::1:80:80", "80:0", "[1.1.1.1]:80:80", {target: http}, "80:80:80:80", "8080:99999"]
               |                                                                     ^^^^^^^^^^^^^
            help: write `HOST:CONTAINER`, `CONTAINER` or `ADDRESS:HOST:CONTAINER`, with `/udp` at the end if need be

            error: `99999` is not a port in the container
              --> $DIR/compose.yaml:5:84
               |
             5 |     ports: ["::1:80:80", "80:0", "[1.1.1.1]:80:80", {target: http}, "80:80:80:80", "8080:99999"]
               |                                                                                    ^^^^^^^^^^^^
            help: write `HOST:CONTAINER`, `CONTAINER` or `ADDRESS:HOST:CONTAINER`, with `/udp` at the end if need be
        "#]],
    );
}

#[test]
fn said_twice() {
    check(
        r#"
x-a: &a {image: x}
x-b: &b {tty: true}
services:
  a:
    <<: *a
    <<: *b
    group_add: [a, a]
    security_opt: [no-new-privileges, no-new-privileges]
    extra_hosts: ["h"]
    environment: ["A =b"]
"#,
        expect![[r#"
            error: `<<` is there twice, first at $DIR/compose.yaml:6:5
              --> $DIR/compose.yaml:7:5
               |
             7 |     <<: *b
               |     ^^
            help: merge several with a list: `<<: [*one, *other]`

            error: `a` is there already
              --> $DIR/compose.yaml:8:20
               |
             8 |     group_add: [a, a]
               |                    ^
            help: keep one of them

            error: `no-new-privileges` is there already
              --> $DIR/compose.yaml:9:39
               |
             9 |     security_opt: [no-new-privileges, no-new-privileges]
               |                                       ^^^^^^^^^^^^^^^^^
            help: keep one of them

            error: `h` is not a host and its address
              --> $DIR/compose.yaml:10:19
               |
            10 |     extra_hosts: ["h"]
               |                   ^^^
            help: write `name=10.0.0.1`

            error: the name of the variable `A` ends with a space
              --> $DIR/compose.yaml:11:19
               |
            11 |     environment: *** ****
               |                   ^^^^^^
            help: take the space before `=` out
        "#]],
    );
}

#[test]
fn devices_and_shares() {
    check(
        r#"
services:
  a:
    image: x
    devices: [{source: /dev/a}, "a:b:c:d", /dev/a:/dev/b:x]
    gpus: [{count: 1, device_ids: ["0"]}, {count: al}]
    cpu_percent: 12.5
    mem_swappiness: 101
    volume_driver: nfs
    pull_policy: sometimes
"#,
        expect![[r#"
            error: `target` is missing: the device in the container
              --> $DIR/compose.yaml:5:15
               |
             5 |     devices: [{source: /dev/a}, "a:b:c:d", /dev/a:/dev/b:x]
               |               ^

            error: `a:b:c:d` is not a device
              --> $DIR/compose.yaml:5:33
               |
             5 |     devices: [{source: /dev/a}, "a:b:c:d", /dev/a:/dev/b:x]
               |                                 ^^^^^^^^^
            help: write `/dev/SOURCE:/dev/TARGET`, with `:r` or `:rw` perhaps

            error: what may be done with a device is of `r`, `w`, `m`
              --> $DIR/compose.yaml:5:44
               |
             5 |     devices: [{source: /dev/a}, "a:b:c:d", /dev/a:/dev/b:x]
               |                                            ^^^^^^^^^^^^^^^

            error: `count` and `device_ids` exclude each other
              --> $DIR/compose.yaml:6:12
               |
             6 |     gpus: [{count: 1, device_ids: ["0"]}, {count: al}]
               |            ^
            help: keep one of them

            error: `al` is not a number of devices, or `all`
              --> $DIR/compose.yaml:6:51
               |
             6 |     gpus: [{count: 1, device_ids: ["0"]}, {count: al}]
               |                                                   ^^

            error: `cpu_percent` must be a whole number, or a text
              --> $DIR/compose.yaml:7:18
               |
             7 |     cpu_percent: 12.5
               |                  ^^^^
            help: put it in quotes

            error: `101` is not a percentage from 0 to 100
              --> $DIR/compose.yaml:8:21
               |
             8 |     mem_swappiness: 101
               |                     ^^^

            error: compose does not know `volume_driver` any more
              --> $DIR/compose.yaml:9:5
               |
             9 |     volume_driver: nfs
               |     ^^^^^^^^^^^^^
            help: name the driver at the volume: `volumes: {NAME: {driver: …}}`

            error: `sometimes` is not known here
              --> $DIR/compose.yaml:10:18
               |
            10 |     pull_policy: sometimes
               |                  ^^^^^^^^^
            help: known are always, missing, if_not_present, never, build, refresh
        "#]],
    );
}

#[test]
fn a_secret_with_two_sources() {
    check(
        r#"
services: {a: {image: x, secrets: [s, {target: t}], configs: [c]}}
secrets: {s: {file: a, environment: B}}
configs: {c: {content: a, file: b}}
"#,
        expect![[r#"
            error: `source` is missing
              --> $DIR/compose.yaml:2:39
               |
             2 | services: *** ******* ** ******** *** ******** **** ******** *****
               |                                       ^
            help: add `source: …`

            error: the secret `s` has both `file` and `environment`
              --> $DIR/compose.yaml:3:11
               |
             3 | secrets: *** ****** ** ************ ***
               |           ^
            help: keep one of them

            error: the config `c` has both `file` and `content`
              --> $DIR/compose.yaml:4:11
               |
             4 | configs: {c: {content: a, file: b}}
               |           ^
            help: keep one of them
        "#]],
    );
}

#[test]
fn limits_said_in_two_places() {
    check(
        r#"
services:
  a: {image: x, mem_limit: 1g, deploy: {resources: {limits: {cpus: 1}}}}
"#,
        expect![[r#"
            error: `mem_limit` and `deploy.resources.limits.memory` are not the same
              --> $DIR/compose.yaml:3:17
               |
             3 |   a: {image: x, mem_limit: 1g, deploy: {resources: {limits: {cpus: 1}}}}
               |                 ^^^^^^^^^
            help: say it once, under `deploy.resources.limits.memory`
        "#]],
    );
}

#[test]
fn what_is_included_is_not_defined_again() {
    let folder = crate::common::Folder::new(&[
        (
            "compose.yaml",
            "include: [db/compose.yaml]\nservices:\n  db: {image: other}\nnetworks: {n: {driver: x}}\n",
        ),
        ("db/compose.yaml", "services:\n  db: {image: postgres}\nnetworks: {n: }\n"),
    ]);
    expect![[r#"
        error: the service `db` is included as well, from $DIR/db/compose.yaml:2
          --> $DIR/compose.yaml:3:3
           |
         3 |   db: {image: other}
           |   ^^
        help: give one of them another name, or change it in a file that lies over this one: `-f`

        error: the network `n` is included as well, from $DIR/db/compose.yaml:3
          --> $DIR/compose.yaml:4:12
           |
         4 | networks: {n: {driver: x}}
           |            ^
        help: give one of them another name, or change it in a file that lies over this one: `-f`
    "#]]
    .assert_eq(&folder.outcome(&folder.options()));
}
