//! What Cargo needs to build components.

use std::path::Path;
use std::process::Command;

/// The target of every component.
pub const TARGET: &str = "wasm32-wasip2";

/// Adds the target through rustup unless the toolchain has it.
///
/// # Errors
/// A sentence that says what is missing and how to get it.
pub fn ensure_target() -> Result<(), String> {
    if has_target()? {
        return Ok(());
    }
    eprintln!("adding the target {TARGET} through rustup");
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]).stdout(std::io::stderr());
    let added = rustup.status();
    if added.is_ok_and(|status| status.success()) && has_target()? {
        return Ok(());
    }
    Err(format!(
        "the Rust toolchain has no target {TARGET}, and rustup could not add it; try it by hand: rustup target add {TARGET}"
    ))
}

/// Whether the toolchain has the target.
///
/// # Errors
/// That there is no toolchain.
pub fn has_target() -> Result<bool, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot run rustc: {error}; install Rust with rustup"))?;
    Ok(output.status.success()
        && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}
