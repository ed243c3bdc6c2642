//! Parts of a project that do not go together.

use crate::check;
use crate::common::Folder;
use expect_test::expect;

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
            help: write it in digits

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
    devices: [{source: /dev/a}, "a:b:c:d", /dev/a:/dev/b:x, "/dev/a:/dev/b:"]
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
             5 |     devices: [{source: /dev/a}, "a:b:c:d", /dev/a:/dev/b:x, "/dev/a:/dev/b:"]
               |               ^
            help: add `target: …`

            error: `a:b:c:d` is not a device
              --> $DIR/compose.yaml:5:33
               |
             5 |     devices: [{source: /dev/a}, "a:b:c:d", /dev/a:/dev/b:x, "/dev/a:/dev/b:"]
               |                                 ^^^^^^^^^
            help: write `/dev/SOURCE:/dev/TARGET`, with `:r` or `:rw` perhaps

            error: what may be done with a device is of `r`, `w`, `m`
              --> $DIR/compose.yaml:5:44
               |
             5 |     devices: [{source: /dev/a}, "a:b:c:d", /dev/a:/dev/b:x, "/dev/a:/dev/b:"]
               |                                            ^^^^^^^^^^^^^^^
            help: write `:r` or `:rwm` at its end

            error: `/dev/a:/dev/b:` is not a device
              --> $DIR/compose.yaml:5:61
               |
             5 |     devices: [{source: /dev/a}, "a:b:c:d", /dev/a:/dev/b:x, "/dev/a:/dev/b:"]
               |                                                             ^^^^^^^^^^^^^^^^
            help: write `/dev/SOURCE:/dev/TARGET`, with `:r` or `:rw` perhaps

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
            help: write it in digits

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
            help: write it in digits

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
             4 | configs: {c: {content: ** ***** ***
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
    let folder = Folder::new(&[
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

#[test]
fn the_folder_that_was_meant_is_named() {
    let folder = Folder::new(&[
        ("Service 2/Dockerfile", "FROM x"),
        (
            "docker-compose.yml",
            "service2:\n    build: Service2\n    volumes:\n        - Servce 2:/usr/src/app\n",
        ),
    ]);
    expect![[r#"
        error: the build context `Service2` does not exist
          --> $DIR/docker-compose.yml:2:12
           |
         2 |     build: Service2
           |            ^^^^^^^^
        help: did you mean `Service 2`?

        error: `Servce 2` is neither a declared volume nor a folder
          --> $DIR/docker-compose.yml:4:11
           |
         4 |         - Servce 2:/usr/src/app
           |           ^^^^^^^^^^^^^^^^^^^^^
        help: did you mean the folder `./Service 2`?
    "#]]
    .assert_eq(&folder.outcome(&folder.options()));
}
