//! Output as the engine frames it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| devdd::fuzzing::frames(bytes));
