//! Components for tests, built by the real program, once per test process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use wharf::tenant::package::Package;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the host lies in a folder").to_owned()
}

/// The real program.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_wharf"))
}

/// The real program, run in the repository's root without settings of whoever runs the tests.
pub fn wharf() -> Command {
    let mut command = Command::new(program());
    forget(&mut command);
    command.current_dir(root());
    command
}

/// Takes what whoever runs the tests has set for wharf, or for colours, from a command's environment.
pub fn forget(command: &mut Command) {
    const COLOURS: [&str; 4] = ["CI", "CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("WHARF_") || COLOURS.contains(&&*text) {
            command.env_remove(name);
        }
    }
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

/// A folder with the components of these crates, built once for the tests that name it alike.
pub fn folder(name: &str, crates: &[&str]) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let build_it = || build(crates, &format!("target/tmp/{name}"));
    built.entry(name.to_owned()).or_insert_with(build_it).clone()
}

/// The folder with a component of `tests/guests/`, and nothing else. It is written once, by the first
/// test that asks, while the others wait: none may read a file that is only half there.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let build_it =
        || build(&[&format!("tests/guests/{name}")], &format!("target/tmp/guest-{name}"));
    built.entry(name.to_owned()).or_insert_with(build_it).clone()
}

/// The same with files and lines of its source.
pub fn debug(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let (folder, into) = (format!("tests/guests/{name}"), format!("target/tmp/debug-{name}"));
    let build_it = || build(&["--debug", &folder], &into);
    built.entry(name.to_owned()).or_insert_with(build_it).clone()
}

/// The bytes of the same component without the manifest that it carries.
pub fn bare(name: &str) -> Vec<u8> {
    let component = std::fs::read(guest(name).join(format!("{name}.wasm"))).expect("a component");
    Package::taken_from(&component).expect("it is a component")
}

fn build(arguments: &[&str], into: &str) -> PathBuf {
    let built = wharf()
        .arg("build")
        .args(arguments)
        .args(["--components", into])
        .output()
        .expect("wharf build runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    root().join(into)
}
