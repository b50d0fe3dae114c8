//! Components that are an attack on whoever compiles them: a child process with limits does.

use std::fmt::Write as _;
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

/// Debug information is data of a stranger's like the rest: here, each of many units is said to lie in the same many
/// places, which a reader that believes it writes down for each.
#[test]
fn debug_information_that_takes_all_memory_to_read_is_refused() {
    let abbreviation = b"\x01\x11\x00\x55\x17\x00\x00\x00";
    // DWARF 4: its length, its version, its abbreviations, the size of addresses, and where its ranges are.
    let unit = b"\x0c\0\0\0\x04\0\0\0\0\0\x04\x01\0\0\0\0";
    let range = b"\0\0\0\0\x01\0\0\0";
    let sections = [
        (".debug_abbrev", abbreviation.to_vec()),
        (".debug_info", unit.repeat(40_000)),
        (".debug_ranges", [range.repeat(40_000), vec![0; 8]].concat()),
    ];
    let mut text = String::from("(component (core module (func)");
    for (name, bytes) in sections {
        write!(text, "(@custom \"{name}\" \"").expect("text grows");
        for byte in bytes {
            write!(text, "\\{byte:02x}").expect("text grows");
        }
        text.push_str("\")");
    }
    let bomb = wat::parse_str(text + "))").expect("a component");
    let folder = folder();
    let memory = "[compile]\nprocessor_seconds = 100\nmemory_bytes = 600000000\n";
    assert_refused(
        &mut with(folder.path(), &bomb, memory),
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
