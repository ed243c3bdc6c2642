//! Several files that do not fit together: `extends`, `include`, `secrets`, `configs`.

use crate::check;
use crate::common::Folder;
use expect_test::{Expect, expect};

fn check_files(files: &[(&str, &str)], expected: Expect) {
    let folder = Folder::new(files);
    expected.assert_eq(&folder.outcome(&folder.options()));
}

#[test]
fn extending_what_is_not_there() {
    check(
        r#"
services:
  a: {extends: bass}
  base: {image: x}
  b: {extends: {service: x, file: none.yaml}}
  c: {extends: {file: compose.yaml}}
  d: {extends: {service: bse, file: compose.yaml}}
  e: {extends: [x]}
  f: {extends: {service: base, from: x}}
  g: {extends: a}
"#,
        expect![[r#"
            error: there is no service `bass` to extend
              --> $DIR/compose.yaml:3:16
               |
             3 |   a: {extends: bass}
               |                ^^^^
            help: did you mean `base`?

            error: the file $DIR/none.yaml does not exist
              --> $DIR/compose.yaml:5:35
               |
             5 |   b: {extends: {service: x, file: none.yaml}}
               |                                   ^^^^^^^^^

            error: `service` is missing: what is extended
              --> $DIR/compose.yaml:6:16
               |
             6 |   c: {extends: {file: compose.yaml}}
               |                ^
            help: add `service: …`

            error: there is no service `bse` in $DIR/compose.yaml to extend
              --> $DIR/compose.yaml:7:26
               |
             7 |   d: {extends: {service: bse, file: compose.yaml}}
               |                          ^^^
            help: did you mean `base`?

            error: `services.e.extends` must be the name of a service or a mapping, not a list
              --> $DIR/compose.yaml:8:16
               |
             8 |   e: {extends: [x]}
               |                ^

            error: unknown key `from`
              --> $DIR/compose.yaml:9:32
               |
             9 |   f: {extends: {service: base, from: x}}
               |                                ^^^^
            help: known here: service, file
        "#]],
    );
}

#[test]
fn extending_in_a_circle() {
    check(
        r#"
services:
  a: {image: x, extends: b}
  b: {extends: c}
  c: {extends: b}
  self: {extends: self}
"#,
        expect![[r#"
            error: these services extend each other: b -> c -> b
              --> $DIR/compose.yaml:5:7
               |
             5 |   c: {extends: b}
               |       ^^^^^^^
            help: take one of them out

            error: `self` extends itself
              --> $DIR/compose.yaml:6:10
               |
             6 |   self: {extends: self}
               |          ^^^^^^^
            help: take one of them out
        "#]],
    );
    check_files(
        &[
            ("compose.yaml", "services: {a: {extends: {service: b, file: sub/b.yaml}}}\n"),
            ("sub/b.yaml", "services: {b: {extends: {service: a, file: ../compose.yaml}}}\n"),
        ],
        expect![[r#"
            error: these services extend each other: b in b.yaml -> a in compose.yaml -> b in b.yaml
              --> $DIR/compose.yaml:1:16
               |
             1 | services: {a: {extends: {service: b, file: sub/b.yaml}}}
               |                ^^^^^^^
            help: take one of them out
        "#]],
    );
}

#[test]
fn an_error_in_a_file_that_is_extended_says_where() {
    check_files(
        &[
            ("compose.yaml", "services: {a: {extends: {service: b, file: sub/b.yaml}}}\n"),
            ("sub/b.yaml", "services:\n  b:\n    build: ./non\n    prots: [80]\n"),
        ],
        expect![[r#"
            error: the build context `$DIR/sub/non` does not exist
              --> $DIR/sub/b.yaml:3:12
               |
             3 |     build: ./non
               |            ^^^^^
            help: make the folder $DIR/sub/non, or name the one that holds the Dockerfile

            error: unknown key `prots`
              --> $DIR/sub/b.yaml:4:5
               |
             4 |     prots: [80]
               |     ^^^^^
            help: did you mean `ports`?
        "#]],
    );
}

#[test]
fn including_what_is_not_there() {
    check(
        r#"
include:
  - none.yaml
  - {path: https://example.com/x.git}
  - {pth: x}
  - {env_file: x}
  - [a, {}]
services: {a: {image: x}}
"#,
        expect![[r#"
            error: unknown key `pth`
              --> $DIR/compose.yaml:5:6
               |
             5 |   - {pth: x}
               |      ^^^
            help: known here: path, project_directory, env_file

            error: `path` is missing: the file to include
              --> $DIR/compose.yaml:6:5
               |
             6 |   - {env_file: x}
               |     ^
            help: add `path: …`

            error: a path is missing here
              --> $DIR/compose.yaml:7:9
               |
             7 |   - [a, {}]
               |         ^
            help: name a file, relative to this one

            error: the file $DIR/none.yaml does not exist
              --> $DIR/compose.yaml:3:5
               |
             3 |   - none.yaml
               |     ^^^^^^^^^

            error: including from elsewhere is not supported yet
              --> $DIR/compose.yaml:4:12
               |
             4 |   - {path: https://example.com/x.git}
               |            ^^^^^^^^^^^^^^^^^^^^^^^^^
        "#]],
    );
    check(
        "include: x\nservices: {a: {image: x}}\n",
        expect![[r#"
        error: `include` must be a list, not a single value
          --> $DIR/compose.yaml:1:10
           |
         1 | include: x
           |          ^
    "#]],
    );
}

#[test]
fn including_in_a_circle() {
    check_files(
        &[
            ("compose.yaml", "include: [b/b.yaml]\nservices: {a: {image: x}}\n"),
            ("b/b.yaml", "include: [c.yaml]\n"),
            ("b/c.yaml", "include: [b.yaml]\n"),
        ],
        expect![[r#"
            error: these files include each other: $DIR/b/b.yaml -> $DIR/b/c.yaml -> $DIR/b/b.yaml
              --> $DIR/b/c.yaml:1:11
               |
             1 | include: [b.yaml]
               |           ^^^^^^
        "#]],
    );
}

#[test]
fn what_is_wrong_with_an_included_file() {
    check_files(
        &[
            (
                "compose.yaml",
                "include: [b/b.yaml, c.yaml, {path: d.yaml, env_file: no.env}]\nservices: {a: {image: x}}\n",
            ),
            ("b/b.yaml", "servces: {b: {image: x}}\nservices: {c: {image: x, depends_on: [d]}}\n"),
            ("c.yaml", "[]\n"),
            ("d.yaml", "services: {d: {image: x}}\n"),
        ],
        expect![[r#"
            error: a compose file must be a mapping, not a list
              --> $DIR/c.yaml:1:1
               |
             1 | []
               | ^

            error: the env file cannot be read: No such file or directory (os error 2)
              --> $DIR/no.env

            error: unknown key `servces`
              --> $DIR/b/b.yaml:1:1
               |
             1 | servces: {b: {image: x}}
               | ^^^^^^^
            help: did you mean `services`?
        "#]],
    );
}

#[test]
fn secrets_that_no_file_holds() {
    check(
        r#"
services:
  a:
    image: x
    secrets: [env, ext, file, {target: x}]
    configs: [text, txet]
secrets:
  env: {environment: TOKEN}
  ext: {external: true}
  file: {file: none.txt}
  none: {}
  both: {file: a, environment: b}
configs:
  text: {content: hello}
"#,
        expect![[r#"
            error: `source` is missing
              --> $DIR/compose.yaml:5:31
               |
             5 |     secrets: ***** **** ***** ******** ***
               |                               ^
            help: add `source: …`

            error: the secret `none` has no source
              --> $DIR/compose.yaml:11:3
               |
            11 |   none: **
               |   ^^^^
            help: give it one of: file, environment

            error: the secret `both` has both `file` and `environment`
              --> $DIR/compose.yaml:12:3
               |
            12 |   both: ****** ** ************ **
               |   ^^^^
            help: keep one of them

            error: there is no config `txet`
              --> $DIR/compose.yaml:6:21
               |
             6 |     configs: [text, txet]
               |                     ^^^^
            help: did you mean `text`?
        "#]],
    );
}
