//! The digests by which compose knows whether a service changed.

use devd_compose::{config_hash, printed_config_hash};

use crate::common::Folder;

#[test]
fn the_hash_of_every_field_is_that_of_compose() {
    let folder = Folder::new(&[("compose.yaml", include_str!("hash.yaml"))]);
    let project = folder.load().unwrap_or_else(|error| panic!("{error}")).project;
    for (service, hash) in [
        ("plain", "d5457d0b2799957b606d2ac4ed52d85a1e75799490e56229948300b9a59e8953"),
        ("rich", "cc97ae4d431f4459534fb43091e7c4de69da59667ca63cba11b4bb363813b2bc"),
        ("shared", "80a20d9bfe4a7f7b79c0983827f5e6a4df9a97dbd89077b8e4360bf3a09e5d48"),
    ] {
        assert_eq!(config_hash(&project.services[service]), hash, "{service}");
        assert_eq!(printed_config_hash(&project.services[service]), hash, "{service}");
    }
}

#[test]
fn on_a_container_the_variables_of_files_count_as_if_they_stood_in_the_service() {
    let folder = Folder::new(&[
        (
            "compose.yaml",
            "services:\n  a: {image: x, env_file: e.env, environment: {B: 1}}\n  b: {image: x, environment: {A: 1, B: 1}}\n",
        ),
        ("e.env", "A=1\nB=2\n"),
    ]);
    let services = folder.load().unwrap_or_else(|error| panic!("{error}")).project.services;
    assert_eq!(config_hash(&services["a"]), config_hash(&services["b"]));
    assert_ne!(printed_config_hash(&services["a"]), config_hash(&services["a"]));
    assert_eq!(printed_config_hash(&services["b"]), config_hash(&services["b"]));
}
