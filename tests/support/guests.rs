//! Components for tests, built by the real program, once per test process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the host lies in a folder").to_owned()
}

/// The real program, run in the repository's root without settings of whoever runs the tests.
pub fn wharf() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.current_dir(root());
    let settings =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WHARF_"));
    for (name, _) in settings {
        command.env_remove(name);
    }
    command
}

/// Where compiled components are kept for all tests: compiling them anew for each would take minutes.
pub fn cache() -> PathBuf {
    root().join("target/tmp/wharf-cache")
}

/// The folder with the built-in components.
pub fn built_in() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&[], "target/tmp/components")).clone()
}

/// The folder with a component of `tests/guests/`, and nothing else.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let all = BUILT.get_or_init(|| {
        build(&["tests/guests/hello", "tests/guests/hostile"], "target/tmp/guests")
    });
    let alone = root().join("target/tmp").join(format!("guest-{name}-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&alone);
    let file = format!("{name}.wasm");
    std::fs::copy(all.join(&file), alone.join(&file)).expect("the guest was built");
    alone
}

fn build(folders: &[&str], into: &str) -> PathBuf {
    let built = wharf()
        .arg("build")
        .args(folders)
        .args(["--components", into])
        .output()
        .expect("wharf build runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    root().join(into)
}
