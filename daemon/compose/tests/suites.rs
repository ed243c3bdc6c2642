//! Where the tests of a service are found.

mod common;

use common::{Folder, relative};
use devd_compose::{Suite, find_suite, load, suite_services};
use expect_test::expect;

const TESTS: &str = "tests:\n    build: .\n    command: python -m unittest\n    volumes:\n        - .:/usr/src/app\n    links:\n        - db\n\ndb:\n    image: mongo\n";

fn find(folder: &Folder, service: &str) -> Result<Option<Suite>, String> {
    let options = folder.options();
    let project = load(&options).unwrap_or_else(|error| panic!("{error}")).project;
    find_suite(&project, service, &options).map_err(|error| folder.shown(&error.render()) + "\n")
}

#[test]
fn the_compose_file_in_the_folder_of_the_service() {
    let folder = Folder::new(&[
        ("docker-compose.yml", "one: {build: Service 1}\ntwo: {build: Service 2}\ndb: {image: x}\n"),
        ("Service 1/docker-compose.yml", TESTS),
        ("Service 2/Dockerfile", "FROM x"),
    ]);
    let suite = find(&folder, "one").unwrap().unwrap();
    assert_eq!((suite.service.as_str(), suite.project.name.as_str()), ("tests", "service1"));
    assert_eq!(suite.project.dir, folder.path().join("Service 1"));
    assert_eq!(suite.project.closure("tests").into_iter().collect::<Vec<_>>(), ["db"]);
    let (source, _) = suite.project.services["tests"].binds().next().unwrap();
    assert_eq!(source, folder.path().join("Service 1"));
    let inputs = relative(suite.inputs, &folder.path());
    assert!(inputs.contains(&"Service 1/compose.yaml".to_owned()), "{inputs:?}");
    assert_eq!(find(&folder, "two"), Ok(None));
    assert_eq!(find(&folder, "db"), Ok(None));
    assert_eq!(find(&folder, "unknown"), Ok(None));
}

#[test]
fn the_name_with_a_dot_counts_last() {
    let folder =
        Folder::new(&[("compose.yaml", "services: {one: {build: a}}\n"), ("a/docker.compose.yml", TESTS)]);
    assert!(find(&folder, "one").unwrap().is_some());
    folder.write("a/compose.yaml", "services: {other: {image: x}}\n");
    assert_eq!(find(&folder, "one"), Ok(None));
}

#[test]
fn the_projects_own_file_is_not_a_suite_by_itself() {
    let folder = Folder::new(&[("compose.yaml", "services: {one: {build: .}, tests: {image: x}}\n")]);
    assert_eq!(find(&folder, "one"), Ok(None));
    assert!(suite_services(&load(&folder.options()).unwrap().project).is_empty());
}

#[test]
fn tests_turned_off() {
    let folder = Folder::new(&[
        ("compose.yaml", "services: {one: {build: a, x-devd: {tests: false}}}\n"),
        ("a/compose.yaml", TESTS),
    ]);
    assert_eq!(find(&folder, "one"), Ok(None));
}

#[test]
fn a_file_and_a_service_by_name() {
    let folder = Folder::new(&[
        (
            "compose.yaml",
            "services: {one: {build: a, x-devd: {tests: {file: ci/test.yaml, service: unit, pool: 3}}}}\n",
        ),
        (
            "a/ci/test.yaml",
            "services: {unit: {image: x, profiles: [ci], depends_on: [db]}, db: {image: x, profiles: [ci]}}\n",
        ),
    ]);
    let suite = find(&folder, "one").unwrap().unwrap();
    assert_eq!((suite.service.as_str(), suite.settings.pool), ("unit", 3));
    assert_eq!(suite.project.services.len(), 2);
    assert_eq!(suite.project.dir, folder.path().join("a/ci"));
}

#[test]
fn a_service_of_the_projects_own_file() {
    let yaml = "services:\n  one: {build: ., x-devd: {tests: {service: unit}}}\n  unit: {image: x, profiles: [test], links: [one]}\n  tests: {image: x}\n";
    let folder = Folder::new(&[("compose.yaml", yaml)]);
    let project = load(&folder.options()).unwrap().project;
    assert_eq!(suite_services(&project).into_iter().collect::<Vec<_>>(), ["unit"]);
    let suite = find(&folder, "one").unwrap().unwrap();
    assert_eq!(suite.service, "unit");
    assert_eq!(suite.project.services.len(), 3);
    assert_eq!(suite.project.name, "shop");
}

#[test]
fn suites_that_are_named_must_be_there() {
    let folder = Folder::new(&[
        (
            "compose.yaml",
            "services:\n  one: {image: x, x-devd: {tests: {service: unt}}}\n  unit: {image: x}\n  two: {build: a, x-devd: {tests: {service: unt}}}\n  three: {build: a, x-devd: {tests: {file: nope.yaml}}}\n",
        ),
        ("a/compose.yaml", "services: {unit: {image: x}}\n"),
    ]);
    expect![[r#"
        error: the tests of `one` are said to be the service `unt`, and there is none
          --> $DIR/compose.yaml:2
        help: did you mean `unit`?
    "#]]
    .assert_eq(&find(&folder, "one").unwrap_err());
    expect![[r#"
        error: there is no service `unt` in this file
          --> $DIR/a/compose.yaml
        help: did you mean `unit`?
    "#]]
    .assert_eq(&find(&folder, "two").unwrap_err());
    expect![[r#"
        error: this compose file does not exist
          --> $DIR/a/nope.yaml
        help: did you mean `$DIR/a/compose.yaml`?
    "#]]
    .assert_eq(&find(&folder, "three").unwrap_err());
}

#[test]
fn a_file_that_does_not_load_is_an_error_of_the_suite_alone() {
    let folder = Folder::new(&[
        ("compose.yaml", "services: {one: {build: a}}\n"),
        ("a/compose.yaml", "services: {tests: {imag: x}}\n"),
    ]);
    expect![[r#"
        error: unknown key `imag`
          --> $DIR/a/compose.yaml:1:20
           |
         1 | services: {tests: {imag: x}}
           |                    ^^^^
        help: did you mean `image`?
    "#]]
    .assert_eq(&find(&folder, "one").unwrap_err());
}
