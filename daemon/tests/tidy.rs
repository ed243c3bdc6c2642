//! The rules of the house that no compiler checks: who may use what, and how long a file may be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn sources(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "fuzz" | "examples") {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            let relative = path.strip_prefix(workspace()).unwrap().display().to_string();
            found.push((relative, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

fn all() -> Vec<(String, String)> {
    let mut found = Vec::new();
    sources(&workspace(), &mut found);
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// Lines of code, without comments: what is only spoken of is not used.
fn uses(source: &str, word: &str) -> bool {
    source.lines().map(str::trim_start).any(|line| !line.starts_with("//") && line.contains(word))
}

#[test]
fn each_library_stays_behind_its_edge() {
    let edges = [
        ("bollard::", "daemon/src/engine/docker"),
        ("notify::", "daemon/src/watch/"),
        ("axum::", "daemon/src/api/"),
        ("rusqlite::", "daemon/src/history/"),
        ("opentelemetry", "daemon/src/system/traces/"),
        ("granit_parser::", "daemon/compose/src/parse"),
        ("clap::", "client/src/"),
    ];
    for (word, home) in edges {
        for (path, source) in all() {
            // `main.rs` reads the flags.
            let excepted = path == "daemon/tests/tidy.rs"
                // What tortures the daemon looks into its database, and breaks it.
                || (word == "rusqlite::" && path.starts_with("daemon/benches/endurance"))
                || path.starts_with("daemon/tests/engine_docker")
                || (word == "clap::" && path == "daemon/src/main.rs");
            // `sd_notify::` ends like `notify::` and is something else.
            let source = source.replace("sd_notify::", "");
            assert!(excepted || path.starts_with(home) || !uses(&source, word), "{path} uses {word}");
        }
    }
}

#[test]
fn the_edges_do_not_know_each_other() {
    let edges = ["engine", "watch", "history", "api", "report"];
    for (path, source) in all() {
        let Some(edge) = edges.iter().find(|edge| path.starts_with(&format!("daemon/src/{edge}/"))) else {
            continue;
        };
        // The API is the edge that shows the others to the world.
        if *edge == "api" {
            continue;
        }
        for other in edges.iter().filter(|other| *other != edge) {
            assert!(!uses(&source, &format!("crate::{other}::")), "{path} knows {other}");
        }
    }
}

#[test]
fn the_logic_is_pure() {
    let banned = [
        "tokio",
        "std::fs",
        "std::env",
        "std::process",
        "std::net",
        "std::thread",
        "Instant::now",
        "SystemTime",
        "HashMap",
    ];
    for (path, source) in all().into_iter().filter(|(path, _)| path.starts_with("daemon/logic/src/")) {
        for word in banned {
            assert!(!uses(&source, word), "{path} uses {word}");
        }
    }
}

#[test]
fn the_client_knows_the_words_and_not_the_daemon() {
    for (path, source) in all().into_iter().filter(|(path, _)| path.starts_with("client/src/")) {
        for word in ["devdd::", "devd_compose", "devd_logic", "bollard"] {
            assert!(!uses(&source, word), "{path} uses {word}");
        }
    }
}

/// What runs a shell runs whatever is in a name that it is given. In containers they are the project's own affair.
#[test]
fn no_shell_runs_anything_on_the_host() {
    let known = ["\"docker\"", "\"journalctl\"", "\"tail\"", "&program", "program"];
    let mut found = 0;
    for (path, source) in all() {
        // Tests stand behind the code, or beside it.
        let code = source.split("#[cfg(test)]\nmod").next().unwrap();
        if !(path.starts_with("client/src/") || path.starts_with("daemon/src/"))
            || !uses(code, "Command::new(")
        {
            continue;
        }
        for call in code.split("Command::new(").skip(1) {
            let program = call.split(')').next().unwrap();
            assert!(known.contains(&program), "{path} runs {program}: is that no shell?");
            found += 1;
        }
        for word in ["\"sh\"", "\"bash\"", "/bin/sh"] {
            assert!(!uses(code, word), "{path} has {word} where it runs programs");
        }
    }
    assert_eq!(found, 7, "a program more or less is run: is it no shell?");
}

/// The compiler forbids it elsewhere, member by member; a new member would have to ask for that.
#[test]
fn nothing_is_unsafe_but_the_park() {
    let word = ["un", "safe"].concat();
    let found = |path: &str, source: &str| {
        let blocks = ["{", "fn", "impl", "extern"].map(|next| format!("{word} {next}"));
        !path.starts_with("daemon/park/") && blocks.iter().any(|block| uses(source, block))
    };
    for (path, source) in all() {
        assert!(!found(&path, &source), "{path} is {word}: the park alone is, as it has no standard library");
    }
    assert!(found("x.rs", &format!("let y = {word} {{ z }};")));
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let long: Vec<String> = all()
        .into_iter()
        .map(|(path, source)| (path, source.lines().count()))
        .filter(|(_, lines)| *lines > 650)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "look for the second subject in\n{}", long.join("\n"));
}

#[test]
fn every_file_of_the_daemon_says_what_it_is() {
    for (path, source) in all().into_iter().filter(|(path, _)| path.starts_with("daemon/src/")) {
        // Tests of a file say what they are by standing beside it.
        if path.ends_with("_tests.rs") || path.contains("/tests") {
            continue;
        }
        assert!(source.starts_with("//!"), "{path} has no module doc");
    }
}
