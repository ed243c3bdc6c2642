//! Bodies and queries of requests, and what a client sends to a command.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| devdd::fuzzing::request(bytes));
