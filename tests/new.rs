//! `wharf new`: each template builds, passes its test and serves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::command_line::folder;
use crate::support::guests::{root, wharf};
use crate::support::serving::{Serving, serve};
use crate::support::{Ask as _, tools};

const TEMPLATES: [&str; 5] = ["crud", "empty", "upload", "middleware", "wasi-http"];

/// Makes a project in a folder, as somebody would who has just begun.
fn new(parent: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let folder = parent.join(name);
    let made = wharf().arg("new").arg(&folder).args(arguments).output().expect("wharf runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let next = String::from_utf8(made.stdout).expect("text");
    assert!(next.contains("wharf dev") && next.contains("wharf test"), "{next}");
    folder
}

/// The program, with Cargo working where the dependencies of all templates are compiled once (The Cargo Book,
/// `build.build-dir`).
fn building() -> Command {
    let mut wharf = wharf();
    wharf.env("CARGO_BUILD_BUILD_DIR", root().join("target/tmp/templates"));
    wharf
}

/// That all is answered as the template's record says.
#[track_caller]
fn assert_passes(project: &Path) {
    // What other compilers make of it may cost something else.
    let mut test = building();
    let tested = test.arg("test").arg(project).args(["--growth", "1000"]).output();
    let Output { status, stdout, stderr } = tested.expect("wharf runs");
    let (told, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{told}\n{errors}");
    assert!(told.contains("all as recorded"), "{told}");
}

/// Puts a tool where a project would have installed it; says whether it is there.
fn install(tool: &str, project: &Path, place: &str) -> bool {
    let installed = root().join("target/languages").join(tool);
    if !installed.exists() {
        tools::skip(&format!("{} (.ci/languages installs it)", installed.display()));
        return false;
    }
    std::os::unix::fs::symlink(installed, project.join(place)).expect("the folder is writable");
    true
}

/// That each template in a language passes its test, wherever what it is built with can be put in place.
fn assert_each_passes(language: &str, is_equipped: impl Fn(&Path) -> bool) {
    let parent = folder();
    for template in TEMPLATES {
        let arguments = ["--lang", language, "--template", template];
        let project = new(parent.path(), &format!("my-{template}"), &arguments);
        if is_equipped(&project) {
            assert_passes(&project);
        }
    }
}

#[test]
fn each_template_in_rust_passes_its_test() {
    assert_each_passes("rust", |_| true);
}

#[test]
fn each_template_in_javascript_passes_its_test() {
    assert_each_passes("js", |project| install("js/node_modules", project, "node_modules"));
}

#[test]
fn each_template_in_python_passes_its_test() {
    assert_each_passes("python", |project| install("python", project, ".venv"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_component_serves_and_its_own_tests_run_with_cargo() {
    let parent = folder();
    let project = new(parent.path(), "vouchers", &[]);
    let components = parent.path().join("components");
    let mut build = building();
    let built = build.arg("build").arg(&project).arg("--components").arg(&components).output();
    assert!(built.expect("wharf runs").status.success());
    let serving = Serving::start(serve(parent.path(), &components));
    let client = reqwest::Client::new();
    let url = format!("{}/vouchers", serving.url);
    let made = client.post(&url).json(&serde_json::json!({ "name": "apple", "amount": 3 }));
    assert_eq!(made.answer().await.status, 201);
    assert_eq!(client.get(&url).answer().await.json()[0]["name"], "apple");

    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--quiet"]).current_dir(&project).env("WHARF", env!("CARGO_BIN_EXE_wharf"));
    // The dependencies of all tests of templates are compiled once.
    cargo.env("CARGO_TARGET_DIR", root().join("target/tmp/templates"));
    let tested = cargo.output().expect("cargo runs");
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
}

#[test]
fn what_cannot_be_made_is_told_with_what_can() {
    let parent = folder();
    let full = parent.path().join("full");
    std::fs::create_dir(&full).expect("a folder");
    std::fs::write(full.join("mine.txt"), "mine").expect("a file");
    let refused = |arguments: &[&str], words: &[&str]| {
        let output = wharf().arg("new").args(arguments).current_dir(parent.path()).output();
        let Output { status, stderr, .. } = output.expect("wharf runs");
        let error = String::from_utf8(stderr).expect("text");
        assert!(!status.success(), "{error}");
        for word in words {
            assert!(error.contains(word), "{word:?} in: {error}");
        }
    };
    refused(&["full"], &["full is not empty", "another name"]);
    refused(&["Not A Name"], &["Not A Name", "small letters"]);
    refused(&["ok", "--template", "blog"], &["blog", "crud, empty, upload, middleware, wasi-http"]);
    refused(&["ok", "--lang", "cobol"], &["cobol", "rust, js, python"]);
    let left: BTreeSet<_> = std::fs::read_dir(parent.path())
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(std::fs::read_to_string(full.join("mine.txt")).expect("the file"), "mine");
}
