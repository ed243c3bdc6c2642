//! The instruction that enters the kernel, and the numbers of the calls.

use core::arch::asm;

/// Calls the kernel. The result is negative for an error.
///
/// # Safety
///
/// What call `nr` does with `args` is sound.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn call(nr: usize, args: [usize; 6]) -> isize {
    let result;
    let [a, b, c, d, e, f] = args;
    // SAFETY: the kernel keeps every register but these; for the rest, the caller promised.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Calls the kernel. The result is negative for an error.
///
/// # Safety
///
/// What call `nr` does with `args` is sound.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn call(nr: usize, args: [usize; 6]) -> isize {
    let result;
    let [a, b, c, d, e, f] = args;
    // SAFETY: the kernel keeps every register but this; for the rest, the caller promised.
    unsafe {
        asm!(
            "svc #0",
            in("x8") nr,
            inlateout("x0") a => result,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x5") f,
            options(nostack),
        );
    }
    result
}

macro_rules! numbers {
    ($($name:ident $x86_64:literal $aarch64:literal)*) => {
        pub(super) mod nr {
            $(pub(in super::super) const $name: usize = if cfg!(target_arch = "x86_64") { $x86_64 } else { $aarch64 };)*
        }
    };
}

// Name, x86_64, aarch64.
numbers! {
    ACCEPT4 288 242
    BIND 49 200
    CLOCK_GETTIME 228 113
    CLONE 56 220
    CLOSE 3 57
    DUP3 292 24
    EXECVE 59 221
    EXIT_GROUP 231 94
    FCHMODAT 268 53
    GETPID 39 172
    KILL 62 129
    LISTEN 50 201
    MMAP 9 222
    OPENAT 257 56
    PIPE2 293 59
    PPOLL 271 73
    PRCTL 157 167
    READ 0 63
    RT_SIGACTION 13 134
    RT_SIGPROCMASK 14 135
    SENDTO 44 206
    SETSID 112 157
    SIGNALFD4 289 74
    SOCKET 41 198
    UNLINKAT 263 35
    WAIT4 61 260
    WRITE 1 64
}
