//! Whatever is in the files, loading ends soon, and never in a panic.

mod common;

use std::time::{Duration, Instant};

use common::Folder;
use devd_compose::{Options, load, to_json, to_yaml};
use proptest::prelude::*;

/// What is refused is refused in milliseconds; a build for debugging on a busy machine takes its time.
fn patience() -> Duration {
    if cfg!(debug_assertions) { Duration::from_secs(5) } else { Duration::from_millis(250) }
}

fn first_error(yaml: &str) -> String {
    let folder = Folder::new(&[("compose.yaml", yaml)]);
    let start = Instant::now();
    let Err(error) = folder.load() else { panic!("it loads") };
    assert!(start.elapsed() < patience(), "took {:?}", start.elapsed());
    error.diagnostics[0].message.clone()
}

/// Each level names the one below ten times.
fn bomb(line: impl Fn(usize, &str) -> String) -> String {
    (0..12).map(|level| line(level, &vec![format!("*a{}", level.wrapping_sub(1)); 10].join(", "))).collect()
}

#[test]
fn alias_bombs_are_refused() {
    let too_large = "with its aliases expanded, this file is too large";
    let lists =
        bomb(
            |level, below| {
                if level == 0 { "a0: &a0 [x]\n".into() } else { format!("a{level}: &a{level} [{below}]\n") }
            },
        );
    assert_eq!(first_error(&lists), too_large);
    let maps = bomb(|level, below| {
        let keys: Vec<String> =
            below.split(", ").enumerate().map(|(n, alias)| format!("k{n}: {alias}")).collect();
        if level == 0 {
            "a0: &a0 {x: y}\n".into()
        } else {
            format!("a{level}: &a{level} {{{}}}\n", keys.join(", "))
        }
    });
    assert_eq!(first_error(&maps), too_large);
    let merges = bomb(|level, below| {
        if level == 0 {
            "a0: &a0 {x: y}\n".into()
        } else {
            format!("a{level}: &a{level} {{<<: [{below}], k{level}: x}}\n")
        }
    });
    assert_eq!(first_error(&merges), too_large);
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 5000].join(", "));
    assert_eq!(first_error(&text), too_large);
    // Each alias is as deep as allowed, and so it goes on.
    let deep: String = (1..500).map(|n| format!("a{n}: &a{n} [[[[[[[[[[*a{}]]]]]]]]]]\n", n - 1)).collect();
    assert_eq!(first_error(&format!("a0: &a0 x\n{deep}")), "this is nested more than 100 levels deep");
}

#[test]
fn depth_and_size_are_bounded() {
    for open in ["[", "{a: ", "- ", "? ", "a:\n "] {
        let folder = Folder::new(&[("compose.yaml", &open.repeat(100_000))]);
        let start = Instant::now();
        assert!(folder.load().is_err());
        assert!(start.elapsed() < Duration::from_secs(5), "{open:?} took {:?}", start.elapsed());
    }
    let message = first_error(&"x".repeat((4 << 20) + 1));
    assert_eq!(message, "this compose file cannot be read: is larger than 4 MiB");
    let ports = format!("services: {{a: {{image: x, ports: [{}]}}}}", vec!["1-65535"; 200].join(", "));
    assert_eq!(first_error(&ports), "a project has at most 20000 ports");
}

#[test]
fn variables_are_bounded() {
    let folder = Folder::new(&[(
        "compose.yaml",
        &format!("services: {{a: {{image: '{}'}}}}", "$A".repeat(1_000_000)),
    )]);
    let mut options = folder.options();
    options.env.insert("A".to_owned(), "x".repeat(100_000));
    let error = load(&options).unwrap_err();
    assert_eq!(error.diagnostics[0].message, "with its variables replaced, the project is too large");
}

#[test]
fn a_very_large_project_loads_fast() {
    let services: String =
        (0..3000).map(|n| format!("  s{n}: {{image: x, depends_on: [s{}]}}\n", n + 1)).collect();
    let folder = Folder::new(&[("compose.yaml", &format!("services:\n{services}  s3000: {{image: x}}\n"))]);
    let start = Instant::now();
    assert_eq!(folder.load().unwrap().project.services.len(), 3001);
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
    let circle = format!("services:\n{services}  s3000: {{image: x, depends_on: [s0]}}\n");
    assert!(first_error(&circle).starts_with("these services wait for each other: s0 -> s1"));
}

/// Nothing takes longer than in proportion to what is written.
#[test]
fn long_lists_are_read_and_printed_fast() {
    let list =
        |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(", ");
    let groups = list(30_000, &|n| format!("'{n}'"));
    let devices = list(30_000, &|n| format!("/dev/a:/dev/b{n}"));
    let files = list(5_000, &|n| format!("{{path: f{n}, required: false}}"));
    let pools = list(10_000, &|n| format!("{{subnet: '{n}'}}"));
    let caps = list(30_000, &|n| format!("C{n}"));
    let chain =
        list(2_000, &|n| format!("s{n}: {{image: x, links: [s{}, s{}]}}", (n + 1) % 2_000, (n + 7) % 2_000));
    let ladder = list(2_000, &|n| format!("t{n}: {{image: x, links: [t{}]}}", n + 1));
    for text in [
        format!("services: {{a: {{image: x, group_add: [{groups}]}}}}\n"),
        format!("services: {{a: {{image: x, devices: [{devices}]}}}}\n"),
        format!("services: {{a: {{image: x, env_file: [{files}]}}}}\n"),
        format!(
            "services: {{a: {{image: x, cap_add: [{caps}]}}}}\n---\nservices: {{a: {{cap_add: [{caps}]}}}}\n"
        ),
        format!(
            "services: {{a: {{image: x}}}}\nnetworks: {{default: {{ipam: {{config: [{pools}]}}}}}}\n---\n\
             networks: {{default: {{ipam: {{config: [{pools}]}}}}}}\n"
        ),
        format!("services: {{{chain}}}\n"),
        format!("services: {{{ladder}, t2000: {{image: x}}}}\n"),
    ] {
        let folder = Folder::new(&[("compose.yaml", &text)]);
        let start = Instant::now();
        let project = folder.load().unwrap_or_else(|error| panic!("{error}")).project;
        assert!(to_json(&project).is_object() && !to_yaml(&project).is_empty());
        assert!(start.elapsed() < patience(), "took {:?}: {}", start.elapsed(), &text[..60]);
    }
}

#[test]
fn files_that_are_read_again_and_again_are_bounded() {
    let service = |n: usize| format!("  s{n}: {{image: x, env_file: big.env}}\n");
    let services: String = (0..1000).map(service).collect();
    let big = format!("A={}\n", "x".repeat(3 << 20));
    let folder = Folder::new(&[("compose.yaml", &format!("services:\n{services}")), ("big.env", &big)]);
    let start = Instant::now();
    assert!(folder.load().unwrap_err().diagnostics[0].message.contains("comes after 64 MiB of other files"));
    assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
}

#[test]
fn what_is_extended_is_bounded() {
    let chain: String = (1..5_000).map(|n| format!("  s{n}: {{extends: s{}}}\n", n - 1)).collect();
    let message = first_error(&format!("services:\n  s0: {{image: x}}\n{chain}"));
    assert_eq!(message, "services extend each other more than 50 times here");
    let big: String = (0..5_000).map(|n| format!("      V{n}: x\n")).collect();
    let many: String = (0..5_000).map(|n| format!("  s{n}: {{extends: base}}\n")).collect();
    let message = first_error(&format!("services:\n{many}  base:\n    image: x\n    environment:\n{big}"));
    assert_eq!(message, "with everything that is extended, the project is too large");
}

#[test]
fn what_is_included_is_bounded() {
    let name = |n: usize| format!("f{n}.yaml");
    let files: Vec<(String, String)> =
        (0..30).map(|n| (name(n), format!("include: [{}]\n", name(n + 1)))).collect();
    let folder = Folder::new(&[("compose.yaml", "include: [f0.yaml]\nservices: {a: {image: x}}\n")]);
    for (name, text) in &files {
        folder.write(name, text);
    }
    let message = &folder.load().unwrap_err().diagnostics[0].message;
    assert_eq!(message, "files include each other more than 20 times here");
    // Twice as many at each level.
    for n in 0..15 {
        folder.write(&name(n), &format!("include: [{0}, {0}]\n", name(n + 1)));
    }
    folder.write(&name(15), "services: {b: {image: x}}\n");
    let start = Instant::now();
    let message = &folder.load().unwrap_err().diagnostics[0].message;
    assert_eq!(message, "a project includes and extends at most 200 files");
    assert!(start.elapsed() < patience(), "took {:?}", start.elapsed());
}

/// Many errors do not make a slow load, and not an endless report.
#[test]
fn the_report_is_bounded() {
    let keys: String = (0..20_000).map(|n| format!("    kye{n}: x\n")).collect();
    let folder = Folder::new(&[("compose.yaml", &format!("services:\n  a:\n    image: x\n{keys}"))]);
    assert_eq!(folder.load().unwrap_err().diagnostics.len(), 100);
}

const SEED: &str = r#"
x-base: &base
  environment: {A: "${B:-c}", D: 1.5}
services:
  web:
    <<: *base
    build: {context: ., args: [X=1]}
    ports: ["80:80", {target: 90}]
    volumes: ["./a:/a:ro", "v:/v"]
    depends_on: {db: {condition: service_healthy}}
    x-devd: {on_change: {signal: HUP}, tests: {timeout: 1m}}
  db:
    image: postgres
    healthcheck: {test: [CMD, pg_isready], interval: 5s}
    networks: [n]
    deploy: {replicas: 1, resources: {limits: {cpus: "0.5", memory: 1g}}, restart_policy: {condition: any}}
    secrets: [s, {source: s, target: /t, mode: 0400}]
    devices: ["/dev/null:/dev/n:r"]
    gpus: [{count: 1}]
    memswap_limit: -1
  copy: {extends: {service: web}, environment: !override {E: f}, pids_limit: 5}
networks: {n: {ipam: {config: [{subnet: 10.0.0.0/8}]}}}
volumes: {v: , w: !reset }
secrets: {s: {file: ./s}}
"#;

#[test]
fn the_seed_loads() {
    Folder::new(&[("compose.yaml", SEED)]).load().unwrap_or_else(|error| panic!("{error}"));
}

/// A plain key of tabs is printed in quotes, twice as long, and then YAML took it for none.
#[test]
fn long_keys_are_printed_so_that_they_load_again() {
    let folder = Folder::new(&[]);
    for length in [490, 498, 510, 1000] {
        let key = format!("x-{}z", "\t".repeat(length));
        survive(&folder, &format!("services: {{}}\n? {key}\n: ? {key}\n  : - a\n    - ? {key}\n      : b\n"));
        folder.load().unwrap_or_else(|error| panic!("{length}: {error}"));
    }
}

/// Loads, and whatever loads is printed and loads again to the same.
fn survive(folder: &Folder, yaml: &str) {
    folder.write("compose.yaml", yaml);
    let options = Options { env: [("B".to_owned(), "$x".to_owned())].into(), ..folder.options() };
    match load(&options) {
        Ok(loaded) => {
            let printed = to_yaml(&loaded.project);
            folder.write("printed/compose.yaml", &printed);
            let again = Options { dir: folder.path().join("printed"), ..Options::default() };
            let again = load(&again).unwrap_or_else(|error| panic!("{error}\n{printed}"));
            assert_eq!(to_json(&again.project), to_json(&loaded.project), "{printed}");
        }
        Err(error) => assert!(!error.render().is_empty() && !error.diagnostics.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}|[\\[\\]{}:,&*!|>'\"%@`a-z0-9$ \\n#?.<-]{0,200}") {
        let folder = Folder::new(&[]);
        survive(&folder, &text);
        survive(&folder, &format!("services:\n  a:\n    image: {text}\n"));
        survive(&folder, &format!("services:\n  a:\n    image: x\n    {text}"));
    }

    /// A good file in which some pieces were replaced.
    #[test]
    fn any_change_of_a_good_file_is_survived(
        edits in prop::collection::vec((0usize..SEED.len(), 0usize..12, "[\\[\\]{}:,&*!'\"a-z0-9$ \\n<.~-]{0,6}"), 1..4)
    ) {
        let mut text = SEED.to_owned();
        for (at, length, new) in edits {
            let start = at.min(text.len());
            let end = (start + length).min(text.len());
            text.replace_range(start..end, &new);
        }
        survive(&Folder::new(&[]), &text);
    }

    #[test]
    fn any_env_file_is_survived(text in "[A-C=:'\"$\\{\\}\\\\ #a-c\\n-]{0,60}") {
        let folder = Folder::new(&[("compose.yaml", "services: {a: {image: x, env_file: a.env}}"), ("a.env", &text)]);
        let outcome = folder.load();
        prop_assert!(outcome.is_ok() || !outcome.unwrap_err().diagnostics.is_empty());
    }
}
