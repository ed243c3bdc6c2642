//! Values of environments, env files and secrets are for containers. Names are told, values never.

use crate::support::{Devd, all, write};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::path::Path;

/// How every value begins that must not be seen. What follows says where it stood.
const HUSH: &str = "hush-4711-";

/// What a variable of the caller's shell holds that the files ask for. The registration keeps it, because a daemon that comes
/// back after a reboot could not start the project without: in a database that is its owner's alone.
const SHELL: &str = "hush-4711-shell";

/// Values everywhere a project can hold them.
fn project(devd: &Devd) -> std::path::PathBuf {
    let root = devd.dir.path().canonicalize().unwrap().join("shop");
    write(&root, ".env", "IN_DOTENV=hush-4711-dotenv\nUNUSED=hush-4711-unused-dotenv\n");
    write(&root, "api/vars.env", "IN_FILE=hush-4711-env-file\n");
    write(&root, "api/tests.env", "IN_FILE=hush-4711-tests-env-file\n");
    write(&root, "secret.txt", "hush-4711-secret-file\n");
    write(&root, "api/Dockerfile", "FROM scratch\n");
    write(&root, "api/main.py", "print(1)\n");
    let compose = "
x-common: &common {COMMON: hush-4711-extension}
services:
  api:
    build:
      context: ./api
      args: {TOKEN: hush-4711-build-argument, PASSED: '${IN_DOTENV}'}
      secrets: [of_file, of_shell]
    environment:
      <<: *common
      PLAIN: hush-4711-environment
      DOTENV: ${IN_DOTENV}
      SHELL: ${IN_SHELL}
      DEFAULT: ${NOWHERE:-hush-4711-default}
    env_file: [api/vars.env]
    secrets: [of_file, of_shell]
    configs: [inline]
    volumes: ['./api:/app']
    post_start:
      - command: ['true']
        environment: {HOOK: hush-4711-hook}
    pre_stop:
      - command: ['true']
        environment: [HOOK=hush-4711-hook]
    develop:
      watch:
        - {path: ./api/sync, action: sync+exec, target: /sync, exec: {command: ['true'], environment: {X: hush-4711-watch}}}
    x-devd:
      tests: {prepare: {command: ['true'], files: []}}
  list:
    image: redis:7
    environment: ['LISTED=hush-4711-list', 'PASSED_ON']
configs:
  inline: {content: hush-4711-config}
secrets:
  of_file: {file: ./secret.txt}
  of_shell: {environment: SECRET_IN_SHELL}
";
    write(&root, "compose.yaml", compose);
    let tests = "
services:
  tests:
    build: {context: ., args: {TOKEN: hush-4711-tests-argument}}
    command: python -m unittest
    environment: {PLAIN: hush-4711-tests-environment}
    env_file: tests.env
    volumes: ['.:/app']
    depends_on: [db]
  db:
    image: postgres:15
    environment: [POSTGRES_PASSWORD=hush-4711-tests-database]
";
    write(&root, "api/compose.yaml", tests);
    root
}

/// What the caller's shell has.
fn shell() -> Value {
    json!({
        "IN_SHELL": SHELL, "SECRET_IN_SHELL": SHELL, "PASSED_ON": SHELL,
        "NOT_ASKED_FOR": "hush-4711-not-asked-for",
    })
}

fn source(root: &Path) -> Value {
    json!({ "dir": root, "env": shell() })
}

/// Fails when a value is in what was told or written.
fn is_clean(what: &str, text: &str) {
    if let Some(at) = text.find(HUSH) {
        let before = text[..at].char_indices().rev().nth(300).map_or(0, |(at, _)| at);
        let after = text[at..].char_indices().nth(100).map_or(text.len(), |(end, _)| at + end);
        panic!("{what} tells a value: …{}…", &text[before..after]);
    }
}

/// Asks everything there is to ask.
fn ask_everything(devd: &Devd, root: &Path) {
    let mut targets: Vec<String> = [
        "/v1/version",
        "/v1/status",
        "/v1/doctor",
        "/metrics",
        "/v1/projects/shop",
        "/v1/runs",
        "/v1/openapi.json",
        "/v1/projects/shop/services/nope/logs",
        "/v1/projects/shop/services/api/logs",
    ]
    .map(str::to_owned)
    .to_vec();
    for name in ["compose.yaml", ".env", "secret.txt", "api/vars.env", "api/main.py", "api/sync/x"] {
        targets.push(format!("/v1/why?path={}", root.join(name).display()));
    }
    for run in devd.get("/v1/runs").json()["runs"].as_array().unwrap() {
        let id = run["id"].as_str().unwrap();
        targets.extend([format!("/v1/runs/{id}"), format!("/v1/runs/{id}/log")]);
    }
    for target in targets {
        let answer = devd.get(&target);
        is_clean(&target, &answer.body);
    }
}

#[test]
fn no_value_is_told_or_written_anywhere() {
    let devd = Devd::start();
    let mut events = devd.connect();
    events.write_all(b"GET /v1/events HTTP/1.0\r\n\r\n").unwrap();
    let events = std::thread::spawn(move || {
        let mut heard = Vec::new();
        events.read_to_end(&mut heard).unwrap();
        String::from_utf8_lossy(&heard).into_owned()
    });
    let root = project(&devd);
    let answer = devd.post("/v1/projects", &source(&root));
    assert_eq!(answer.status, 200, "{answer:?}");
    is_clean("the registration", &answer.body);
    is_clean("resolve", &devd.post("/v1/resolve", &source(&root)).body);
    let settled = |it: &Value| it["settled"] == true && it["services"][0]["tests"]["current"] == true;
    devd.until("/v1/projects/shop", settled);
    write(&root, "api/main.py", "print(2)\n");
    let saved = devd.post("/v1/saved", &json!({ "paths": [root.join("api/main.py")] }));
    is_clean("saved", &saved.body);
    write(&root, "api/sync/x", "new\n");
    devd.until("/v1/projects/shop", settled);
    for verb in ["restart", "stop", "start", "rebuild"] {
        let answer = devd.post(&format!("/v1/projects/shop/services/api/{verb}"), &json!(null));
        assert_eq!(answer.status, 200, "{answer:?}");
        devd.until("/v1/projects/shop", |it| it["settled"] == true);
    }
    devd.until("/v1/projects/shop", settled);
    let build = devd.post("/v1/build", &json!({ "source": source(&root), "services": ["api"] }));
    assert!(build.status == 200 && build.body.contains("\"built\""), "{build:?}");
    is_clean("build", &build.body);
    let run = devd.post("/v1/runs", &json!({ "project": "shop", "services": ["api"] }));
    assert_eq!(run.status, 200, "{run:?}");
    devd.until("/v1/projects/shop", settled);
    ask_everything(&devd, &root);
    let command = std::fs::read(format!("/proc/{}/cmdline", devd.pid())).unwrap();
    is_clean("the command line", &String::from_utf8_lossy(&command));
    let dir = devd.stop();
    let events = events.join().unwrap();
    assert!(events.contains("event: run_finished"), "{events}");
    is_clean("an event", &events);
    // What outlives it: the log at its most talkative, the history, the output of runs.
    let mut looked = 0;
    for (path, meta) in all(&dir.path().join("state")).into_iter().filter(|(_, meta)| meta.is_file()) {
        looked += 1;
        let mut text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        if path.file_name().unwrap().to_str().unwrap().starts_with("history.db") {
            text = text.replace(SHELL, "");
        }
        is_clean(&path.display().to_string(), &text);
        assert!(meta.len() < 100 << 20);
    }
    assert!(looked >= 5, "{looked} files");
}

/// Whatever is wrong with a file, what stands in it is not told with it.
#[test]
fn no_value_is_told_with_what_is_wrong() {
    let devd = Devd::start();
    let root = project(&devd);
    assert_eq!(devd.post("/v1/projects", &source(&root)).status, 200);
    devd.until("/v1/projects/shop", |it| it["settled"] == true);
    let good = std::fs::read_to_string(root.join("compose.yaml")).unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        ("compose.yaml", good.replacen(from, to, 1))
    };
    let (plain, list) =
        ("PLAIN: hush-4711-environment", "environment: ['LISTED=hush-4711-list', 'PASSED_ON']");
    let broken = [
        // Of another type than they should be.
        replaced(plain, "PLAIN: [hush-4711-wrong]"),
        replaced(plain, "PLAIN: {hush: hush-4711-wrong}"),
        replaced(plain, "? [hush-4711-wrong]\n      : x"),
        replaced(list, "environment: hush-4711-wrong"),
        replaced(list, "environment: [[hush-4711-wrong]]"),
        replaced(list, "environment: [{A: hush-4711-wrong}]"),
        replaced(list, "environment: ['=hush-4711-wrong']"),
        replaced(list, "environment: {A: hush-4711-wrong, A: hush-4711-twice}"),
        replaced(list, "environment: {A: '${', C: '${hush-4711-wrong'}"),
        replaced("args: {TOKEN: hush-4711-build-argument", "args: {TOKEN: [hush-4711-wrong]"),
        replaced("content: hush-4711-config", "content: [hush-4711-wrong]"),
        replaced("content: hush-4711-config", "content: hush-4711-wrong, file: ./secret.txt"),
        replaced(
            "{file: ./secret.txt}",
            "{file: ./secret.txt, content: hush-4711-wrong, environment: [hush-4711-wrong]}",
        ),
        replaced("environment: {HOOK: hush-4711-hook}", "environment: {HOOK: [hush-4711-wrong]}"),
        replaced("environment: {X: hush-4711-watch}", "environment: {X: [hush-4711-wrong]}"),
        replaced("{COMMON: hush-4711-extension}", "{COMMON: [hush-4711-extension]}"),
        // No YAML.
        replaced(plain, "PLAIN: \"hush-4711-wrong"),
        replaced(plain, "PLAIN: 'hush-4711-wrong' hush-4711-more"),
        replaced(plain, "PLAIN: {hush-4711-wrong"),
        replaced(plain, "PLAIN: hush-4711-wrong: hush-4711-more"),
        replaced(plain, "PLAIN hush-4711-wrong"),
        replaced(plain, "PLAIN: *hush-4711-wrong"),
        replaced(plain, "PLAIN: !hush-4711-wrong x"),
        replaced(plain, "PLAIN: @hush-4711-wrong"),
        replaced(plain, "PLAIN: %hush-4711-wrong"),
        replaced(plain, "\tPLAIN: hush-4711-wrong"),
        replaced(plain, "PLAIN: \"\\xhush-4711-wrong\""),
        replaced(plain, "PLAIN: |9x hush-4711-wrong"),
        replaced(list, "environment:\n      - A=hush-4711-wrong\n     - B=hush-4711-wrong"),
        replaced(list, "environment: [\"A=hush-4711-wrong\", \"B=hush-4711-wrong"),
        // Env files.
        ("api/vars.env", "A=\"hush-4711-wrong\n".to_owned()),
        ("api/vars.env", "hush-4711-wrong\n".to_owned()),
        ("api/vars.env", "A B=hush-4711-wrong\n".to_owned()),
        ("api/vars.env", "A='x' hush-4711-wrong\n".to_owned()),
        ("api/vars.env", "A=${hush-4711-wrong\n".to_owned()),
        (".env", "IN_DOTENV=\"hush-4711-wrong\n".to_owned()),
        (".env", "hush-4711-wrong wrong\n".to_owned()),
        ("api/tests.env", "A=\"hush-4711-wrong\n".to_owned()),
    ];
    let mut refused = 0;
    for (file, text) in broken {
        let kept = std::fs::read_to_string(root.join(file)).unwrap();
        write(&root, file, &text);
        for answer in [
            devd.post("/v1/projects", &source(&root)),
            devd.post("/v1/resolve", &json!({ "dir": root, "project_name": "other", "env": shell() })),
            devd.post("/v1/build", &json!({ "source": source(&root) })),
        ] {
            is_clean(&format!("{file}\n{text}\n"), &answer.body);
            refused += usize::from(answer.status == 422);
        }
        let config = devd.post("/v1/config", &source(&root));
        if config.status != 200 {
            is_clean("the refusal of config", &config.body);
        }
        ask_everything(&devd, &root);
        write(&root, file, &kept);
        assert_eq!(devd.post("/v1/projects", &source(&root)).status, 200);
    }
    assert!(refused > 60, "only {refused} requests were refused");
    is_clean("the log", &devd.log());
    devd.is_well();
}

/// `devd config` is there to show what a service gets; what a secret is it shows only when that is asked for.
#[test]
fn config_shows_environments_and_no_secrets_unless_asked() {
    let devd = Devd::start();
    let root = project(&devd);
    let plain = devd.post("/v1/config", &source(&root)).json();
    let environment = &plain["config"]["services"]["api"]["environment"];
    assert_eq!(environment["PLAIN"], "hush-4711-environment");
    is_clean("the secrets of config", &plain["config"]["secrets"].to_string());
    let (_, secrets) = plain["yaml"].as_str().unwrap().split_once("\nsecrets:").unwrap();
    is_clean("the same as YAML", secrets.split("\nservices:").next().unwrap());
    assert_eq!(plain["environment"], json!({}));
    let asked = devd.post("/v1/config?secrets=true", &source(&root)).json();
    assert!(asked["config"]["secrets"].to_string().contains(SHELL), "{:#}", asked["config"]["secrets"]);
    is_clean("the log", &devd.log());
}
