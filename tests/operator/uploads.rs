//! Components on their way to the host: whole, changed, cut off, too large, too slow.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use wharf::admin::Config;

use super::{assert_problem, deploy, hello, host_with_acme, make, token, visit};
use crate::support::{Answer, Ask as _, TestHost, guests};

const DEPLOYS: &str = "tenants/acme/deploys";

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_tells_each_step_and_goes_online_and_back() {
    let host = host_with_acme().await;
    let all = token(&host, "acme", &["deploy", "rollback", "read"]).await;
    assert_eq!(visit(&host, "acme", "/hello").await.status, 404);
    let lines = deploy(&host, &all, "?file=a%0Ab.wasm", hello(0)).await;
    let steps: Vec<&str> = lines.iter().filter_map(|line| line["step"].as_str()).collect();
    assert_eq!((steps.first(), steps.last()), (Some(&"received"), Some(&"serving")), "{steps:?}");
    assert!(steps.contains(&"compiling") && steps.contains(&"storing"), "{steps:?}");
    let done = &lines.last().expect("a line")["deployed"];
    assert_eq!((&done["revision"], &done["was"]), (&json!(1), &json!(null)));
    assert_eq!(done["routes"], json!(["GET /hello"]));
    assert_eq!(done["urls"], json!([format!("http://acme.localhost:{}", host.address().port())]));
    assert_eq!(visit(&host, "acme", "/hello").await.body, "hello");
    deploy(&host, &all, "", hello(1)).await;
    let group = "tenants/acme/groups/hello";
    let revisions = host.operate(Method::GET, &format!("{group}/revisions")).answer().await.json();
    assert_eq!(revisions["pointer"]["active"], 2);
    assert_eq!(revisions["revisions"][1]["source"], "ab.wasm from 127.0.0.1");
    let who = revisions["revisions"][0]["who"].as_str().expect("text");
    assert!(who.starts_with("ci (token "), "{who}");
    let diff =
        host.operate(Method::GET, &format!("{group}/diff?from=1&to=2")).answer().await.json();
    let bytes = [hello(0).len(), hello(1).len()];
    assert_eq!((&diff["component_differs"], &diff["bytes"]), (&json!(true), &json!(bytes)));
    assert_eq!(diff["routes"], json!({ "added": [], "removed": [] }));
    let missing = host.operate(Method::GET, &format!("{group}/diff?from=1&to=9")).answer().await;
    assert_problem(&missing, 404, &["no revision 9", "wharf revisions"]);
    let rollback = host.operate(Method::POST, &format!("{group}/rollback")).json(&json!({}));
    assert_eq!(rollback.answer().await.json()["revision"], 1);
    let promote = host.operate(Method::POST, &format!("{group}/promote")).answer().await;
    assert_problem(&promote, 404, &["no revision on trial", "--percent"]);
    assert_eq!(host.operate(Method::DELETE, group).answer().await.status, 204);
    assert_eq!(visit(&host, "acme", "/hello").await.status, 404);
    let events = host.operate(Method::GET, &format!("{group}/revisions")).answer().await.json();
    let events: Vec<_> = events["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["what"].clone())
        .collect();
    assert_eq!(events, ["removed", "rolled back", "deployed", "deployed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_arrive_as_it_was_sent_is_refused_and_nothing_is_stored() {
    let host = TestHost::with(|config| {
        config.components = guests::guest("hello");
        config.admin = Config { upload_bytes: Some(1_000_000), upload_seconds: 1, ..config.admin };
    })
    .await;
    make(&host, &json!({ "name": "acme" })).await;
    let send = async |body: Vec<u8>, digest: &str| -> Answer {
        let request = host.operate(Method::POST, DEPLOYS).header("content-digest", digest);
        request.body(body).answer().await
    };
    let digest = |bytes: &[u8]| format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(bytes)));
    let changed = send(hello(1), &digest(&hello(0))).await;
    assert_problem(&changed, 400, &["content-digest", "send it again"]);
    assert_problem(&send(hello(0), "sha-256=abc").await, 400, &["content-digest"]);
    let large = send(vec![0; 1_000_001], "").await;
    assert_problem(&large, 413, &["1000000", "admin.upload_bytes"]);
    let pieces =
        futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![0; 60_000])));
    let unannounced = host.operate(Method::POST, DEPLOYS).body(reqwest::Body::wrap_stream(pieces));
    assert_problem(&unannounced.answer().await, 413, &["admin.upload_bytes"]);
    for query in [
        "?percent=0",
        "?percent=100",
        "?errors_percent=5",
        "?percent=5&p99_factor=0",
        "?percent=x",
        "?persent=5",
        "?group=A%0A",
    ] {
        let answer = host.operate(Method::POST, &format!("{DEPLOYS}{query}")).body(hello(0));
        let answer = answer.answer().await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
    }
    let signature = host.operate(Method::POST, DEPLOYS).header("x-wharf-signature", "%");
    assert_problem(&signature.body(hello(0)).answer().await, 400, &["x-wharf-signature", "base64"]);
    let random = host.operate(Method::POST, DEPLOYS).body("\0asm and nothing").answer().await;
    let last = random.body.lines().last().expect("a line").to_owned();
    assert!(last.starts_with(r#"{"error":{"code":"#), "{last}");
    // Half of a component, and then nothing more; or the end of the connection.
    for is_cut_off in [false, true] {
        let mut stream = raw_upload(&host, &hello(0));
        if is_cut_off {
            stream.shutdown(std::net::Shutdown::Write).expect("it is open");
        }
        let mut answer = String::new();
        // A connection that is cut off may be answered by its end alone.
        let _ = stream.read_to_string(&mut answer);
        assert!(is_cut_off || answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(is_cut_off || answer.contains("admin.upload_seconds"), "{answer}");
    }
    for table in ["artifacts", "revisions", "pointers"] {
        let rows = host.host_sql(&format!("SELECT 1 FROM {table}"), Vec::new()).await.rows;
        assert!(rows.is_empty(), "{table} holds something");
    }
    let whole = send(hello(0), &format!("sha-512=:AA:, {}", digest(&hello(0)))).await;
    assert!(whole.body.contains(r#"{"deployed":"#), "{whole:?}");
}

/// A connection on which the first half of a component was sent.
fn raw_upload(host: &TestHost, component: &[u8]) -> TcpStream {
    let admin = host.admin_origin();
    let address = admin.strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "POST /v1/{DEPLOYS} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        host.operator_token(),
        component.len()
    );
    stream.write_all(head.as_bytes()).expect("it is open");
    stream.write_all(&component[..component.len() / 2]).expect("it is open");
    stream
}

/// The listener is the same as for everybody else, with the same care.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_can_be_read_in_two_ways_are_refused_here_as_well() {
    let host = host_with_acme().await;
    let admin = host.admin_origin();
    let address = admin.strip_prefix("http://").expect("plain HTTP");
    for (head, status) in [
        (
            "POST /v1/tenants HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
            "400",
        ),
        ("GET /v1/tenants HTTP/1.1\nhost: a\n\n", "400"),
        (&format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(9000)), "414"),
        (&format!("GET / HTTP/1.1\r\nhost: a\r\na: {}\r\n\r\n", "a".repeat(70_000)), "431"),
    ] {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(head.as_bytes()).expect("it is open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text, and the end");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
        assert!(answer.contains(r#"{"error":{"code":"invalid""#), "{answer}");
    }
}
