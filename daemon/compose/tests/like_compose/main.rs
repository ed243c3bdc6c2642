//! What `docker compose config --format json` (2.40.3) printed for the same files, or that it refused them.
//!
//! A case begins with `=== NAME`; `@@ FILE` begins another of its files, `@@ ARGS` holds the files for `-f`, and
//! `@@ ENV` its variables besides `HOME=/home/me`. What compose said follows `>>>`: JSON in which the folder is called
//! `$DIR`, or `refused`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../common/mod.rs"]
mod common;

use std::path::PathBuf;

use common::Folder;
use devd_compose::{Options, load, to_json};
use serde_json::Value;

/// What is wrong with one case.
fn run(case: &str) -> Option<String> {
    let (name, rest) = case.split_once('\n').unwrap();
    let (files, expected) = rest.split_once(">>> ").unwrap();
    let mut options = Options::default();
    options.env.insert("HOME".to_owned(), "/home/me".to_owned());
    let folder = Folder::new(&[]);
    for (index, part) in files.split("@@ ").enumerate() {
        let (file, text) = if index == 0 { ("compose.yaml", part) } else { part.split_once('\n').unwrap() };
        match file {
            "ARGS" => options.files = text.split_whitespace().map(PathBuf::from).collect(),
            "ENV" => {
                let pairs = text.lines().filter_map(|line| line.split_once('='));
                options.env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            _ => folder.write(file, text),
        }
    }
    options.dir = folder.path();
    let found = load(&options);
    if expected.trim() == "refused" {
        let Err(error) = found else { return Some(format!("{name}: compose refuses this")) };
        let placed = error
            .diagnostics
            .iter()
            .all(|wrong| wrong.file.is_none() || wrong.line.is_some() || wrong.code == "empty-file");
        return (!placed).then(|| format!("{name}: there is no line in\n{error}"));
    }
    let expected: Value = serde_json::from_str(expected.trim()).unwrap();
    match found {
        Err(error) => Some(format!("{name}: refused by us only\n{error}")),
        Ok(loaded) => {
            let text = folder.shown(&to_json(&loaded.project).to_string());
            let found: Value = serde_json::from_str(&text).unwrap();
            (found != expected).then(|| format!("{name}:\nfound    {found}\nexpected {expected}"))
        }
    }
}

fn check(cases: &str) {
    let cases: Vec<&str> = cases.split("=== ").skip(1).collect();
    assert!(cases.len() > 10, "the cases were not found");
    let wrong: Vec<String> = cases.into_iter().filter_map(run).collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn every_field() {
    check(include_str!("fields.txt"));
}

#[test]
fn merging_extending_including_and_variables() {
    check(include_str!("files.txt"));
}

#[test]
fn short_forms_and_limits_of_what_is_accepted() {
    check(include_str!("values.txt"));
}
