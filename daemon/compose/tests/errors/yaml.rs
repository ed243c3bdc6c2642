//! What is wrong with a file before its meaning counts: syntax, keys, types, variables.

use crate::check;
use expect_test::expect;

#[test]
fn a_key_that_is_nearly_known() {
    check(
        r#"
services:
  api:
    imag: nginx
"#,
        expect![[r#"
            error: unknown key `imag`
              --> $DIR/compose.yaml:4:5
               |
             4 |     imag: nginx
               |     ^^^^
            help: did you mean `image`?
        "#]],
    );
}

#[test]
fn a_key_of_a_later_compose() {
    check(
        r#"
services:
  api:
    image: nginx
    pre_start:
      - {command: x}
"#,
        expect![[r#"
            error: `pre_start` came with a later version of compose than is followed here
              --> $DIR/compose.yaml:5:5
               |
             5 |     pre_start:
               |     ^^^^^^^^^
            help: take it out
        "#]],
    );
}

#[test]
fn an_unknown_key_at_the_top() {
    check(
        r#"
servces:
  api:
    image: nginx
"#,
        expect![[r#"
            error: unknown key `servces`
              --> $DIR/compose.yaml:2:1
               |
             2 | servces:
               | ^^^^^^^
            help: did you mean `services`?
        "#]],
    );
}

#[test]
fn services_without_services_beside_other_sections() {
    check(
        r#"
api:
  image: nginx
volumes:
  data:
"#,
        expect![[r#"
            error: unknown key `api`
              --> $DIR/compose.yaml:2:1
               |
             2 | api:
               | ^^^
            help: a service belongs under `services:`
        "#]],
    );
}

#[test]
fn the_wrong_type() {
    check(
        r#"
services:
  api:
    image: nginx
    ports: 80
    environment: [[a]]
    healthcheck:
      interval: [1]
"#,
        expect![[r#"
            error: `services.api.ports` must be a list, not a single value
              --> $DIR/compose.yaml:5:12
               |
             5 |     ports: 80
               |            ^^
            help: write each item on a line of its own after `- `, or all in `[…]`

            error: `services.api.environment[0]` must be a single value, not a list
              --> $DIR/compose.yaml:6:19
               |
             6 |     environment: *****
               |                   ^
            help: write one value after the colon

            error: `services.api.healthcheck.interval` must be a single value, not a list
              --> $DIR/compose.yaml:8:17
               |
             8 |       interval: [1]
               |                 ^
            help: write one value after the colon
        "#]],
    );
}

#[test]
fn a_key_set_twice() {
    check(
        r#"
services:
  api:
    image: nginx
    image: apache
"#,
        expect![[r#"
            error: `image` is set twice, first at $DIR/compose.yaml:4:5
              --> $DIR/compose.yaml:5:5
               |
             5 |     image: apache
               |     ^^^^^
            help: keep one of them
        "#]],
    );
}

#[test]
fn bad_indentation() {
    check(
        r#"
services:
  api:
    image: nginx
   ports: []
"#,
        expect![[r#"
            error: this is not valid YAML: while parsing a block mapping, did not find expected key
              --> $DIR/compose.yaml:5:4
               |
             5 |    ports: []
               |    ^
            help: look at how far this line and those above it are indented
        "#]],
    );
}

#[test]
fn an_unclosed_quote() {
    check(
        r#"
services:
  api:
    image: "nginx
"#,
        expect![[r#"
            error: this is not valid YAML: unclosed quote
              --> $DIR/compose.yaml:4:12
               |
             4 |     image: "nginx
               |            ^
            help: close the quote on the same line
        "#]],
    );
}

#[test]
fn an_unknown_alias() {
    check(
        r#"
services:
  api: *base
"#,
        expect![[r#"
            error: this is not valid YAML: while parsing node, found unknown anchor
              --> $DIR/compose.yaml:3:8
               |
             3 |   api: *base
               |        ^
            help: name the value with `&name` before `*name` stands for it
        "#]],
    );
}

#[test]
fn an_alias_within_itself() {
    check(
        r#"
services:
  api: &a
    image: x
    environment:
      X: *a
"#,
        expect![[r#"
            error: this alias stands inside the value that it names
              --> $DIR/compose.yaml:6:10
               |
             6 |       X: **
               |          ^^
        "#]],
    );
}

#[test]
fn a_merge_of_what_is_no_mapping() {
    check(
        r#"
x-a: &a [1]
services:
  api:
    <<: *a
    image: x
"#,
        expect![[r#"
            error: `<<` takes a mapping or a list of mappings, not a list
              --> $DIR/compose.yaml:2:9
               |
             2 | x-a: &a [1]
               |         ^
        "#]],
    );
}

#[test]
fn a_malformed_variable() {
    check(
        r#"
services:
  api:
    image: "web:${TAG"
    hostname: a${1}b
"#,
        expect![[r#"
            error: `${TAG` is not a variable expression
              --> $DIR/compose.yaml:4:17
               |
             4 |     image: "web:${TAG"
               |                 ^^^^^
            help: write `$$` for a dollar sign; the forms are `${NAME}`, `${NAME:-default}`, `${NAME:+other}` and `${NAME:?message}`

            error: `${1}` is not a variable expression
              --> $DIR/compose.yaml:5:16
               |
             5 |     hostname: a${1}b
               |                ^^^^
            help: write `$$` for a dollar sign; the forms are `${NAME}`, `${NAME:-default}`, `${NAME:+other}` and `${NAME:?message}`
        "#]],
    );
}

#[test]
fn a_required_variable() {
    check(
        r#"
services:
  api:
    image: >-
      some/${IMAGE:?set it}
"#,
        expect![[r#"
            error: the variable `IMAGE` is required, and it is not set: set it
              --> $DIR/compose.yaml:5:12
               |
             5 |       some/${IMAGE:?set it}
               |            ^^^^^^^^^^^^^^^^
            help: set `IMAGE` in the environment or in `.env`
        "#]],
    );
}

#[test]
fn a_secret_stays_hidden() {
    check(
        r#"
services:
  api:
    image: nginx
    environment:
      PASSWORD: hunter2${
      - oops
"#,
        expect![[r#"
            error: this is not valid YAML: while parsing a block mapping, did not find expected key
              --> $DIR/compose.yaml:7:9
               |
             7 |       - ****
               |         ^
            help: look at how far this line and those above it are indented
        "#]],
    );
}

#[test]
fn a_secret_value_stays_hidden() {
    check(
        r#"
services:
  api:
    image: nginx
    environment:
      PASSWORD: hunter2${}
      LIST: [hunter3]
"#,
        expect![[r#"
            error: this is not a variable expression
              --> $DIR/compose.yaml:6:24
               |
             6 |       PASSWORD: **********
               |                        ^^^
            help: write `$$` for a dollar sign; the forms are `${NAME}`, `${NAME:-default}`, `${NAME:+other}` and `${NAME:?message}`

            error: `services.api.environment.LIST` must be a single value, not a list
              --> $DIR/compose.yaml:7:13
               |
             7 |       LIST: *********
               |             ^
            help: write one value after the colon
        "#]],
    );
}

#[test]
fn an_empty_file() {
    check(
        r#"
# nothing
"#,
        expect![[r#"
            error: this compose file is empty
              --> $DIR/compose.yaml
            help: it needs at least `services:` with one service
        "#]],
    );
}

#[test]
fn a_list_at_the_top() {
    check(
        r#"
- a
"#,
        expect![[r#"
            error: a compose file must be a mapping, not a list
              --> $DIR/compose.yaml:2:1
               |
             2 | - a
               | ^
            help: write `key: value`, one on each line
        "#]],
    );
}

#[test]
fn a_fragment_is_masked_and_said_once() {
    check(
        r#"
x-env: &env
  PASSWORD: hunter2${
services:
  a: {image: x, environment: *env, ports: !rset []}
  b: {image: x, environment: *env}
"#,
        expect![[r#"
            error: this is not a variable expression
              --> $DIR/compose.yaml:3:20
               |
             3 |   PASSWORD: *********
               |                    ^^
            help: write `$$` for a dollar sign; the forms are `${NAME}`, `${NAME:-default}`, `${NAME:+other}` and `${NAME:?message}`
        "#]],
    );
}

#[test]
fn an_unknown_tag_is_a_warning() {
    check(
        "services: {a: {image: x, cap_add: !rset []}}",
        expect![[r#"
        warning: this tag is not known, so it is ignored
          --> $DIR/compose.yaml:1:35
           |
         1 | services: {a: {image: x, cap_add: !rset []}}
           |                                   ^^^^^
        help: known are `!reset` and `!override`; quote a value that begins with `!`

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
