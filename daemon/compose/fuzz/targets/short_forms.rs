//! Ports, mounts, command lines, durations and sizes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| devd_compose::fuzzing::short_forms(text));
