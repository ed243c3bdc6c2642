//! The program with real processes, where it is PID 1 and where it is not.
//!
//! No test measures time. Whatever is waited for comes, or the test fails after [`support::LONG`], at the
//! latest by the death of what it has started.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![expect(clippy::panic, reason = "a test that goes wrong says so")]
#![expect(clippy::print_stderr, reason = "a test that cannot run says so too")]
#![expect(clippy::expect_used, reason = "a test that cannot go on says where")]

mod bare;
mod exec;
mod remove;
mod serve;
mod support;
mod wait;
