//! What one file laid over another gives, rule by rule.

mod common;

use common::Folder;
use devd_compose::{load, to_json};
use expect_test::{Expect, expect};
use serde_json::Value;

/// Loads a service written over the same service in another file, and gives one part of it.
fn merged(base: &str, over: &str, pointer: &str) -> Value {
    let indent = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let rest = "  b: {image: x}\n  c: {image: x}\nnetworks: {n1: {}, n2: {}}\nvolumes: {v1: {}, v2: {}}\n";
    let folder = Folder::new(&[
        ("compose.yaml", &format!("services:\n  a:\n    image: x\n{}{rest}", indent(base))),
        ("compose.override.yaml", &format!("services:\n  a:\n{}", indent(over))),
    ]);
    let loaded = load(&folder.options()).unwrap_or_else(|error| panic!("{error}"));
    let json = to_json(&loaded.project);
    let found = json.pointer(&format!("/services/a{pointer}")).cloned().unwrap_or_default();
    serde_json::from_str(&folder.shown(&found.to_string())).unwrap_or_default()
}

fn check(base: &str, over: &str, pointer: &str, expected: Expect) {
    expected.assert_eq(&merged(base, over, pointer).to_string());
}

#[test]
fn scalars_and_commands_are_replaced() {
    check("hostname: a", "hostname: b", "/hostname", expect![[r#""b""#]]);
    check("command: [a, b]", "command: [c]", "/command", expect![[r#"["c"]"#]]);
    check("command: a b", "command:", "/command", expect!["null"]);
    check("entrypoint: [a]", "entrypoint: []", "/entrypoint", expect!["[]"]);
    check(
        "healthcheck: {test: [CMD, a], retries: 1}",
        "healthcheck: {test: b}",
        "/healthcheck",
        expect![[r#"{"retries":1,"test":["CMD-SHELL","b"]}"#]],
    );
    check(
        "ulimits: {nofile: {soft: 1, hard: 2}}",
        "ulimits: {nofile: 5}",
        "/ulimits",
        expect![[r#"{"nofile":5}"#]],
    );
}

#[test]
fn lists_grow() {
    check("cap_add: [A, B]", "cap_add: [B, C]", "/cap_add", expect![[r#"["A","B","C"]"#]]);
    check("security_opt: [a]", "security_opt: [b]", "/security_opt", expect![[r#"["a","b"]"#]]);
    check("links: [b]", "links: ['c:d']", "/links", expect![[r#"["b","c:d"]"#]]);
    check("expose: [80]", "expose: ['80', 81]", "/expose", expect![[r#"["80","81"]"#]]);
    check("dns: 1.1.1.1", "dns: [8.8.8.8, 1.1.1.1]", "/dns", expect![[r#"["1.1.1.1","8.8.8.8"]"#]]);
    check("tmpfs: [/a]", "tmpfs: /b", "/tmpfs", expect![[r#"["/a","/b"]"#]]);
    check(
        "extra_hosts: {h: 10.0.0.1}",
        "extra_hosts: ['h:10.0.0.2', 'h=10.0.0.1']",
        "/extra_hosts",
        expect![[r#"["h=10.0.0.1","h=10.0.0.2"]"#]],
    );
}

#[test]
fn pairs_are_known_by_their_key() {
    check(
        "environment: [A=1, B=2]",
        "environment: {B: 3, C: }",
        "/environment",
        expect![[r#"{"A":"1","B":"3","C":null}"#]],
    );
    check("labels: {a: 1, b: x}", "labels: [b, c=2]", "/labels", expect![[r#"{"a":"1","b":"","c":"2"}"#]]);
    check("sysctls: [a=1]", "sysctls: {a: 2}", "/sysctls", expect![[r#"{"a":"2"}"#]]);
    check(
        "build: .",
        "build: {args: [A=1], target: t}",
        "/build",
        expect![[r#"{"args":{"A":"1"},"context":"$DIR","dockerfile":"Dockerfile","target":"t"}"#]],
    );
    check("build: {args: {A: 1}}", "build: {args: [A=2]}", "/build/args", expect![[r#"{"A":"2"}"#]]);
}

#[test]
fn ports_and_mounts_are_known_by_where_they_lead() {
    check(
        "ports: ['80:80']",
        "ports: ['80:80', '81:80', {target: 80, published: 80}]",
        "/ports",
        expect![[
            r#"[{"mode":"ingress","protocol":"tcp","published":"80","target":80},{"mode":"ingress","protocol":"tcp","published":"81","target":80}]"#
        ]],
    );
    check(
        "volumes: ['v1:/data', './x:/x']",
        "volumes: ['v2:/data/:ro', {type: tmpfs, target: /t}]",
        "/volumes",
        expect![[
            r#"[{"read_only":true,"source":"v2","target":"/data","type":"volume","volume":{}},{"bind":{"create_host_path":true},"source":"$DIR/x","target":"/x","type":"bind"},{"target":"/t","type":"tmpfs"}]"#
        ]],
    );
}

#[test]
fn names_merge_with_what_is_said_of_them() {
    check(
        "networks: [n1]",
        "networks: {n2: {aliases: [x]}}",
        "/networks",
        expect![[r#"{"n1":null,"n2":{"aliases":["x"]}}"#]],
    );
    check(
        "depends_on: [b]",
        "depends_on: {c: {condition: service_healthy}, b: {restart: true}}",
        "/depends_on",
        expect![[
            r#"{"b":{"condition":"service_started","required":true,"restart":true},"c":{"condition":"service_healthy","required":true}}"#
        ]],
    );
    check(
        "logging: {driver: json-file, options: {a: 1}}",
        "logging: {options: {b: 2}}",
        "/logging",
        expect![[r#"{"driver":"json-file","options":{"a":"1","b":"2"}}"#]],
    );
    check(
        "logging: {driver: json-file, options: {a: 1}}",
        "logging: {driver: local}",
        "/logging",
        expect![[r#"{"driver":"local"}"#]],
    );
}

#[test]
fn reset_takes_away_and_override_replaces() {
    check("ports: ['80:80']", "ports: !reset []", "/ports", expect!["null"]);
    check(
        "environment: {A: 1, B: 2}",
        "environment: {A: !reset }",
        "/environment",
        expect![[r#"{"B":"2"}"#]],
    );
    check("volumes: ['v1:/a']", "volumes: !override ['v2:/b']", "/volumes/0/target", expect![[r#""/b""#]]);
    check("environment: {A: 1}", "environment: !override {B: 2}", "/environment", expect![[r#"{"B":"2"}"#]]);
    check("hostname: a", "hostname: !reset null\nhostname: b", "/hostname", expect![[r#""b""#]]);
    check("ports: ['80:80']", "ports:", "/ports/0/target", expect!["80"]);
}

#[test]
fn deploy_and_devices() {
    check(
        "deploy: {labels: [a=1], resources: {limits: {cpus: 1, memory: 1g}}, placement: {constraints: [x]}}",
        "deploy: {labels: {b: 2}, resources: {limits: {cpus: 2}}, placement: {constraints: [y]}}",
        "/deploy",
        expect![[
            r#"{"labels":{"a":"1","b":"2"},"placement":{"constraints":["x","y"]},"resources":{"limits":{"cpus":2,"memory":"1073741824"}}}"#
        ]],
    );
    check(
        "devices: [/dev/a, '/dev/b:/dev/c']",
        "devices: ['/dev/x:/dev/c:r']",
        "/devices",
        expect![[
            r#"[{"permissions":"rwm","source":"/dev/a","target":"/dev/a"},{"permissions":"r","source":"/dev/x","target":"/dev/c"}]"#
        ]],
    );
    check("gpus: [{count: 1}]", "gpus: all", "/gpus", expect![[r#"[{"count":-1}]"#]]);
    check("dns_search: a", "dns_search: [a, b]", "/dns_search", expect![[r#"["a","b"]"#]]);
    check(
        "annotations: [a=1, b=2]",
        "annotations: {b: 3}",
        "/annotations",
        expect![[r#"{"a":"1","b":"3"}"#]],
    );
}

#[test]
fn documents_of_one_file_lie_over_each_other() {
    let folder = Folder::new(&[(
        "compose.yaml",
        "name: one\nservices: {a: {image: x, cap_add: [A]}}\n---\n---\nname: two\nservices: {a: {cap_add: [B]}}\n",
    )]);
    let project = load(&folder.options()).unwrap().project;
    assert_eq!((project.name.as_str(), project.services["a"].cap_add.join(" ")), ("two", "A B".to_owned()));
}

#[test]
fn a_service_can_be_taken_away_and_networks_merge() {
    let folder = Folder::new(&[
        (
            "a.yaml",
            "services: {a: {image: x}, b: {image: x}}\nnetworks: {default: {ipam: {config: [{subnet: 10.1.0.0/16}]}, labels: [x=1]}}\n",
        ),
        (
            "b.yaml",
            "services: {b: !reset }\nnetworks: {default: {ipam: {config: [{subnet: 10.1.0.0/16, gateway: 10.1.0.1}]}, labels: {y: 2}}}\n",
        ),
    ]);
    let mut options = folder.options();
    options.files = vec!["a.yaml".into(), "b.yaml".into()];
    let project = load(&options).unwrap().project;
    assert_eq!(project.services.keys().collect::<Vec<_>>(), ["a"]);
    expect![[r#"{"default":{"ipam":{"config":[{"gateway":"10.1.0.1","subnet":"10.1.0.0/16"}]},"labels":{"x":"1","y":"2"},"name":"shop_default"}}"#]]
        .assert_eq(&to_json(&project)["networks"].to_string());
}
