//! The entry of the program. `build_program.rs` compiles this file without cargo: a program without the standard
//! library needs another panic strategy than the workspace has.

#![no_std]
#![no_main]
// The program stands alone, so the functions below may not be turned into calls of themselves.
#![no_builtins]
#![allow(dead_code, reason = "the library has what both ends need")]

mod memory;
mod program;
mod protocol;

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".global _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {enter}",
    "ud2",
    enter = sym enter,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".global _start",
    "_start:",
    "mov x29, #0",
    "mov x30, #0",
    "mov x0, sp",
    "bl {enter}",
    "brk #1",
    enter = sym enter,
);

/// `stack` is what the kernel gave: argc, argv, NULL, envp, NULL.
extern "C" fn enter(stack: *const usize) -> ! {
    // SAFETY: the kernel laid the stack out so, and nothing has touched it.
    let start = unsafe { program::Start::from_stack(stack) };
    program::main(&start)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    program::sys::exit(program::BROKEN)
}
