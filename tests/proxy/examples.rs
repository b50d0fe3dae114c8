//! Components that others wrote, built and mounted as they are: the examples that the Bytecode Alliance's
//! crates are published with.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::guests::{cache, root};
use crate::support::socket::exchange;
use crate::support::{Ask as _, TestHost, tools};

/// Where Cargo keeps the sources of a package that a component of ours depends on.
fn sources(package: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked"]).current_dir(root());
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let found = packages.iter().find(|found| found["name"] == package).expect("the package");
    let manifest = Path::new(found["manifest_path"].as_str().expect("a path"));
    manifest.parent().expect("a folder").to_owned()
}

/// Builds an example of a published package, with the versions that it was published with.
fn example(package: &str, example: &str, into: &Path) {
    let copy = tempfile::tempdir().expect("a folder");
    let copied = Command::new("cp").arg("-rT").arg(sources(package)).arg(copy.path()).status();
    assert!(copied.expect("cp runs").success());
    let built = root().join("target/components");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--release", "--target", "wasm32-wasip2"]);
    cargo.args(["--example", example, "--target-dir"]).arg(&built).current_dir(copy.path());
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // A library's file has underscores in its name.
    let file = example.replace('-', "_");
    let file = built.join(format!("wasm32-wasip2/release/examples/{file}.wasm"));
    std::fs::copy(file, into.join("example.wasm")).expect("the component");
}

/// A host with the component of a folder below `/mounted`.
async fn mounted(folder: &Path) -> TestHost {
    TestHost::with(|config| {
        folder.clone_into(&mut config.components);
        config.cache = Some(cache());
        config.captcha_reveal = false;
        // Whoever brings a language's whole runtime along needs more than a component in Rust.
        config.compile.component_bytes = 32 * 1024 * 1024;
        config.compile.artifact_bytes = 512 * 1024 * 1024;
        config.compile.processor_seconds = 300;
        config.compile.seconds = 300;
        config.compile.memory_bytes = 8 * 1024 * 1024 * 1024;
        let group = config.groups.entry("example".into()).or_default();
        group.mount = Some("/mounted".into());
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_wasip2_runs_unchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    example("wasip2", "http-proxy", folder.path());
    let host = mounted(folder.path()).await;
    assert_eq!(host.get("/mounted/any").answer().await.body, "Hello, WASI!");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_wstd_runs_unchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    example("wstd", "http_server", folder.path());
    let host = mounted(folder.path()).await;
    let home = host.get("/mounted").answer().await;
    assert_eq!(home.body, "Hello, wasi:http/proxy world!\n");
    let echoed = host.post("/mounted/echo").body("x".repeat(300_000)).answer().await;
    assert_eq!(echoed.body.len(), 300_000);
    let headers = host.get("/mounted/echo-headers").header("x-mine", "1").answer().await;
    assert_eq!(headers.header("x-mine"), "1");
    let streamed = host.get("/mounted/stream-body").answer().await;
    assert_eq!(streamed.body.matches("stream started").count(), 5, "{streamed:?}");
    for path in ["/mounted/wait-response", "/mounted/wait-body"] {
        assert!(host.get(path).answer().await.body.starts_with("slept for"), "{path}");
    }
    let status = host.get("/mounted/response-status").header("x-response-status", "418");
    assert_eq!(status.answer().await.status, 418);
    assert_eq!(host.get("/mounted/response-fail").answer().await.status, 500);
    let request =
        b"GET /mounted/response-body-fail HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let broken = exchange(host.address(), request).await;
    assert!(!broken.contains("\r\n0\r\n"), "{broken}");
    assert_eq!(host.get("/mounted/none").answer().await.status, 404);
}

/// Builds a component with a tool that `.ci/languages` installs; `None`, loudly, where it is missing.
/// `version` is that of WASI 0.2 which the language's runtime speaks.
fn built_with(tool: &str, version: &str, arguments: &[&str], into: &Path) -> Option<()> {
    let program = root().join("target/languages").join(tool);
    if !program.exists() {
        tools::skip(tool);
        return None;
    }
    let wit = into.join("wit");
    let copied = Command::new("cp").arg("-r").arg(sources("wasip2").join("wit")).arg(&wit).status();
    assert!(copied.expect("cp runs").success());
    std::fs::write(
        wit.join("wasi-crate.wit"),
        format!("package tests:examples;\nworld server {{ include wasi:http/proxy@{version}; }}\n"),
    )
    .expect("a file");
    for file in std::fs::read_dir(wit.join("deps")).expect("a folder").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("WIT");
        std::fs::write(file.path(), text.replace("0.2.12", version)).expect("a file");
    }
    let mut tool = Command::new(program);
    tool.args(arguments).current_dir(into);
    let output = tool.output().expect("the tool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_handler_in_javascript_streams_and_calls_whom_it_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = root().join("tests/guests/proxy/fetch.js");
    let arguments =
        [source.to_str().expect("UTF-8"), "--wit", "wit", "-n", "server", "-o", "example.wasm"];
    let tool = "js/node_modules/.bin/componentize-js";
    if built_with(tool, "0.2.10", &arguments, folder.path()).is_none() {
        return;
    }
    let host = mounted(folder.path()).await;
    assert_eq!(host.get("/mounted/").answer().await.body, "hello from JavaScript");
    let body = "0123456789".repeat(30_000);
    let echoed = host.post("/mounted/echo").body(body.clone()).answer().await;
    assert!(echoed.body == body, "{} bytes", echoed.body.len());
    let url = format!("http://{}/healthz", host.address());
    assert_eq!(host.get(&format!("/mounted/call?{url}")).answer().await.body, "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_in_python_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    // The tool writes beside what it reads.
    std::fs::copy(root().join("tests/guests/proxy/app.py"), folder.path().join("app.py"))
        .expect("the source");
    let arguments = [
        "--quiet",
        "--wit-path",
        "wit",
        "--world",
        "server",
        "componentize",
        "--python-path",
        ".",
        "--output",
        "example.wasm",
        "app",
    ];
    if built_with("python/bin/componentize-py", "0.2.12", &arguments, folder.path()).is_none() {
        return;
    }
    let host = mounted(folder.path()).await;
    let hello = host.get("/mounted/").answer().await;
    assert_eq!(hello.body, "hello from Python", "{hello:?}");
}
