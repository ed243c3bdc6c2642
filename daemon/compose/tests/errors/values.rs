//! Values that make no sense.

use crate::check;
use expect_test::expect;

#[test]
fn a_missing_build_context() {
    check(
        r#"
services:
  a:
    build: ./servce
"#,
        expect![[r#"
            error: the build context `./servce` does not exist
              --> $DIR/compose.yaml:4:12
               |
             4 |     build: ./servce
               |            ^^^^^^^^
            help: make the folder $DIR/servce, or name the one that holds the Dockerfile
        "#]],
    );
}

#[test]
fn bad_ports() {
    check(
        r#"
services:
  a:
    image: x
    ports:
      - abc:80
      - 80/xyz
      - 1-3:1-2
      - {published: 80}
      - 999.1.1.1:80:80
"#,
        expect![[r#"
            error: `abc` is not a port of the host
              --> $DIR/compose.yaml:6:9
               |
             6 |       - abc:80
               |         ^^^^^^
            help: write `HOST:CONTAINER`, `CONTAINER` or `ADDRESS:HOST:CONTAINER`, with `/udp` at the end if need be

            error: `xyz` is not a protocol; known are tcp, udp and sctp
              --> $DIR/compose.yaml:7:9
               |
             7 |       - 80/xyz
               |         ^^^^^^
            help: write `HOST:CONTAINER`, `CONTAINER` or `ADDRESS:HOST:CONTAINER`, with `/udp` at the end if need be

            error: the ranges `1-3` and `1-2` are not of the same length
              --> $DIR/compose.yaml:8:9
               |
             8 |       - 1-3:1-2
               |         ^^^^^^^
            help: write `HOST:CONTAINER`, `CONTAINER` or `ADDRESS:HOST:CONTAINER`, with `/udp` at the end if need be

            error: `target` is missing: the port in the container
              --> $DIR/compose.yaml:9:9
               |
             9 |       - {published: 80}
               |         ^
            help: add `target: …`

            error: `999.1.1.1` is not an IP address
              --> $DIR/compose.yaml:10:9
               |
            10 |       - 999.1.1.1:80:80
               |         ^^^^^^^^^^^^^^^
            help: write `HOST:CONTAINER`, `CONTAINER` or `ADDRESS:HOST:CONTAINER`, with `/udp` at the end if need be
        "#]],
    );
}

#[test]
fn bad_mounts() {
    check(
        r#"
services:
  a:
    image: x
    volumes:
      - data
      - a:b
      - /x:/y:ro:z
      - {type: bind, target: /t}
      - {type: image, source: x, target: /t}
      - {type: bnd, source: x, target: /t}
      - no such folder:/x
"#,
        expect![[r#"
            error: this is not a mount: the path in the container must start with `/`
              --> $DIR/compose.yaml:6:9
               |
             6 |       - data
               |         ^^^^
            help: write `FOLDER:/path/in/container`, `VOLUME:/path/in/container` or `/path/in/container`

            error: this is not a mount: the path in the container must start with `/`
              --> $DIR/compose.yaml:7:9
               |
             7 |       - a:b
               |         ^^^
            help: write `FOLDER:/path/in/container`, `VOLUME:/path/in/container` or `/path/in/container`

            error: this is not a mount: it has too many colons
              --> $DIR/compose.yaml:8:9
               |
             8 |       - /x:/y:ro:z
               |         ^^^^^^^^^^
            help: write `FOLDER:/path/in/container`, `VOLUME:/path/in/container` or `/path/in/container`

            error: `source` is missing: the path on the host
              --> $DIR/compose.yaml:9:9
               |
             9 |       - {type: bind, target: /t}
               |         ^
            help: add `source: …`

            error: `bnd` is not known here
              --> $DIR/compose.yaml:11:16
               |
            11 |       - {type: bnd, source: x, target: /t}
               |                ^^^
            help: did you mean `bind`? Known are bind, volume, tmpfs, image, npipe, cluster

            error: `no such folder` is neither a declared volume nor a folder
              --> $DIR/compose.yaml:12:9
               |
            12 |       - no such folder:/x
               |         ^^^^^^^^^^^^^^^^^
            help: write `./no such folder` for a folder, or declare a volume of that name
        "#]],
    );
}

#[test]
fn bad_values() {
    check(
        r#"
services:
  a:
    image: x
    init: maybe
    mem_limit: 1x
    cpus: many
    stop_grace_period: 10
    restart: somtimes
    pull_policy: every_now
    container_name: a b
    extra_hosts: [nowhere]
    ulimits: {nofile: {soft: 1}}
    command: echo 'a
"#,
        expect![[r#"
            error: `maybe` is not `true` or `false`
              --> $DIR/compose.yaml:5:11
               |
             5 |     init: maybe
               |           ^^^^^
            help: write `true` or `false`

            error: `1x` is not a size
              --> $DIR/compose.yaml:6:16
               |
             6 |     mem_limit: 1x
               |                ^^
            help: write it like `64m` or `1g`

            error: `many` is not a number of CPUs
              --> $DIR/compose.yaml:7:11
               |
             7 |     cpus: many
               |           ^^^^
            help: write it like `2` or `0.5`

            error: `10` is not a duration
              --> $DIR/compose.yaml:8:24
               |
             8 |     stop_grace_period: 10
               |                        ^^
            help: write it like `1m30s`, `10s` or `500ms`

            error: `somtimes` is not a restart policy
              --> $DIR/compose.yaml:9:14
               |
             9 |     restart: somtimes
               |              ^^^^^^^^
            help: known are no, always, unless-stopped, on-failure and on-failure:COUNT

            error: `every_now` is not a pull policy
              --> $DIR/compose.yaml:10:18
               |
            10 |     pull_policy: every_now
               |                  ^^^^^^^^^
            help: write a time after `every_`, such as `every_12h` or `every_3d`

            error: `a b` is not a container's name
              --> $DIR/compose.yaml:11:21
               |
            11 |     container_name: a b
               |                     ^^^
            help: it is letters, digits, `_`, `.` and `-`, two or more

            error: `nowhere` is not a host and its address
              --> $DIR/compose.yaml:12:19
               |
            12 |     extra_hosts: [nowhere]
               |                   ^^^^^^^
            help: write `name=10.0.0.1`

            error: `hard` is missing
              --> $DIR/compose.yaml:13:23
               |
            13 |     ulimits: {nofile: {soft: 1}}
               |                       ^
            help: add `hard: …`

            error: this command cannot be split: a quote is not closed
              --> $DIR/compose.yaml:14:14
               |
            14 |     command: echo 'a
               |              ^^^^^^^
        "#]],
    );
}

#[test]
fn bad_health_checks() {
    check(
        r#"
services:
  a:
    image: x
    healthcheck: {test: [curl, x]}
  b:
    image: x
    healthcheck: {test: [], retries: -1}
  c:
    image: x
    healthcheck: {test: [CMD]}
"#,
        expect![[r#"
            error: a health check begins with `CMD`, `CMD-SHELL` or `NONE`
              --> $DIR/compose.yaml:5:25
               |
             5 |     healthcheck: {test: [curl, x]}
               |                         ^
            help: begin it with `CMD` for a program and its arguments, `CMD-SHELL` for one line of shell, or `NONE`

            error: `-1` is not a number of tries
              --> $DIR/compose.yaml:8:38
               |
             8 |     healthcheck: {test: [], retries: -1}
               |                                      ^^
            help: write it in digits

            error: the health check has no command
              --> $DIR/compose.yaml:11:25
               |
            11 |     healthcheck: {test: [CMD]}
               |                         ^
        "#]],
    );
}

#[test]
fn bad_watch_rules() {
    check(
        r#"
services:
  a:
    image: x
    develop:
      watch:
        - {path: ., action: snyc}
        - {action: sync+exec, path: .}
        - {action: rebuild}
"#,
        expect![[r#"
            error: `snyc` is not known here
              --> $DIR/compose.yaml:7:29
               |
             7 |         - {path: ., action: snyc}
               |                             ^^^^
            help: did you mean `sync`? Known are sync, rebuild, restart, sync+restart, sync+exec

            error: `target` is missing in this watch rule
              --> $DIR/compose.yaml:8:11
               |
             8 |         - {action: sync+exec, path: .}
               |           ^
            help: add `target: …`

            error: `exec` is missing in this watch rule
              --> $DIR/compose.yaml:8:11
               |
             8 |         - {action: sync+exec, path: .}
               |           ^
            help: add `exec: …`

            error: `path` is missing in this watch rule
              --> $DIR/compose.yaml:9:11
               |
             9 |         - {action: rebuild}
               |           ^
            help: add `path: …`
        "#]],
    );
}

#[test]
fn bad_devd_settings() {
    check(
        r#"
services:
  a:
    image: x
    x-devd:
      on_chang: restart
      on_change: signal
      supervise: perhaps
      tests: {pool: 100, timeout: 10, fil: x}
  b:
    image: x
    x-devd: {on_change: {signal: HUP, exec: [x]}}
  c:
    image: x
    x-devd: {tests: {prepare: {files: sql}}}
"#,
        expect![[r#"
            error: unknown key `on_chang`
              --> $DIR/compose.yaml:6:7
               |
             6 |       on_chang: restart
               |       ^^^^^^^^
            help: did you mean `on_change`?

            error: `signal` is not known here
              --> $DIR/compose.yaml:7:18
               |
             7 |       on_change: signal
               |                  ^^^^^^
            help: say which: `on_change: {signal: HUP}`

            error: `perhaps` is not `true` or `false`
              --> $DIR/compose.yaml:8:18
               |
             8 |       supervise: perhaps
               |                  ^^^^^^^
            help: write `true` or `false`

            error: `100` is not a number from 0 to 32
              --> $DIR/compose.yaml:9:21
               |
             9 |       tests: {pool: 100, timeout: 10, fil: x}
               |                     ^^^
            help: write it in digits

            error: `10` is not a duration
              --> $DIR/compose.yaml:9:35
               |
             9 |       tests: {pool: 100, timeout: 10, fil: x}
               |                                   ^^
            help: write it like `1m30s`, `10s` or `500ms`

            error: unknown key `fil`
              --> $DIR/compose.yaml:9:39
               |
             9 |       tests: {pool: 100, timeout: 10, fil: x}
               |                                       ^^^
            help: did you mean `file`?

            error: `on_change` takes one of `signal` and `exec`
              --> $DIR/compose.yaml:12:25
               |
            12 |     x-devd: {on_change: {signal: HUP, exec: [x]}}
               |                         ^

            error: `prepare` has no command
              --> $DIR/compose.yaml:15:31
               |
            15 |     x-devd: {tests: {prepare: {files: sql}}}
               |                               ^
            help: give it one: `prepare: python manage.py migrate`
        "#]],
    );
}

#[test]
fn dockerfile_twice() {
    check(
        r#"
services:
  a:
    build:
      dockerfile: X
      dockerfile_inline: FROM x
"#,
        expect![[r#"
            error: `dockerfile` and `dockerfile_inline` exclude each other
              --> $DIR/compose.yaml:5:7
               |
             5 |       dockerfile: X
               |       ^
            help: keep one of them
        "#]],
    );
}

#[test]
fn names_that_cannot_be() {
    check(
        r#"
name: ---
services:
  a b:
    image: x
"#,
        expect![[r#"
            error: nothing of this can be a project's name
              --> $DIR/compose.yaml:2:1
               |
             2 | name: ---
               | ^^^^
            help: use letters or digits
        "#]],
    );
}

#[test]
fn a_service_name_that_cannot_be() {
    check(
        r#"
services:
  a b:
    image: x
"#,
        expect![[r#"
            error: `a b` cannot be the name of a service
              --> $DIR/compose.yaml:3:3
               |
             3 |   a b:
               |   ^^^
            help: use letters, digits, `.`, `_` and `-`, and not too many
        "#]],
    );
}

#[test]
fn a_missing_env_file() {
    check(
        r#"
services:
  a:
    image: x
    env_file: [./nope.env, {path: x.env, format: odd}, {required: false}]
"#,
        expect![[r#"
            error: the env file $DIR/nope.env does not exist
              --> $DIR/compose.yaml:5:16
               |
             5 |     env_file: [./nope.env, {path: x.env, format: odd}, {required: false}]
               |                ^^^^^^^^^^
            help: make it, or say `required: false` in the long form `{path: …, required: false}`

            error: `odd` is not known here
              --> $DIR/compose.yaml:5:50
               |
             5 |     env_file: [./nope.env, {path: x.env, format: odd}, {required: false}]
               |                                                  ^^^
            help: known are raw

            error: the env file $DIR/x.env does not exist
              --> $DIR/compose.yaml:5:28
               |
             5 |     env_file: [./nope.env, {path: x.env, format: odd}, {required: false}]
               |                            ^
            help: make it, or say `required: false` in the long form `{path: …, required: false}`

            error: `path` is missing
              --> $DIR/compose.yaml:5:56
               |
             5 |     env_file: [./nope.env, {path: x.env, format: odd}, {required: false}]
               |                                                        ^
            help: add `path: …`
        "#]],
    );
}
