//! Compiles `devd-park` for the machine that the daemon is for, so that the daemon can carry it.

use std::path::{Path, PathBuf};

include!("park/build_program.rs");

fn main() -> Result<(), String> {
    println!("cargo::rustc-check-cfg=cfg(devd_park)");
    let park = Path::new("park");
    // Everything that the program is made of.
    for source in ["src", "build_program.rs"] {
        println!("cargo::rerun-if-changed={}", park.join(source).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");

    let set = |name| std::env::var(name).unwrap_or_default();
    let (os, arch) = (set("CARGO_CFG_TARGET_OS"), set("CARGO_CFG_TARGET_ARCH"));
    if os != "linux" || !matches!(arch.as_str(), "x86_64" | "aarch64") {
        return Ok(());
    }
    let program = PathBuf::from(set("OUT_DIR")).join("devd-park");
    build_program(park, &program, Some(&set("TARGET")), env!("CARGO_PKG_VERSION"))?;
    let bytes = std::fs::read(&program).map_err(|error| format!("{}: {error}", program.display()))?;
    println!("cargo::rustc-cfg=devd_park");
    println!("cargo::rustc-env=DEVD_PARK_DIGEST={}", digest(&bytes));
    Ok(())
}

/// FNV-1a: enough to tell one build from another.
fn digest(bytes: &[u8]) -> String {
    let sum = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{sum:016x}")
}
