//! Files are removed.

use crate::support::{Place, park};
use std::fs::{create_dir, write};
use tempfile::TempDir;

#[test]
fn what_is_there_goes_and_what_is_not_is_no_error() {
    let dir = TempDir::new().expect("there is room");
    let at = |name: &str| dir.path().join(name).display().to_string();
    write(at("one file"), "").expect("there is room");
    write(at("two"), "").expect("there is room");
    std::os::unix::fs::symlink("nowhere", at("link")).expect("it is new");
    create_dir(at("folder")).expect("it is new");
    let remove = |names: &[&str]| {
        let paths: Vec<String> = names.iter().map(|name| at(name)).collect();
        let paths: Vec<&str> = ["remove", "--"].into_iter().chain(paths.iter().map(String::as_str)).collect();
        let output = park(Place::Here, &paths).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(remove(&["one file", "link", "never", "two/inside"]), (Some(0), String::new()));
    let refused = format!("devd-park: {}: cannot be removed: is a directory\n", at("folder"));
    assert_eq!(remove(&["folder", "two"]), (Some(1), refused));
    let left: Vec<_> =
        dir.path().read_dir().expect("it is there").flatten().map(|it| it.file_name()).collect();
    assert_eq!(left, ["folder"]);
    assert_eq!(remove(&[]), (Some(0), String::new()));
}
