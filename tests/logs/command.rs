//! `wharf logs`, with the real program on both ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::support::guests::{self, wharf};
use crate::support::serving::{Serving, serve};

/// A host that serves the hostile guest.
struct Own {
    serving: Serving,
    folder: TempDir,
}

impl Own {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let serving = Serving::start(serve(folder.path(), &guests::guest("hostile")));
        Own { serving, folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = wharf();
        command.arg("logs").args(arguments).arg("--data").arg(self.folder.path().join("data"));
        command.env("WHARF_HOST", &self.serving.admin);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("wharf runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    async fn visit(&self, path: &str) {
        reqwest::get(format!("{}{path}", self.serving.url)).await.expect("an answer");
    }
}

fn assert_is_text(printed: &str) {
    let is_command = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    let command = printed.find(is_command);
    assert!(command.is_none(), "{:?}", &printed[command.unwrap_or(0)..][..20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_printed_as_text_and_no_guest_forges_one() {
    let own = Own::start();
    own.visit("/log").await;
    own.visit("/trap").await;
    let printed = own.run(&[]);
    assert_is_text(&printed);
    assert!(printed.lines().count() > 100);
    for line in printed.lines() {
        assert!(line.starts_with("20") || line.starts_with("    at "), "a forged line: {line:?}");
    }
    let first = printed.lines().next().expect("a line");
    let forged = r"line 0\n1970-01-01T00:00:00Z ERROR forged \u{1b}[2J\u{9b}31m\u{202e}";
    assert!(first.contains(" INFO  hostile@") && first.ends_with(forged), "{first}");
    let failed = printed.lines().find(|line| line.contains(" ERROR hostile@")).expect("the trap");
    assert!(failed.contains("[blame: guest]") && failed.contains("unreachable"), "{failed}");
    assert!(printed.contains("\n    at hostile::trap::fails\n"), "{printed}");
    let json = own.run(&["--json", "--last", "3"]);
    assert_is_text(&json);
    let lines: Vec<Json> =
        json.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(lines.len(), 3, "{json}");
    assert_eq!(lines[2]["blame"], "guest");
    let first = own.run(&["--json", "--last", "1000000"]);
    let first: Json = serde_json::from_str(first.lines().next().expect("a line")).expect("JSON");
    let message = first["message"].as_str().expect("text");
    assert!(message.ends_with("forged \u{1b}[2J\u{9b}31m\u{202e}"), "the very text: {message:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn following_goes_on_until_the_host_stops() {
    let own = Own::start();
    let mut command = own.command(&["--follow", "--group", "hostile"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wharf runs");
    let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
    // It may begin to follow before or after: it is told in either case.
    own.visit("/print").await;
    let mut next = || output.next().expect("a line").expect("text");
    assert!(next().ends_with("printed by the guest"));
    own.visit("/print").await;
    assert!(next().ends_with("printed by the guest"));
    own.serving.stop("TERM");
    let ended = child.wait_with_output().expect("it ends");
    let error = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(ended.status.code(), Some(1), "{error}");
    assert!(error.starts_with("error: ") && error.contains("it has stopped"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_seen_enough_ends_it_without_a_word() {
    let own = Own::start();
    own.visit("/log").await;
    let mut child =
        own.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wharf runs");
    // As `wharf logs | head -1` does.
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    output.read_line(&mut line).expect("text");
    drop(output);
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    // As everything that writes into a pipe that nobody reads: by a signal, or it was done already.
    assert!(ended.status.code().is_none_or(|code| code == 0), "{}", ended.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_said() {
    let own = Own::start();
    let refused = |arguments: &[&str], code: i32, words: &[&str]| {
        let output = own.command(arguments).output().expect("wharf runs");
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    refused(&["--tenant", "none"], 1, &["there is no tenant", "wharf tenant list"]);
    refused(&["--level", "loud"], 2, &["loud", "debug, info, warn, error"]);
    refused(&["--last", "all"], 2, &["--last", "all"]);
}
