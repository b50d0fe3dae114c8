//! Real clients: the documents' JavaScript snippets, in Node and in a page of another origin that a
//! headless Chromium shows.

use std::convert::Infallible;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::tools::is_installed;
use crate::support::{ADMIN_PASSWORD, TestHost, files, guests};

fn folder() -> PathBuf {
    guests::root().join("tests/clients")
}

fn examples() -> Value {
    let text = std::fs::read_to_string(folder().join("examples.json")).expect("the examples");
    serde_json::from_str(&text).expect("examples")
}

/// What a client is to do.
fn task(host: &TestHost) -> Value {
    json!({
        "base": host.origin(),
        "examples": examples(),
        "adminPassword": ADMIN_PASSWORD,
        "portrait": files::png(8, 8),
    })
}

/// That a client saw what the contract says.
fn assert_seen(host: &TestHost, seen: &Value) {
    assert!(seen.get("error").is_none(), "{seen}");
    let examples = examples();
    let answers = seen["examples"].as_array().expect("answers");
    assert_eq!(answers.len(), examples.as_array().map_or(0, Vec::len));
    for (example, answer) in examples.as_array().expect("examples").iter().zip(answers) {
        // An object that was not turned into text is no input, and the documents' own snippets send one.
        let expected = match (example["target"].as_str(), example["body"].is_object()) {
            (Some("/api/auth/login" | "/api/auth/register"), true) => {
                json!([422, "The given data was invalid."])
            }
            (Some("/login"), true) => json!([200, "请填写验证码"]),
            _ => example["anonymous"].clone(),
        };
        let part = expected[1].as_str().expect("a part");
        assert!(
            answer["status"] == expected[0] && answer["json"].to_string().contains(part),
            "{example}: {answer}"
        );
    }
    let lives = &seen["lives"];
    assert_eq!(lives["registered"], json!({ "message": "注册成功" }));
    assert_eq!((&lives["uploaded"], &lives["type"]), (&json!("上传成功"), &json!("image/png")));
    assert_eq!(lives["downloaded"], json!(files::png(8, 8)));
    assert_eq!(
        lives["signedUp"],
        json!({ "status": true, "data": [], "message": "注册成功", "cmd": "signUp" })
    );
    assert_eq!(lives["wrongCaptcha"], "请输入正确的验证码");
    assert_eq!(host.blobs().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_snippets_work_in_node() {
    if !is_installed("node") {
        return;
    }
    let host = TestHost::on_sqlite().await;
    let task = task(&host).to_string();
    let output = tokio::task::spawn_blocking(move || {
        let mut node = Command::new("node")
            .arg(folder().join("node.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let mut input = node.stdin.take().expect("its input");
        input.write_all(task.as_bytes()).expect("it reads");
        drop(input);
        node.wait_with_output().expect("it ends")
    });
    let output = output.await.expect("node runs");
    assert!(output.status.success());
    assert_seen(&host, &serde_json::from_slice(&output.stdout).expect("what was seen"));
}

/// A browser that ends with the test.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_snippets_work_in_a_page_of_another_origin() {
    if !is_installed("chromium") {
        return;
    }
    let host = TestHost::on_sqlite().await;
    let (page, seen) = serve_page(task(&host)).await;
    let profile = tempfile::tempdir().expect("a temporary folder");
    let browser = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--remote-debugging-port=0")
        .arg(page)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _browser = Browser(browser.expect("chromium starts"));
    let seen =
        tokio::time::timeout(Duration::from_mins(2), seen).await.expect("the page ends in time");
    assert_seen(&host, &seen.expect("what was seen"));
}

/// Serves the page with its script and its task, and hands over what the page has seen.
async fn serve_page(task: Value) -> (String, oneshot::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (told, seen) = oneshot::channel();
    let told = Arc::new(Mutex::new(Some(told)));
    let task: Arc<str> = task.to_string().into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (task, told) = (Arc::clone(&task), Arc::clone(&told));
            let service = service_fn(move |request: Request<Incoming>| {
                let (task, told) = (Arc::clone(&task), Arc::clone(&told));
                async move { Ok::<_, Infallible>(page(request, &task, &told).await) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (format!("http://{address}/page.html"), seen)
}

async fn page(
    request: Request<Incoming>,
    task: &str,
    told: &Mutex<Option<oneshot::Sender<Value>>>,
) -> Response<Full<Bytes>> {
    let file = |name: &str| std::fs::read_to_string(folder().join(name)).expect("a file");
    let (kind, body) = match request.uri().path() {
        "/page.html" => ("text/html", file("page.html")),
        "/client.mjs" => ("text/javascript", file("client.mjs")),
        "/task.json" => ("application/json", task.to_owned()),
        "/seen" => {
            let body = request.into_body().collect().await.expect("a body").to_bytes();
            let seen = serde_json::from_slice(&body).expect("what was seen");
            if let Some(told) = told.lock().expect("nobody panicked").take() {
                let _ = told.send(seen);
            }
            ("text/plain", String::new())
        }
        _ => ("text/plain", String::new()),
    };
    let mut response = Response::new(Full::from(body));
    response.headers_mut().insert("content-type", kind.parse().expect("a media type"));
    response
}
