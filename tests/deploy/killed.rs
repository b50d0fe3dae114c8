//! A host that dies in the middle of a deploy serves the old revision or the new one when it is back.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::Ask as _;
use crate::support::guests::{self, wharf};
use crate::support::raw::saying;
use crate::support::serving::{Serving, serve};

/// Where a deploy may be when the host dies, and what is served when it is back.
const STEPS: [(&str, &str); 5] = [
    // What is served already is loaded at the start, by the same steps.
    ("deploy::compiled=1*off->return", "one"),
    ("deploy::migrated=return", "one"),
    ("deploy::checked=return", "one"),
    ("deploy::stored=return", "two"),
    ("deploy::serving=return", "two"),
];

/// A host that ends at once, as by `kill -9`, when it comes to this point.
fn start(folder: &Path, dies_at: Option<&str>) -> Serving {
    let mut command = serve(folder, &guests::guest("hello"));
    if let Some(point) = dies_at {
        command.env("FAILPOINTS", point);
    }
    Serving::start(command)
}

fn run(serving: &Serving, folder: &Path, arguments: &[&str]) -> Output {
    let mut command: Command = wharf();
    command.args(arguments).arg("--data").arg(folder.join("data"));
    command.env("WHARF_HOST", &serving.admin).output().expect("wharf runs")
}

fn deploy(serving: &Serving, folder: &Path, text: &str) -> Output {
    let file = folder.join("greet.wasm");
    std::fs::write(&file, saying("greet", text, 200)).expect("the folder is writable");
    let file = file.to_str().expect("UTF-8");
    run(serving, folder, &["deploy", file, "--tenant", "acme", "--group", "greet"])
}

async fn says(serving: &Serving) -> String {
    let url = format!("{}/greet", serving.url);
    let request = reqwest::Client::new().get(url).header("host", "acme.localhost");
    request.answer().await.body
}

#[track_caller]
fn assert_done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_each_step_of_a_deploy() {
    for (point, expected) in STEPS {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path();
        let serving = start(folder, None);
        assert_done(&run(&serving, folder, &["tenant", "create", "acme"]));
        assert_done(&deploy(&serving, folder, "one"));
        serving.stop("KILL");
        let mut dying = start(folder, Some(point));
        let lost = deploy(&dying, folder, "two");
        assert!(!lost.status.success(), "{point}: nobody was told that it is done");
        assert!(!dying.child.wait().expect("it ends").success(), "{point}");
        let back = start(folder, None);
        assert_eq!(says(&back).await, expected, "{point}");
        // Whatever is stored is whole: it can be deployed, and taken back.
        assert_done(&deploy(&back, folder, "three"));
        assert_eq!(says(&back).await, "three", "{point}");
        let arguments = ["rollback", "greet", "--tenant", "acme"];
        assert_done(&run(&back, folder, &arguments));
        assert_eq!(says(&back).await, expected, "{point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rollback_was_written_down() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let serving = start(folder, None);
    assert_done(&run(&serving, folder, &["tenant", "create", "acme"]));
    assert_done(&deploy(&serving, folder, "one"));
    assert_done(&deploy(&serving, folder, "two"));
    serving.stop("KILL");
    let dying = start(folder, Some("deploy::pointed=return"));
    assert_eq!(says(&dying).await, "two");
    assert!(!run(&dying, folder, &["rollback", "greet", "--tenant", "acme"]).status.success());
    let back = start(folder, None);
    assert_eq!(says(&back).await, "one");
}
