//! A host to test a component with, in plain `cargo test`.
//!
//! Each [`Host`] is a `wharf test --serve` of its own: a real host with the component of the crate under test, an empty
//! database, a clock that stands still, and the same randomness every time. The program is looked for on the `PATH`, or
//! where the environment variable `WHARF` says.
//!
//! ```no_run
//! use wharf_kit::harness::Host;
//! use wharf_kit::json;
//!
//! let host = Host::start();
//! let made = host.post("/coupons").signed_in("store", 7).json(&json!({ "code": "SPRING" })).send();
//! assert_eq!(made.status, 201);
//! host.advance(3600);
//! assert_eq!(host.get("/coupons").send().json::<Vec<String>>(), ["SPRING"]);
//! ```
//!
//! All of it panics where something is wrong, as tests do.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host of one test's own. It stops when it is dropped.
pub struct Host {
    child: Child,
    lines: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
    url: String,
    client: Agent,
}

/// A request that is being put together.
#[must_use = "it is sent by `send`"]
pub struct Asking<'a> {
    host: &'a Host,
    request: http::request::Builder,
    body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Host {
    /// A host with the component of the crate that is tested, built anew if its sources have changed.
    #[track_caller]
    pub fn start() -> Self {
        let folder = std::env::var("CARGO_MANIFEST_DIR");
        let folder = folder.expect("`cargo test` says where the crate lies (CARGO_MANIFEST_DIR)");
        Host::of(&[Path::new(&folder)])
    }

    /// A host with the components of these folders together; tests' settings are the first one's.
    #[track_caller]
    pub fn of(folders: &[&Path]) -> Self {
        let program =
            std::env::var_os("WHARF").map_or_else(|| PathBuf::from("wharf"), PathBuf::from);
        let mut command = Command::new(&program);
        command
            .args(["test", "--serve"])
            .args(folders)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(first) = folders.first() {
            command.current_dir(first);
        }
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "cannot start {}: {error}; put wharf on the PATH, or name it in WHARF",
                program.display()
            )
        });
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (to, from) = to.zip(from).expect("both are pipes");
        let client = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let mut host = Host {
            child,
            lines: RefCell::new((to, BufReader::new(from))),
            url: String::new(),
            client,
        };
        host.url = host.told()["url"].as_str().expect("the host says where it listens").to_owned();
        host
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Moves its clock, which stands still otherwise.
    #[track_caller]
    pub fn advance(&self, seconds: i64) {
        self.command(&json!({ "advance": seconds }));
    }

    /// A token of a user's, who need not be in any table.
    #[track_caller]
    pub fn token(&self, realm: &str, user: i64, name: &str, roles: &[&str]) -> String {
        let user = json!({ "realm": realm, "id": user, "name": name, "roles": roles });
        let told = self.command(&json!({ "token": user }));
        told["token"].as_str().expect("a token").to_owned()
    }

    /// A GET request.
    pub fn get(&self, target: &str) -> Asking<'_> {
        self.request("GET", target)
    }

    /// A POST request.
    pub fn post(&self, target: &str) -> Asking<'_> {
        self.request("POST", target)
    }

    /// A PUT request.
    pub fn put(&self, target: &str) -> Asking<'_> {
        self.request("PUT", target)
    }

    /// A DELETE request.
    pub fn delete(&self, target: &str) -> Asking<'_> {
        self.request("DELETE", target)
    }

    /// A request of any method, to a path with its query.
    pub fn request(&self, method: &str, target: &str) -> Asking<'_> {
        let request = http::Request::builder().method(method).uri(format!("{}{target}", self.url));
        Asking { host: self, request, body: Vec::new() }
    }

    #[track_caller]
    fn command(&self, command: &Value) -> Value {
        writeln!(self.lines.borrow_mut().0, "{command}").expect("the host takes commands");
        let told = self.told();
        assert!(told.get("error").is_none(), "{command}: {told}");
        told
    }

    /// What it says next. What building has to tell goes before.
    #[track_caller]
    fn told(&self) -> Value {
        let mut line = String::new();
        let read = self.lines.borrow_mut().1.read_line(&mut line).expect("the host speaks");
        assert!(read > 0, "the host has ended; its reason stands above");
        serde_json::from_str(&line).expect("the host speaks JSON")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It stops by itself at the end of its input; a test need not wait for that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Asking<'_> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sends the token of a user of a realm, by their id.
    #[track_caller]
    pub fn signed_in(self, realm: &str, user: i64) -> Self {
        let token = self.host.token(realm, user, "", &[]);
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sends a body of JSON.
    #[track_caller]
    pub fn json(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("the body can be JSON");
        self.header("content-type", "application/json").body(body)
    }

    /// Sends a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it, and waits for the answer.
    #[track_caller]
    pub fn send(self) -> Answer {
        let request = self.request.body(self.body).expect("a request that HTTP can carry");
        let mut answer = self.host.client.run(request).expect("the host answers");
        let body = answer.body_mut().read_to_vec().expect("the whole answer");
        Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
    }
}

impl Answer {
    /// A header's value as text; empty if it was not sent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body, read as JSON.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}, in: {}", String::from_utf8_lossy(&self.body)))
    }

    /// What it has cost, in units of the engine's fuel; the same each time. `None` for an answer that no component has
    /// given, or one that was streamed.
    pub fn fuel(&self) -> Option<u64> {
        self.header("x-wharf-fuel").parse().ok()
    }
}
