//! The commands of operators, with the real program on both ends.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;
use tempfile::TempDir;

use super::hello;
use crate::command_line::{assert_refused, folder};
use crate::support::Ask as _;
use crate::support::guests::{self, wharf};
use crate::support::serving::{Serving, serve};

/// A program that serves the hello guest, and commands that ask it.
struct Own {
    serving: Serving,
    folder: TempDir,
}

impl Own {
    fn start(arguments: &[&str]) -> Self {
        let folder = folder();
        let mut command = serve(folder.path(), &guests::guest("hello"));
        command.args(arguments);
        Own { serving: Serving::start(command), folder }
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// A command with the operator's token.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = wharf();
        command.args(arguments).arg("--data").arg(self.data());
        command.env("WHARF_HOST", &self.serving.admin);
        command
    }

    /// Runs a command; what it prints to standard output.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        printed(&mut self.command(arguments))
    }

    async fn visit(&self) -> u16 {
        let url = format!("{}/hello", self.serving.url);
        let request = reqwest::Client::new().get(url).header("host", "acme.localhost");
        request.answer().await.status.as_u16()
    }
}

#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output().expect("wharf runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// That a command fails with one sentence that holds these words.
#[track_caller]
fn assert_told(command: &mut Command, words: &[&str]) {
    let output = command.output().expect("wharf runs");
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("error: ") && error.lines().count() == 1, "one sentence: {error}");
    for word in words {
        assert!(error.contains(word), "{word:?} in: {error}");
    }
}

fn file(folder: &Path, variant: u8) -> String {
    let file = folder.join("hello.wasm");
    std::fs::write(&file, hello(variant)).expect("the folder is writable");
    file.to_str().expect("UTF-8").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_walks_from_a_tenant_to_a_rollback() {
    let own = Own::start(&[]);
    let before = own.serving.printed.find("admin on").expect("the admin API is named");
    assert!(before < own.serving.printed.find("listening on").expect("so is the host"));
    let made = own.run(&["tenant", "create", "acme", "--quota", "groups=3"]);
    assert!(made.contains("acme.localhost") && made.contains("wharf token create acme"), "{made}");
    let token = own.run(&["token", "create", "acme", "--expires", "30d", "--name", "ci"]);
    let with_token = |arguments: &[&str]| {
        let mut command = wharf();
        command.args(arguments).env("WHARF_HOST", &own.serving.admin);
        command.env("WHARF_TOKEN", token.trim()).env("WHARF_TENANT", "acme");
        command
    };
    let deployed = printed(&mut with_token(&["deploy", &file(own.folder.path(), 0)]));
    assert!(
        deployed.contains("is online as revision 1") && deployed.contains("GET /hello"),
        "{deployed}"
    );
    assert!(deployed.contains(&format!(
        "http://acme.localhost:{}",
        own.serving.url.rsplit(':').next().expect("a port")
    )));
    assert_eq!(own.visit().await, 200);
    let second = file(own.folder.path(), 1);
    let second = printed(&mut with_token(&["deploy", &second, "--json"]));
    let second: Json = serde_json::from_str(&second).expect("JSON");
    assert_eq!((&second["revision"], &second["was"]), (&2.into(), &1.into()));
    let revisions = printed(&mut with_token(&["revisions", "hello"]));
    assert!(
        revisions
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with("2 ") && line.contains("active")),
        "{revisions}"
    );
    assert!(
        revisions.contains("ci (token ") && revisions.contains("hello.wasm from 127.0.0.1"),
        "{revisions}"
    );
    let diff = printed(&mut with_token(&["diff", "hello", "1", "2"]));
    assert!(diff.starts_with("~ component:") && diff.contains("(+5)"), "{diff}");
    assert_eq!(
        printed(&mut with_token(&["diff", "hello", "1", "1"])),
        "revisions 1 and 1 are the same\n"
    );
    let back = printed(&mut with_token(&["rollback", "hello"]));
    assert!(back.contains("answers with revision 1"), "{back}");
    let set = printed(&mut with_token(&["setting", "acme", "hello", "color=red"]));
    assert!(set.contains("as revision 3"), "{set}");
    let shown = printed(&mut with_token(&["tenant", "show", "acme"]));
    assert!(shown.contains("groups = 3") && shown.contains("hello"), "{shown}");
    assert_told(&mut with_token(&["remove", "hello"]), &["--yes"]);
    printed(&mut with_token(&["remove", "hello", "--yes"]));
    assert_eq!(own.visit().await, 404);
    let listed = own.run(&["token", "list", "acme", "--json"]);
    let listed: Json = serde_json::from_str(&listed).expect("JSON");
    own.run(&["token", "revoke", listed[0]["id"].as_str().expect("an id")]);
    assert_told(&mut with_token(&["tenant", "list"]), &["token", "wharf token create"]);
    own.run(&["tenant", "delete", "acme", "--yes"]);
    let left = own.run(&["tenant", "list"]);
    assert!(left.contains("default") && !left.contains("acme"), "{left}");
    // One line for each change, by whom, and no token in any.
    let (_, log) = own.serving.stop("TERM");
    for words in [
        "tenant created",
        "deployed",
        "rolled back",
        "settings changed",
        "removed",
        "revoked",
        "tenant deleted",
    ] {
        let line = log
            .lines()
            .find(|line| line.contains("changed by the admin API") && line.contains(words));
        assert!(
            line.is_some_and(|line| line.contains("acme") && line.contains("who=")),
            "{words}: {log}"
        );
    }
    assert!(!log.contains(token.trim()), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_comes_from_standard_input_and_grants_from_the_command() {
    use std::io::Write as _;
    use std::process::Stdio;
    let own = Own::start(&[]);
    own.run(&["tenant", "create", "acme"]);
    let granted = own.run(&["grant", "acme", "cache", "http:api.example.com"]);
    assert!(granted.contains("cache, http:api.example.com"), "{granted}");
    assert!(!own.run(&["grant", "acme", "cache", "--revoke"]).contains("cache"));
    let mut command = own.command(&["setting", "acme", "hello", "--secret", "key"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("wharf runs");
    child.stdin.take().expect("its input").write_all(b"hunter2\n").expect("it reads");
    assert!(child.wait_with_output().expect("it ends").status.success());
    let listed = own.run(&["setting", "acme", "hello"]);
    assert!(listed.contains("(secret)") && !listed.contains("hunter2"), "{listed}");
    own.run(&["setting", "acme", "hello", "--unset", "key"]);
    assert_eq!(own.run(&["setting", "acme", "hello", "--json"]).trim(), "{}");
}

#[test]
fn what_is_wrong_is_one_sentence_with_the_remedy() {
    let own = Own::start(&[]);
    let refused = |arguments: &[&str], words: &[&str]| {
        assert_told(&mut own.command(arguments), words);
    };
    refused(&["tenant", "show", "none"], &["there is no tenant", "wharf tenant list"]);
    refused(&["tenant", "delete", "none"], &["--yes"]);
    refused(&["deploy", "nowhere.wasm", "--tenant", "acme"], &["nowhere.wasm", "wharf build"]);
    refused(&["revisions", "hello", "--tenant", "default"], &["deployed no group hello"]);
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nowhere = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    refused(
        &["tenant", "list", "--host", &nowhere],
        &["no host answers at", &nowhere, "wharf serve", "--host"],
    );
    refused(
        &["tenant", "list", "--host", &own.serving.url],
        &["not as an admin API does", "--host"],
    );
    let data = own.folder.path().join("nothing");
    let mut command = wharf();
    command.args(["tenant", "list", "--data"]).arg(&data);
    assert_told(&mut command, &["operator.token", "--token"]);
}

#[test]
fn the_admin_api_has_an_address_of_its_own_or_none() {
    let folder = folder();
    let busy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = busy.local_addr().expect("an address").to_string();
    let with = |admin: &str| {
        let mut command = wharf();
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", admin]).arg("--data");
        command.arg(folder.path().join("data")).arg("--components").arg(guests::guest("hello"));
        command.arg("--cache").arg(guests::cache());
        command
    };
    assert_refused(&mut with(&address), &[&address, "--admin"]);
    let off = Serving::start(with("off"));
    assert!(off.admin.is_empty() && !off.printed.contains("admin on"), "{}", off.printed);
    assert!(!folder.path().join("data/keys/operator.token").exists());
    drop(off);
    let wrong = with("here").output().expect("wharf runs");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("\"off\""));
    let open = Serving::start(with("0.0.0.0:0"));
    let (_, log) = open.stop("TERM");
    assert!(log.contains("tokens of the admin API cross the network in plain HTTP"), "{log}");
}
