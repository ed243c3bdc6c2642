#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod protocol;

// The modules of the program, for everything that cargo does with a library: lints, documentation, tests.
// They run on Linux only, and devd does not use them.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub mod program;
