// Builds the program. The build script of the daemon and the tests of the park both include this file.

/// Compiles `source`, the folder of this file, for `target`, or for this machine, into the file `to`.
///
/// Cargo cannot do it: a program without the standard library needs `panic = "abort"`, which is a setting of a whole
/// workspace.
fn build_program(
    source: &std::path::Path,
    to: &std::path::Path,
    target: Option<&str>,
    version: &str,
) -> Result<(), String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = std::process::Command::new(&rustc);
    command.args(["--edition", "2024", "--crate-name", "devd_park", "--crate-type", "bin"]);
    command.args(["-C", "opt-level=s", "-C", "panic=abort", "-C", "lto=fat", "-C", "codegen-units=1"]);
    // Nothing is linked but what is written here: no C library, no start files, no loader.
    command.args(["-C", "link-arg=-nostartfiles", "-C", "link-arg=-static", "-C", "relocation-model=static"]);
    command.args(["-C", "link-arg=-Wl,--build-id=none", "-C", "strip=symbols"]);
    if let Some(target) = target {
        command.args(["--target", target]);
        if target.ends_with("musl") {
            // Else rustc adds start files of its own.
            command.args(["-C", "link-self-contained=no"]);
        }
    }
    if let Some(linker) = std::env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        command.arg("-C").arg(option);
    }
    command.arg("-o").arg(to).arg(source.join("src/main.rs"));
    command.env("CARGO_PKG_VERSION", version);
    let output = command.output().map_err(|error| format!("cannot run {}: {error}", rustc.display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("devd-park does not compile\n{}", String::from_utf8_lossy(&output.stderr)))
}
