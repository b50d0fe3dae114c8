//! `wharf test`: requests that are written down, and answers that were recorded.

use std::path::Path;
use std::process::Output;

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::command_line::folder;
use crate::support::guests::{self, wharf};
use crate::support::raw::answering;

/// A project whose component is copied, with a file of requests.
fn project(manifest: &str, component: &[u8], requests: &str) -> TempDir {
    let project = folder();
    let build = "\n[build]\ncommand = \"cp source.wasm built.wasm\"\noutput = \"built.wasm\"\n";
    write(&project, "wharf-plugin.toml", format!("{manifest}{build}"));
    write(&project, "source.wasm", component);
    write(&project, "tests/requests.http", requests);
    project
}

/// A project of a component that is made by hand.
fn greeting(text: &str, rounds: u32) -> TempDir {
    let component = answering("greet", text, 200, rounds);
    project("group = \"greet\"\ngrants = [\"log\"]\n", &component, "### greets\nGET /greet\n")
}

fn write(project: &TempDir, file: &str, content: impl AsRef<[u8]>) {
    let file = project.path().join(file);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("it is made");
    std::fs::write(file, content).expect("it is written");
}

fn run(project: &Path, arguments: &[&str]) -> Output {
    wharf().arg("test").arg(project).args(arguments).output().expect("wharf runs")
}

/// What a run prints, which ends with this exit code.
#[track_caller]
fn printed(project: &TempDir, arguments: &[&str], code: i32) -> String {
    let output = run(project.path(), arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(code), "{text}\n{errors}");
    text
}

#[track_caller]
fn assert_refused(project: &Path, words: &[&str]) {
    let Output { status, stderr, .. } = run(project, &[]);
    let error = String::from_utf8(stderr).expect("text");
    assert_eq!(status.code(), Some(1), "{error}");
    let last = error.trim_end().lines().last().unwrap_or_default();
    assert!(last.starts_with("error: "), "{error}");
    assert_holds(last, words);
}

#[track_caller]
fn assert_holds(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} in: {text}");
    }
}

#[test]
fn what_differs_from_the_record_is_shown_until_it_is_mended_or_recorded() {
    let project = greeting("hello", 0);
    assert_holds(&printed(&project, &[], 1), &["requests.http", "new ", "greets"]);
    assert_holds(&printed(&project, &["--record"], 0), &["recorded", "greets"]);
    let answers = std::fs::read_to_string(project.path().join("tests/requests.answers"));
    assert_eq!(answers.expect("a record"), "### greets\n200\n\nhello\n\n");
    assert_holds(&printed(&project, &[], 0), &["ok ", "1 request, all as recorded"]);

    write(&project, "source.wasm", answering("greet", "goodbye", 200, 0));
    assert_holds(&printed(&project, &[], 1), &["differs", "-hello\n", "+goodbye\n"]);
    printed(&project, &["--record"], 0);
    assert_holds(&printed(&project, &[], 0), &["ok "]);
}

#[test]
fn what_a_request_costs_is_the_same_each_time_and_may_not_grow_unnoticed() {
    let project = greeting("hello", 1_000);
    printed(&project, &["--record"], 0);
    let fuel = |file: &TempDir| {
        let text = std::fs::read_to_string(file.path().join("tests/fuel.toml")).expect("a file");
        let table: toml::Table = text.parse().expect("TOML");
        table["requests"]["greets"].as_integer().expect("a number")
    };
    let before = fuel(&project);
    printed(&project, &["--record"], 0);
    assert_eq!(fuel(&project), before);

    write(&project, "source.wasm", answering("greet", "hello", 200, 1_020));
    assert_holds(&printed(&project, &[], 0), &["ok ", "(+"]);
    write(&project, "source.wasm", answering("greet", "hello", 200, 2_000));
    assert_holds(&printed(&project, &[], 1), &["dearer", "(+"]);
    assert_holds(&printed(&project, &["--growth", "1000"], 0), &["ok "]);
    printed(&project, &["--record"], 0);
    assert!(fuel(&project) > before * 3 / 2);
}

#[test]
fn what_follows_from_time_and_chance_is_the_same_each_time() {
    let manifest =
        std::fs::read_to_string(guests::root().join("components/auth/wharf-plugin.toml"));
    let component = std::fs::read(guests::built_in().join("auth.wasm")).expect("a component");
    let requests = "### signs in\nPOST /api/auth/login?username=admin&password=admin-password\n\n### refuses\nPOST /api/auth/login?username=admin&password=wrong-password\n";
    let project = project(&manifest.expect("a manifest"), &component, requests);
    printed(&project, &["--record"], 0);
    let answers = std::fs::read_to_string(project.path().join("tests/requests.answers"));
    assert_holds(&answers.expect("a record"), &["\"access_token\": \"ey", "### refuses"]);
    printed(&project, &[], 0);
    // Another token's id is another token.
    assert_holds(&printed(&project, &["--seed", "2"], 1), &["differs", "ok "]);
}

#[test]
fn requests_are_sent_by_whom_and_when_the_file_says() {
    let coupons = guests::root().join("tests/guests/coupons/rust");
    // Another compiler makes other code.
    let output = run(&coupons, &["--json", "--growth", "1000"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Json> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines.len(), 9, "{text}");
    for line in &lines {
        assert_eq!(line["verdict"], "ok");
        assert!(line["fuel"].as_u64().is_some_and(|fuel| fuel > 0), "{line}");
    }
    let answers = std::fs::read_to_string(coupons.join("tests/coupons.answers")).expect("a record");
    assert_holds(&answers, &["\"redeemed_by\": \"store/7\"", "\"redeemed_at\": 1735693200"]);
    let one = String::from_utf8(run(&coupons, &["--json", "--filter", "no such"]).stderr);
    assert_holds(&one.expect("text"), &["no such"]);
}

#[test]
fn what_is_wrong_with_tests_is_told_in_a_sentence() {
    let project = greeting("hello", 0);
    let refused = |words: &[&str]| assert_refused(project.path(), words);
    write(&project, "tests/requests.http", "### greets\nfetch /greet\n");
    refused(&["requests.http:2", "METHOD /path"]);
    write(&project, "tests/requests.http", "### greets\n");
    refused(&["holds no request", "GET /path"]);
    write(&project, "tests/requests.http", "### greets\nGET /greet\n");
    write(&project, "tests/fuel.toml", "requests = 1");
    refused(&["fuel.toml", "wharf test --record"]);
    std::fs::remove_dir_all(project.path().join("tests")).expect("it is removed");
    refused(&["there is no .http file in", "wharf test --help"]);
    assert_refused(Path::new("/nowhere"), &["there is no .http file in /nowhere/tests"]);
}
