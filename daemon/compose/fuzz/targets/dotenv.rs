//! Files of variables, in both formats.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| devd_compose::fuzzing::dotenv(text));
