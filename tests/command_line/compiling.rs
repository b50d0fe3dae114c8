//! Components that are an attack on whoever compiles them: a child process with limits does.

use std::path::Path;
use std::process::Command;

use super::{Serving, assert_refused, folder, serve};
use crate::support::guests::{self, wharf};
use crate::support::raw::bomb;

/// A host that finds these bytes as a component, with settings of its own.
fn with(folder: &Path, bytes: &[u8], settings: &str) -> Command {
    let components = folder.join("components");
    std::fs::create_dir_all(&components).expect("a folder");
    std::fs::write(components.join("stranger.wasm"), bytes).expect("a file");
    let file = folder.join("wharf.toml");
    std::fs::write(&file, settings).expect("a file");
    let mut command = serve(folder, &components);
    command.env("WHARF_CONFIG", file);
    command
}

#[test]
fn a_component_that_takes_too_long_to_compile_is_refused() {
    let folder = folder();
    let bomb = bomb(20_000);
    let processor = "[compile]\nprocessor_seconds = 1\n";
    assert_refused(
        &mut with(folder.path(), &bomb, processor),
        &["stranger", "more than 1 s of processor time (compile.processor_seconds)"],
    );
    let seconds = "[compile]\nprocessor_seconds = 100\nseconds = 1\n";
    assert_refused(
        &mut with(folder.path(), &bomb, seconds),
        &["stranger", "longer than 1 s (compile.seconds)"],
    );
}

#[test]
fn a_component_that_takes_too_much_memory_to_compile_is_refused() {
    let folder = folder();
    let memory = "[compile]\nprocessor_seconds = 100\nmemory_bytes = 600000000\n";
    assert_refused(
        &mut with(folder.path(), &bomb(60_000), memory),
        &["stranger", "more than 600000000 bytes of memory (compile.memory_bytes)"],
    );
}

#[test]
fn components_and_what_they_become_have_a_size() {
    let folder = folder();
    let small = bomb(10);
    let bytes = format!("[compile]\ncomponent_bytes = {}\n", small.len() - 1);
    assert_refused(
        &mut with(folder.path(), &small, &bytes),
        &["stranger", "(compile.component_bytes)"],
    );
    let code = "[compile]\nartifact_bytes = 1000\n";
    assert_refused(
        &mut with(folder.path(), &small, code),
        &["stranger", "more than 1000 bytes of machine code (compile.artifact_bytes)"],
    );
}

/// A start that was cut off may leave the file empty: whoever knows that could sign machine code.
#[test]
fn a_key_of_artifacts_that_is_none_is_replaced() {
    let folder = folder();
    let cache = folder.path().join("cache");
    std::fs::create_dir_all(&cache).expect("a folder");
    std::fs::write(cache.join("artifacts.key"), b"").expect("a file");
    let mut command = wharf();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "off", "--data"])
        .arg(folder.path().join("data"));
    command.arg("--components").arg(guests::guest("hello")).arg("--cache").arg(&cache);
    Serving::start(command).stop("TERM");
    let key = std::fs::read(cache.join("artifacts.key")).expect("a key");
    assert_eq!(key.len(), 32);
}
