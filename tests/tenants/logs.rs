//! What tenants send reaches the log and the terminal of whoever looks at them: as text, and never as lines or
//! commands of a terminal's.

use reqwest::Method;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::deploying::with_manifest;
use crate::support::raw::saying;
use crate::support::serving::{Serving, serve};
use crate::support::{Ask as _, guests};

/// What a terminal, a log or a reader of lines would take for more than text.
const FORGED: &str =
    "x\r\n1970-01-01T00:00:00.000000Z ERROR forged\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m";

/// A host of the real program's with the tenant `acme`, and a token for it.
struct Own {
    serving: Serving,
    folder: TempDir,
    client: reqwest::Client,
    token: String,
}

impl Own {
    async fn start(format: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = serve(folder.path(), &guests::guest("hello"));
        command.args(["--log-format", format, "--log", "debug"]);
        let serving = Serving::start(command);
        let data = folder.path().join("data");
        let operator = wharf::admin::operator::read(&data).expect("the operator's token");
        let client = reqwest::Client::new();
        let own = Own { serving, folder, client, token: operator };
        own.send(Method::POST, "tenants", &[], json!({ "name": "acme" }).to_string()).await;
        let new = json!({ "name": "ci", "verbs": ["deploy", "rollback", "read", "settings"], "expires_seconds": 3600 });
        let made = own.send(Method::POST, "tenants/acme/tokens", &[], new.to_string()).await;
        let made: Json = serde_json::from_str(&made).expect("JSON");
        let token = made["secret"].as_str().expect("a token").to_owned();
        Own { token, ..own }
    }

    /// A call with the token; the body of the answer.
    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> String {
        let request = self.client.request(method, format!("{}/v1/{path}", self.serving.admin));
        let request = request.bearer_auth(&self.token).query(query);
        request.header("content-type", "application/json").body(body).answer().await.body
    }

    /// Whatever a tenant may put a text into.
    async fn attack(&self) {
        let deploys = "tenants/acme/deploys";
        let good = saying("greet", "one", 200);
        let named = [("group", "greet"), ("file", FORGED)];
        let done = self.send(Method::POST, deploys, &named, good.clone()).await;
        assert!(done.contains("\"deployed\""), "{done}");
        self.send(Method::POST, deploys, &[("group", FORGED)], good.clone()).await;
        self.send(Method::POST, deploys, &[(FORGED, FORGED)], good.clone()).await;
        let quoted = toml::Value::from(FORGED).to_string();
        for manifest in [
            format!("group = {quoted}\n"),
            format!("group = \"greet\"\ngrants = [{quoted}]\n"),
            format!("group = \"greet\"\n{quoted} = 1\n"),
            format!("group = \"greet\"\n[tables]\n{quoted} = \"write\"\n"),
            format!(
                "group = \"greet\"\n[settings.{quoted}]\nrequired = true\ndescription = {quoted}\n"
            ),
            format!("group = \"greet\"\n[settings.key]\nrequired = true\ndescription = {quoted}\n"),
            format!("group = \"greet\"\n[smoke]\npath = {quoted}\n"),
            FORGED.to_owned(),
        ] {
            let body = with_manifest(&good, &manifest);
            self.send(Method::POST, deploys, &[], body).await;
        }
        self.send(Method::POST, deploys, &[("group", "route")], route()).await;
        let encoded = "x%0D%0A1970-01-01T00:00:00.000000Z%20ERROR%20forged%1B%5B2J";
        for path in [
            format!("tenants/{encoded}"),
            format!("tenants/acme/groups/{encoded}/rollback"),
            format!("tokens/{encoded}"),
            encoded.to_owned(),
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                self.send(method, &path, &[], "{}").await;
            }
        }
        let set = json!({ "set": { FORGED: { "value": FORGED }, "ok": { "value": FORGED } } });
        self.send(Method::PATCH, "tenants/acme/groups/greet/settings", &[], set.to_string()).await;
        let set = json!({ "set": { "ok": { "value": FORGED } } });
        self.send(Method::PATCH, "tenants/acme/groups/greet/settings", &[], set.to_string()).await;
        let url = format!("{}/greet?{encoded}", self.serving.url);
        let visit = self.client.get(url).header("host", "acme.localhost");
        assert_eq!(visit.header("user-agent", "\u{9b}31m").answer().await.body, "one");
    }

    /// What a command prints that looks at the tenant.
    fn command(&self, arguments: &[&str]) -> String {
        let mut command = guests::wharf();
        command.args(arguments).env("WHARF_HOST", &self.serving.admin);
        command.env("WHARF_TOKEN", &self.token).current_dir(self.folder.path());
        let output = command.output().expect("wharf runs");
        String::from_utf8([output.stdout, output.stderr].concat()).expect("text")
    }
}

/// A component with a path of which a part is meant for a terminal.
fn route() -> Vec<u8> {
    let mut component = saying("route@[2J", "one", 200);
    let name = b"GET/route@";
    let place = component.windows(name.len()).position(|window| window == name).expect("the path");
    component[place + name.len() - 1] = 0x1b;
    component
}

/// A manifest whose error quotes it.
fn quoting() -> String {
    format!("group = \"greet\"\ngrants = [{}]\n", toml::Value::from(FORGED))
}

#[track_caller]
fn assert_is_text(line: &str) {
    let is_command = |c: char| c.is_control() && c != '\t';
    assert!(!line.contains(is_command), "{line:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_the_log_are_the_hosts_own() {
    let own = Own::start("text").await;
    own.attack().await;
    let token = own.token.clone();
    let (_, log) = own.serving.stop("TERM");
    let (mut lines, mut refused) = (0, 0);
    for line in log.lines().skip_while(|line| !line.starts_with("20")) {
        assert_is_text(line);
        assert!(line.starts_with("20"), "a line of somebody else's: {line:?}");
        lines += 1;
        refused += usize::from(line.contains("a deploy was refused"));
    }
    assert!(lines > 10 && refused > 5, "{lines} lines, {refused} refusals: {log}");
    let secret = token.rsplit('_').next().expect("a secret");
    assert!(!log.contains(secret), "the token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_the_log_in_json_are_one_object_each() {
    let own = Own::start("json").await;
    own.attack().await;
    let token = own.token.clone();
    let (_, log) = own.serving.stop("TERM");
    let lines: Vec<&str> = log.lines().skip_while(|line| !line.starts_with('{')).collect();
    assert!(lines.len() > 10, "{log}");
    for line in &lines {
        assert_is_text(line);
        let line: Json = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line:?}"));
        assert!(line["timestamp"].as_str().is_some_and(|at| at.starts_with("20")), "{line}");
    }
    assert!(lines.iter().any(|line| line.contains("a deploy was refused")));
    let secret = token.rsplit('_').next().expect("a secret");
    assert!(!log.contains(secret), "the token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_print_text_alone() {
    let own = Own::start("text").await;
    own.attack().await;
    let file = own.folder.path().join("route.wasm");
    std::fs::write(&file, route()).expect("the folder is writable");
    let file = file.to_str().expect("UTF-8");
    let mut printed = vec![own.command(&["deploy", file, "--tenant", "acme", "--group", "route"])];
    printed.push(own.command(&["revisions", "greet", "--tenant", "acme"]));
    printed.push(own.command(&["tenant", "show", "acme"]));
    printed.push(own.command(&["diff", "greet", "1", "1", "--tenant", "acme"]));
    printed.push(own.command(&["setting", "acme", "greet"]));
    assert!(printed[0].contains("control characters"), "{printed:?}");
    let manifest = with_manifest(&saying("greet", "one", 200), &quoting());
    std::fs::write(file, manifest).expect("the folder is writable");
    printed.push(own.command(&["deploy", file, "--tenant", "acme"]));
    assert!(printed[5].contains("error: ") && printed[5].contains("forged"), "{printed:?}");
    assert!(printed[1].contains("x1970") && printed[1].contains("from 127.0.0.1"), "{printed:?}");
    for line in printed.iter().flat_map(|printed| printed.split('\n')) {
        assert_is_text(line);
    }
}
