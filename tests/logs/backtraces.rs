//! Where in its source a guest was when it failed.

use serde_json::Value as Json;

use super::message;
use crate::support::{Ask as _, TestHost, guests};

const SOURCE: &str = "tests/guests/hostile/src/lib.rs";

/// The line of the hostile guest's source that says this.
fn line_of(text: &str) -> u64 {
    let source = std::fs::read_to_string(guests::root().join(SOURCE)).expect("a file");
    let line = source.lines().position(|line| line.contains(text)).expect("the text");
    line as u64 + 1
}

/// What the log says of a request that fails in the only component of a folder.
async fn failure(folder: std::path::PathBuf, path: &str) -> Json {
    let host = TestHost::with(|config| config.components = folder).await;
    let answer = host.get(path).answer().await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (500, r#"{"message":"Server Error"}"#));
    let line = host.log("default", "?level=error").await.remove(0);
    assert_eq!(line["request"], answer.header("x-request-id"), "the client is told no more");
    line
}

fn frames(line: &Json) -> &[Json] {
    line["backtrace"].as_array().unwrap_or_else(|| panic!("no backtrace: {line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_names_functions_files_and_lines() {
    let line = failure(guests::debug("hostile"), "/trap").await;
    assert!(message(&line).contains("unreachable"), "{line}");
    let is_of_guest = |frame: &&Json| frame["file"].as_str().is_some_and(|it| it.ends_with(SOURCE));
    let own: Vec<&Json> = frames(&line).iter().filter(is_of_guest).collect();
    let function = |frame: &Json| frame["function"].as_str().expect("a name").to_owned();
    assert_eq!(own[0]["line"], line_of("\"on purpose\""), "{line}");
    assert!(function(own[0]).contains("hostile::trap::fails"), "{line}");
    // The functions that called it are told as well, from the inside out.
    assert!(own[1..].iter().any(|frame| frame["line"] == line_of("json!(fails(1))")), "{line}");
    let panicking = frames(&line).iter().position(|frame| function(frame).contains("panicking"));
    assert!(panicking.is_some_and(|at| frames(&line)[at] != *own[0]), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_without_debug_information_names_functions_alone() {
    let line = failure(guests::guest("hostile"), "/trap").await;
    let names: Vec<&str> =
        frames(&line).iter().map(|frame| frame["function"].as_str().expect("a name")).collect();
    assert!(names.contains(&"hostile::trap::fails"), "{names:?}");
    assert!(frames(&line).iter().all(|frame| frame.get("file").is_none()), "{line}");
    // It is the smaller for it.
    let size = |folder: std::path::PathBuf| {
        std::fs::metadata(folder.join("hostile.wasm")).expect("a component").len()
    };
    assert!(size(guests::guest("hostile")) * 2 < size(guests::debug("hostile")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtrace_has_an_end() {
    let line = failure(guests::guest("hostile"), "/recurse/100000").await;
    let deeper =
        frames(&line).iter().filter(|frame| frame["function"] == "hostile::recurse::deeper");
    assert!((2..=64).contains(&deeper.count()), "{line}");
}

/// Debug information is a stranger's as well: what of it makes no sense is left out, and the component serves.
#[tokio::test(flavor = "multi_thread")]
async fn debug_information_that_makes_no_sense_does_no_harm() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = std::fs::read(guests::debug("hostile").join("hostile.wasm")).expect("a component");
    let name = b".debug_line";
    let found = whole.windows(name.len()).position(|it| it == name).expect("it has lines");
    let mut broken = whole.clone();
    // Within the section, which is much longer than that.
    for byte in &mut broken[found + 64..found + 20_000] {
        *byte = byte.wrapping_mul(31).wrapping_add(7);
    }
    assert_ne!(broken, whole);
    std::fs::write(folder.path().join("hostile.wasm"), broken).expect("a file");
    let line = failure(folder.path().to_owned(), "/trap").await;
    assert!(message(&line).contains("unreachable"), "{line}");
    let named = frames(&line).iter().any(|frame| {
        frame["function"].as_str().is_some_and(|name| name.contains("hostile::trap::fails"))
    });
    assert!(named, "{line}");
}
