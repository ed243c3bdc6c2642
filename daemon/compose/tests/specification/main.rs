//! No field of the compose specification is forgotten: by the loader, by the README, by the tests.
//!
//! `fields.txt` holds the paths of all fields in the JSON schema of the specification, as compose 2.40 has it
//! (compose-go 2.9.1, Apache-2.0): `*` is a name that is free to choose, `[]` an item of a list.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use devd_compose::{Options, load};

const FIELDS: &str = include_str!("fields.txt");
const README: &str = include_str!("../../README.md");
const CASES: [&str; 6] = [
    include_str!("../like_compose/fields.txt"),
    include_str!("../like_compose/files.txt"),
    include_str!("../like_compose/values.txt"),
    include_str!("../good/every_field.rs"),
    include_str!("../good/host.rs"),
    include_str!("../good/include.rs"),
];

/// A document in YAML's flow style that has nothing but this field.
fn document(field: &str) -> String {
    let (mut before, mut after) = (String::new(), String::new());
    for part in field.split('.') {
        let (name, lists) = (part.trim_end_matches("[]"), part.matches("[]").count());
        let name = if name == "*" { "k" } else { name };
        before.push_str(&format!("{{{name}: {}", "[".repeat(lists)));
        after.insert_str(0, &format!("{}}}", "]".repeat(lists)));
    }
    format!("{before}{after}\n")
}

#[test]
fn the_loader_knows_every_field() {
    let folder = tempfile::tempdir().unwrap();
    let mut unknown = Vec::new();
    for field in FIELDS.lines() {
        fs::write(folder.path().join("compose.yaml"), document(field)).unwrap();
        let Err(error) = load(&Options { dir: folder.path().to_owned(), ..Options::default() }) else {
            continue;
        };
        let name = field.rsplit('.').next().unwrap();
        let is_unknown = |wrong: &&devd_compose::Diagnostic| {
            wrong.code == "unknown-key" && wrong.message.contains(&format!("`{name}`"))
        };
        unknown.extend(
            error.diagnostics.iter().find(is_unknown).map(|wrong| format!("{field}: {}", wrong.message)),
        );
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// The cells of the README's table by field.
fn table() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let section = README.split("## Fields").nth(1).unwrap().split("\n## ").next().unwrap();
    for row in section.lines().filter(|line| line.starts_with('|')).skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [of, fields, rest @ ..] = cells.as_slice() else { panic!("{row}") };
        for name in fields.split('`').skip(1).step_by(2) {
            let field = match of.strip_prefix('`') {
                Some(of) => format!("{}.{name}", of.trim_end_matches('`')),
                None => name.to_owned(),
            };
            let known = found.insert(field, rest.iter().map(|cell| (*cell).to_owned()).collect());
            assert!(known.is_none(), "`{name}` stands twice: {row}");
        }
    }
    found
}

#[test]
fn the_readme_has_a_row_for_every_field_and_none_is_empty() {
    let table = table();
    let fields: BTreeSet<&str> = FIELDS.lines().collect();
    let missing: Vec<_> = fields.iter().filter(|field| !table.contains_key(**field)).collect();
    assert!(missing.is_empty(), "the table lacks {missing:?}");
    let surplus: Vec<_> = table.keys().filter(|field| !fields.contains(field.as_str())).collect();
    assert!(surplus.is_empty(), "the specification lacks {surplus:?}");
    for (field, cells) in table {
        assert!(cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()), "{field}: {cells:?}");
    }
}

#[test]
fn every_field_stands_in_a_test_of_the_loader() {
    let is_said = |name: &str| CASES.iter().any(|cases| cases.contains(&format!("{name}:")));
    let names = FIELDS.lines().map(|field| field.rsplit('.').next().unwrap());
    let untested: BTreeSet<&str> = names.filter(|name| !is_said(name)).collect();
    assert!(untested.is_empty(), "{untested:?}");
}
