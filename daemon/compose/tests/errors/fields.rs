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
            help: write it in digits

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
            help: write it in digits
        "#]],
    );
}
