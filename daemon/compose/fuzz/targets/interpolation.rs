//! Variables in a value.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| devd_compose::fuzzing::interpolation(text));
