//! The sandbox: what it is made of, and components that attack it from below the reach of a language.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::command_line::assert_refused;
use crate::support::serving::{Serving, serve};
use crate::support::{guests, raw};

/// Attacks that are answered 500, with what the log says of them.
const FAIL: &[(&str, &str)] = &[
    ("realloc-outside", "beyond end of memory"),
    ("realloc-unaligned", "not aligned"),
    ("realloc-endless", "limits.compute_milliseconds"),
    ("realloc-calls-out", "cannot leave component instance"),
    ("answer-outside", "pointer"),
    ("answer-unaligned", "not aligned"),
    ("body-outside", "out of bounds"),
    ("body-of-all-memory", "limits.host_call_bytes"),
    ("headers-of-one-megabyte", "limits.host_call_bytes"),
    ("headers-of-nothing", "limits.host_call_bytes"),
    ("header-not-utf-8", "utf-8"),
    ("post-endless", "limits.compute_milliseconds"),
    ("post-trap", "unreachable"),
    ("recursion", "call stack exhausted"),
    ("recursion-into-the-host", "call stack exhausted"),
    ("calls-without-end", "limits.host_calls"),
    ("argument-outside", "out of bounds"),
    ("argument-not-utf-8", "utf-8"),
    ("level-that-is-none", "discriminant"),
];

/// Attacks that do nobody any harm, and are answered.
const HARMLESS: &[&str] = &["memory-all", "table-all", "realloc-overlapping"];

/// Attacks for which a component is refused when it is loaded, with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("start-endless", "limits.compute_milliseconds"),
    ("routes-endless", "limits.compute_milliseconds"),
    ("routes-outside", "out of bounds"),
    ("routes-without-end", "limits.host_call_bytes"),
];

/// A folder with the components of these attacks beside one that behaves.
fn folder<'a>(attacks: impl IntoIterator<Item = &'a str>) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for attack in attacks {
        let file = folder.path().join(format!("{attack}.wasm"));
        std::fs::write(file, raw::component(attack)).expect("a file");
    }
    let hello = guests::guest("hello").join("hello.wasm");
    std::fs::copy(hello, folder.path().join("hello.wasm")).expect("a file");
    folder
}

/// Limits of all groups, and of some: deep stacks take their time in unoptimised code.
const LIMITS: &str = "
    limits.compute_milliseconds = 200
    limits.table_elements = 1000
    groups.calls-without-end.limits.host_calls = 1000
    groups.recursion-into-the-host.limits.compute_milliseconds = 10000
";

/// The real program with these components.
fn program(folder: &TempDir) -> Command {
    let settings = folder.path().join("wharf.toml");
    let others = !folder.path().join("calls-without-end.wasm").exists();
    let limits = LIMITS.lines().filter(|line| !(others && line.contains("groups.")));
    std::fs::write(&settings, limits.collect::<Vec<_>>().join("\n")).expect("a file");
    let mut command = serve(folder.path(), folder.path());
    command.env("WHARF_CONFIG", settings);
    command
}

#[test]
fn every_attack_is_tried() {
    let files = std::fs::read_dir(guests::root().join("tests/guests/raw")).expect("a folder");
    let files: BTreeSet<String> = files
        .flatten()
        .map(|file| file.file_name().to_string_lossy().replace(".wat", ""))
        .collect();
    let tried =
        FAIL.iter().chain(REFUSED).map(|(attack, _)| *attack).chain(HARMLESS.iter().copied());
    assert_eq!(files, tried.map(str::to_owned).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_end_in_a_500_and_their_neighbours_notice_nothing() {
    let attacks = FAIL.iter().map(|(attack, _)| *attack).chain(HARMLESS.iter().copied());
    let folder = folder(attacks);
    let host = Serving::start(program(&folder));
    let ask = async |path: &str| {
        let answer = reqwest::get(format!("{}/{path}", host.url)).await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a body"))
    };
    for (attack, _) in FAIL {
        for _ in 0..3 {
            assert_eq!(
                ask(attack).await,
                (500, r#"{"message":"Server Error"}"#.into()),
                "{attack}"
            );
            assert_eq!(ask("hello").await, (200, "hello".into()), "after {attack}");
        }
    }
    for attack in HARMLESS {
        assert_eq!(ask(attack).await, (200, "GET".into()), "{attack}");
    }
    let (code, printed) = host.stop("TERM");
    assert_eq!(code, Some(0), "{printed}");
    for (attack, reason) in FAIL {
        let whose = format!("component={attack} ");
        let failed = |line: &&str| line.contains("a component failed") && line.contains(&whose);
        let told = printed.lines().filter(failed).filter(|line| line.contains(reason)).count();
        assert_eq!(told, 3, "{attack} because of {reason:?}: {printed}");
    }
}

#[test]
fn components_that_attack_when_they_are_loaded_are_refused() {
    for (attack, reason) in REFUSED {
        assert_refused(&mut program(&folder([*attack])), &[attack, reason]);
    }
}

#[test]
fn a_component_that_begins_with_more_memory_than_it_may_have_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = folder.path().join("wharf.toml");
    std::fs::write(&settings, "limits.memory_bytes = 65536").expect("a file");
    let mut command = serve(folder.path(), &guests::guest("hello"));
    let words =
        ["hello", "begins with", "bytes of memory and may have 65536", "limits.memory_bytes"];
    assert_refused(command.env("WHARF_CONFIG", settings), &words);
}

/// What wasmtime is built with: what is not there cannot be attacked.
#[test]
fn wasmtime_has_these_features_and_no_more() {
    let features = [
        "async",
        "call-hook",
        "component-model",
        "cranelift",
        "parallel-compilation",
        "pooling-allocator",
        "runtime",
        "std",
    ];
    // What these turn on themselves, for platforms and for the loader of machine code.
    let implied = ["once_cell", "wasmtime-jit-icache-coherence"];
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(guests::root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&cargo.stdout).expect("JSON");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let is_wasmtime =
        |node: &&Value| node["id"].as_str().is_some_and(|id| id.contains("#wasmtime@"));
    let wasmtime = nodes.iter().find(is_wasmtime).expect("wasmtime");
    let built: BTreeSet<&str> = wasmtime["features"]
        .as_array()
        .expect("features")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(built, features.into_iter().chain(implied).collect());
}

/// Proposals of WebAssembly that the engine does not take, each with a module that needs it.
const PROPOSALS: &[(&str, &str)] = &[
    ("threads", "(memory 1 1 shared)"),
    ("memory64", "(memory i64 1)"),
    ("multi-memory", "(memory 1) (memory 1)"),
    ("custom-page-sizes", "(memory 1 (pagesize 1))"),
    ("tail-call", "(func $f (return_call $f))"),
    ("gc", "(type (struct (field i32)))"),
    ("function-references", "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))"),
    ("exceptions", "(tag (param i32))"),
    ("stack-switching", "(type $f (func)) (type (cont $f))"),
    (
        "relaxed-simd",
        "(func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))",
    ),
    (
        "wide-arithmetic",
        "(func (param i64 i64 i64 i64) (result i64 i64) (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))",
    ),
];

/// The same of the component model.
const OF_COMPONENTS: &[(&str, &str)] = &[
    ("async", "(component (type (future u8)))"),
    ("streams", "(component (type (stream u8)))"),
    ("error-context", "(component (type error-context))"),
    ("gc", "(component (core type (struct (field i32))))"),
];

#[test]
fn the_engine_takes_no_proposal_that_it_does_not_need() {
    let refused = |name: &str, text: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        std::fs::write(folder.path().join(format!("{name}.wasm")), bytes).expect("a file");
        assert_refused(&mut program(&folder), &[name, "it is not a valid component"]);
    };
    for (name, module) in PROPOSALS {
        refused(name, &format!("(component (core module {module}))"));
    }
    for (name, component) in OF_COMPONENTS {
        refused(name, component);
    }
}
