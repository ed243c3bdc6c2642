//! Parts that do not fit together, and files that are not there.

use crate::check;
use crate::common::Folder;
use expect_test::expect;

#[test]
fn neither_image_nor_build() {
    check(
        r#"
services:
  api:
    command: run
  empty:
"#,
        expect![[r#"
            error: the service `api` has neither an image nor a build
              --> $DIR/compose.yaml:3:3
               |
             3 |   api:
               |   ^^^
            help: name an `image`, or a folder to `build`

            error: the service `empty` is empty
              --> $DIR/compose.yaml:5:3
               |
             5 |   empty:
               |   ^^^^^
            help: give it an `image` or a `build`
        "#]],
    );
}

#[test]
fn an_undefined_volume() {
    check(
        r#"
services:
  api:
    image: nginx
    volumes: [dta:/data]
volumes:
  data:
"#,
        expect![[r#"
            error: there is no volume `dta`
              --> $DIR/compose.yaml:5:15
               |
             5 |     volumes: [dta:/data]
               |               ^^^^^^^^^
            help: did you mean the volume `data`?
        "#]],
    );
}

#[test]
fn an_undefined_network() {
    check(
        r#"
services:
  api:
    image: nginx
    networks: [back]
networks:
  backend:
"#,
        expect![[r#"
            error: there is no network `back`
              --> $DIR/compose.yaml:5:16
               |
             5 |     networks: [back]
               |                ^^^^
            help: did you mean `backend`?
        "#]],
    );
}

#[test]
fn undefined_services() {
    check(
        r#"
services:
  api:
    image: nginx
    depends_on: [dv]
    links: [cache]
  db:
    image: postgres
"#,
        expect![[r#"
            error: `api` depends on `dv`, and there is no such service
              --> $DIR/compose.yaml:5:18
               |
             5 |     depends_on: [dv]
               |                  ^^
            help: did you mean `db`?

            error: `api` links to `cache`, and there is no such service
              --> $DIR/compose.yaml:6:13
               |
             6 |     links: [cache]
               |             ^^^^^
            help: add a service `cache`, or take this out
        "#]],
    );
}

#[test]
fn a_link_to_itself() {
    check(
        r#"
services:
  api:
    image: nginx
    links: [api]
"#,
        expect![[r#"
            error: `api` links to itself
              --> $DIR/compose.yaml:5:13
               |
             5 |     links: [api]
               |             ^^^
            help: take it out: a service knows itself as `localhost`
        "#]],
    );
}

#[test]
fn networks_and_network_mode() {
    check(
        r#"
services:
  api:
    image: nginx
    network_mode: host
    networks: [default]
"#,
        expect![[r#"
            error: `networks` and `network_mode` exclude each other
              --> $DIR/compose.yaml:6:5
               |
             6 |     networks: [default]
               |     ^^^^^^^^
            help: keep one of them
        "#]],
    );
}

#[test]
fn services_that_wait_for_each_other() {
    check(
        r#"
services:
  a:
    image: x
    depends_on: {b: {condition: service_healthy}}
  b:
    image: x
    depends_on: [c]
  c:
    image: x
    depends_on: {a: {condition: service_completed_successfully}}
"#,
        expect![[r#"
            error: these services wait for each other: a -> b -> c -> a
              --> $DIR/compose.yaml:8:18
               |
             8 |     depends_on: [c]
               |                  ^
            help: take `c` out of `depends_on` of `b`; services find each other by name in any order
        "#]],
    );
}

#[test]
fn a_service_that_waits_for_itself() {
    check(
        r#"
services:
  a:
    image: x
    depends_on: [a]
"#,
        expect![[r#"
            error: `a` depends on itself
              --> $DIR/compose.yaml:5:18
               |
             5 |     depends_on: [a]
               |                  ^
            help: take it out
        "#]],
    );
}

#[test]
fn a_shared_network_in_a_circle() {
    check(
        r#"
services:
  a:
    image: x
    network_mode: service:b
  b:
    image: x
    depends_on: [a]
"#,
        expect![[r#"
            error: these services wait for each other: a -> b -> a
              --> $DIR/compose.yaml:8:18
               |
             8 |     depends_on: [a]
               |                  ^
            help: take `a` out of `depends_on` of `b`; services find each other by name in any order
        "#]],
    );
}

#[test]
fn a_disabled_dependency() {
    check(
        r#"
services:
  a:
    image: x
    depends_on: [debug]
  debug:
    image: x
    profiles: [tools]
"#,
        expect![[r#"
            error: `a` depends on `debug`, which no active profile enables
              --> $DIR/compose.yaml:5:18
               |
             5 |     depends_on: [debug]
               |                  ^^^^^
            help: add `--profile tools`, or give `a` the same profile
        "#]],
    );
}

#[test]
fn the_same_container_name() {
    check(
        r#"
services:
  a: {image: x, container_name: same}
  b: {image: x, container_name: same}
"#,
        expect![[r#"
            error: `a` and `b` have the same container name
              --> $DIR/compose.yaml:4:33
               |
             4 |   b: {image: x, container_name: same}
               |                                 ^^^^
            help: give them different names, or none
        "#]],
    );
}

#[test]
fn the_same_place_twice() {
    check(
        r#"
services:
  a: {image: x, tmpfs: /run/x, volumes: [/run/x/]}
"#,
        expect![[r#"
            error: `/run/x` is in `tmpfs` and in `volumes`
              --> $DIR/compose.yaml:3:17
               |
             3 |   a: {image: x, tmpfs: /run/x, volumes: [/run/x/]}
               |                 ^^^^^
            help: keep one of them
        "#]],
    );
}

#[test]
fn nothing_but_a_version() {
    check(
        r#"
version: "3"
"#,
        expect![[r#"
            error: this compose file says nothing
              --> $DIR/compose.yaml
            help: it needs at least `services:` with one service
        "#]],
    );
}

#[test]
fn a_broken_env_file_is_named_with_its_line_but_not_its_value() {
    let folder = Folder::new(&[
        ("compose.yaml", "services:\n  a:\n    image: x\n    env_file: a.env\n"),
        ("a.env", "A=1\nPASSWORD='hunter2\n"),
        (".env", "B C=hunter3\n"),
    ]);
    expect![[r#"
        error: a variable's name cannot hold a space
          --> $DIR/.env:1

        error: the quoted value that starts here has no end
          --> $DIR/a.env:2
    "#]]
    .assert_eq(&folder.outcome(&folder.options()));
}

#[test]
fn files_that_are_not_there() {
    let folder = Folder::new(&[]);
    expect![[r#"
        error: there is no compose file in $DIR or above it
        help: make one named `compose.yaml`, or name one with `-f`
    "#]]
    .assert_eq(&folder.outcome(&folder.options()));
    let mut options = folder.options();
    options.files = vec!["a.yaml".into(), "b.yaml".into()];
    options.env_files = vec!["c.env".into()];
    expect![[r#"
        error: the env file cannot be read: No such file or directory (os error 2)
          --> $DIR/c.env

        error: this compose file does not exist
          --> $DIR/a.yaml

        error: this compose file does not exist
          --> $DIR/b.yaml
    "#]]
    .assert_eq(&folder.outcome(&options));
    options = folder.options();
    folder.write("compose.yaml", "services: {a: {image: x}}");
    options.project_name = Some("My Shop".to_owned());
    expect![[r#"
        error: `My Shop` cannot be a project's name
        help: use small letters, digits, `_` and `-`, and start with a letter or digit
    "#]]
    .assert_eq(&folder.outcome(&options));
}

#[test]
fn an_error_in_the_second_file_is_placed_there() {
    let folder = Folder::new(&[
        ("compose.yaml", "services:\n  a:\n    image: x\n"),
        ("compose.override.yml", "services:\n  a:\n    ports: [x]\n    comand: y\n"),
    ]);
    expect![[r#"
        error: `x` is not a port in the container
          --> $DIR/compose.override.yml:3:13
           |
         3 |     ports: [x]
           |             ^
        help: write `HOST:CONTAINER`, `CONTAINER` or `ADDRESS:HOST:CONTAINER`, with `/udp` at the end if need be

        error: unknown key `comand`
          --> $DIR/compose.override.yml:4:5
           |
         4 |     comand: y
           |     ^^^^^^
        help: did you mean `command`?
    "#]].assert_eq(&folder.outcome(&folder.options()));
}
