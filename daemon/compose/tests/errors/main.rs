//! Every way to be wrong that is worth a good sentence, as people see it.

#[path = "../common/mod.rs"]
mod common;
mod fields;
mod files;
mod host;
mod parts;
mod project;
mod values;
mod yaml;

fn check(yaml: &str, expected: expect_test::Expect) {
    expected.assert_eq(&common::outcome(yaml));
}
