//! Which files, which name, which variables, which profiles; and what the result depends on.

mod common;

use std::collections::BTreeMap;

use common::{Folder, relative};
use devd_compose::{Loaded, Options, load};

const ONE: &str = "services: {one: {image: x}}\n";
const TWO: &str = "services: {two: {image: x}}\n";

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn loaded(options: &Options) -> Loaded {
    load(options).unwrap_or_else(|error| panic!("{error}"))
}

fn services(options: &Options) -> String {
    loaded(options).project.services.keys().cloned().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_usual_names_in_their_order() {
    let folder = Folder::new(&[("docker-compose.yaml", TWO)]);
    assert_eq!(services(&folder.options()), "two");
    folder.write("docker-compose.yml", ONE);
    let result = loaded(&folder.options());
    assert_eq!(result.project.services.keys().collect::<Vec<_>>(), ["one"]);
    assert_eq!(
        result.warnings[0].message,
        "there are several compose files: `docker-compose.yml` is used, `docker-compose.yaml` not"
    );
    folder.write("compose.yml", TWO);
    assert_eq!(services(&folder.options()), "two");
    folder.write("compose.yaml", ONE);
    assert_eq!(services(&folder.options()), "one");
}

#[test]
fn an_override_lies_on_any_base_and_parents_are_searched() {
    let folder =
        Folder::new(&[("compose.yaml", ONE), ("docker-compose.override.yml", TWO), ("sub/deep/", "")]);
    let mut options = folder.options();
    options.dir = folder.path().join("sub/deep");
    let result = loaded(&options);
    assert_eq!(result.project.services.len(), 2);
    assert_eq!(result.project.dir, folder.path());
    assert_eq!(result.project.name, "shop");
    assert_eq!(
        relative(result.project.files.clone(), &folder.path()),
        ["compose.yaml", "docker-compose.override.yml"]
    );
    let inputs = relative(result.inputs, &folder.path());
    for name in [".env", "compose.yaml", "compose.yml", "compose.override.yml", "docker-compose.override.yml"]
    {
        assert!(inputs.iter().any(|input| input == name), "{name} is not in {inputs:?}");
    }
}

#[test]
fn named_files_come_without_an_override() {
    let folder = Folder::new(&[
        ("x/a.yaml", "services: {one: {image: x, build: ./here}}\n"),
        ("x/here/", ""),
        ("b.yaml", TWO),
        ("x/compose.override.yaml", "services: {three: {image: x}}\n"),
        ("x/.env", "V=1\n"),
    ]);
    let mut options = folder.options();
    options.files = vec!["x/a.yaml".into(), "b.yaml".into()];
    let result = loaded(&options);
    assert_eq!(result.project.services.keys().collect::<Vec<_>>(), ["one", "two"]);
    // All relative paths start at the folder of the first file.
    let build = result.project.services["one"].build.clone().unwrap();
    assert_eq!(build.context, folder.path().join("x/here"));
    assert!(result.inputs.contains(&folder.path().join("x/.env")));

    options.files.clear();
    options.env = env(&[("COMPOSE_FILE", "x/a.yaml:b.yaml"), ("OTHER", "1")]);
    let again = loaded(&options);
    assert_eq!(again.project, result.project);
    assert_eq!(again.env_used, env(&[("COMPOSE_FILE", "x/a.yaml:b.yaml")]));
    options.env = env(&[("COMPOSE_FILE", "x/a.yaml,b.yaml"), ("COMPOSE_PATH_SEPARATOR", ",")]);
    assert_eq!(loaded(&options).project, result.project);
    options.env.clear();
    folder.write(".env", "COMPOSE_FILE=x/a.yaml:b.yaml\n");
    assert_eq!(loaded(&options).project, result.project);
}

#[test]
fn the_name_of_the_project() {
    let folder = Folder::new(&[("compose.yaml", "services: {a: {image: '${COMPOSE_PROJECT_NAME}'}}\n")]);
    let name = |options: &Options| {
        let project = loaded(options).project;
        assert_eq!(project.services["a"].image.as_deref(), Some(project.name.as_str()));
        project.name
    };
    let mut options = folder.options();
    assert_eq!(name(&options), "shop");
    folder.write("compose.yaml", "name: ${ZZ:-My App}\nservices: {a: {image: '${COMPOSE_PROJECT_NAME}'}}\n");
    assert_eq!(name(&options), "myapp");
    folder.write(".env", "COMPOSE_PROJECT_NAME=dotted\n");
    assert_eq!(name(&options), "dotted");
    options.env = env(&[("COMPOSE_PROJECT_NAME", "environment")]);
    assert_eq!(name(&options), "environment");
    options.project_name = Some("asked".to_owned());
    assert_eq!(name(&options), "asked");
    options.project_name = Some(String::new());
    assert_eq!(name(&options), "environment");
    options.env = env(&[("COMPOSE_PROJECT_NAME", "")]);
    folder.write(".env", "");
    assert_eq!(name(&options), "myapp");
}

#[test]
fn env_files_and_the_environment() {
    let folder = Folder::new(&[
        ("compose.yaml", "services: {a: {image: '${A}-${B}-${C}'}}\n"),
        (".env", "A=dot\nB=dot\nC=${A}${B}\n"),
        ("one.env", "A=one\nB=one\n"),
        ("two.env", "B=two\nC=$A\n"),
    ]);
    let image = |options: &Options| loaded(options).project.services["a"].image.clone().unwrap();
    let mut options = folder.options();
    options.env = env(&[("B", "process")]);
    assert_eq!(image(&options), "dot-process-dotprocess");
    options.env_files = vec!["one.env".into(), "two.env".into()];
    assert_eq!(image(&options), "one-process-one");
    options.env_files.clear();
    options.env = env(&[("COMPOSE_ENV_FILES", "one.env,two.env")]);
    assert_eq!(image(&options), "one-two-one");
    options.env = env(&[("COMPOSE_DISABLE_ENV_FILE", "1"), ("A", "x")]);
    assert_eq!(image(&options), "x--");
}

#[test]
fn profiles_enable() {
    let folder = Folder::new(&[(
        "compose.yaml",
        "services:\n  a: {image: x}\n  b: {image: x, profiles: [p]}\n  c: {image: x, profiles: [p, q]}\n",
    )]);
    let mut options = folder.options();
    assert_eq!(services(&options), "a");
    let disabled = loaded(&options).project.disabled_services;
    assert_eq!(disabled["c"].profiles.iter().collect::<Vec<_>>(), ["p", "q"]);
    options.env = env(&[("COMPOSE_PROFILES", "q,z")]);
    assert_eq!(services(&options), "a c");
    options.profiles = vec!["p".to_owned()];
    assert_eq!(services(&options), "a b c");
    options.profiles = vec!["nope".to_owned()];
    assert_eq!(services(&options), "a");
    options.profiles = vec!["*".to_owned()];
    assert_eq!(services(&options), "a b c");
}

#[test]
fn errors_say_what_to_watch() {
    let folder = Folder::new(&[("compose.yaml", "services: {a: {build: later, env_file: later.env}}\n")]);
    let error = load(&folder.options()).unwrap_err();
    let inputs = relative(error.inputs, &folder.path());
    for name in ["compose.yaml", "later", "later.env", ".env", "compose.override.yml"] {
        assert!(inputs.iter().any(|input| input == name), "{name} is not in {inputs:?}");
    }
    folder.write("later/Dockerfile", "FROM x");
    folder.write("later.env", "");
    assert!(load(&folder.options()).is_ok());
}

#[test]
fn only_what_is_enabled_counts() {
    let folder = Folder::new(&[(
        "compose.yaml",
        "services:\n  a: {image: x, networks: [n]}\n  b: {image: x, profiles: [p], networks: [m], depends_on: [zz], volumes: ['v:/v']}\nnetworks: {n: , m: }\nvolumes: {v: }\n",
    )]);
    let project = loaded(&folder.options()).project;
    assert_eq!(project.networks.keys().collect::<Vec<_>>(), ["n"]);
    assert!(project.volumes.is_empty());
}
