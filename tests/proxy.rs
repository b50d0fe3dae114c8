//! Plain `wasi:http/proxy` components: mounted on a path, streaming both ways, calling only whom they may.

mod deployed;
mod examples;
mod inside;
mod limits;
mod outbound;
mod streams;

use wharf::Config;

use crate::command_line::assert_refused;
use crate::support::guests::{bare, folder, guest};
use crate::support::serving::serve;
use crate::support::{Ask as _, TestHost};

/// A host with the component that speaks `wasi:http` and nothing else.
async fn host(change: impl FnOnce(&mut Config)) -> TestHost {
    TestHost::with(|config| {
        config.components = guest("proxy");
        config.captcha_reveal = false;
        change(config);
    })
    .await
}

/// What the component was told of a request, by the beginning of the line.
fn told<'a>(lines: &'a str, name: &str) -> Option<&'a str> {
    lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_wasi_http_answers_below_its_mount() {
    let host = host(|config| config.throttle.enabled = Some(true)).await;
    let hello = host.get("/proxy/hello").answer().await;
    assert_eq!((hello.status.as_u16(), hello.body.as_str()), (200, "hello"));
    assert_eq!(hello.header("content-length"), "5");
    assert_eq!(hello.header("content-type"), "text/plain");
    assert_eq!(hello.header("x-ratelimit-limit"), "60");
    let head = host.request(reqwest::Method::HEAD, "/proxy/hello").answer().await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), "5");
    // Its own 404 has no body; the host's has one.
    for (path, body) in [("/proxy", ""), ("/proxy/", ""), ("/proxy/none", "")] {
        let answer = host.get(path).answer().await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (404, body), "{path}");
    }
    for path in ["/", "/hello", "/proxyhello"] {
        assert_eq!(host.get(path).answer().await.body, r#"{"message":""}"#, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_sees_paths_below_its_mount_and_every_method() {
    let mounts = [("/proxy", "/proxy/headers?a=%20b", "/proxy"), ("/", "/headers?a=%20b", "")];
    for (mount, path, prefix) in mounts {
        let host = host(|config| {
            config.groups.entry("proxy".into()).or_default().mount = Some(mount.into());
        })
        .await;
        for (method, seen) in [
            ("GET", "Method::Get"),
            ("DELETE", "Method::Delete"),
            ("OPTIONS", "Method::Options"),
            ("PURGE", "Method::Other(\"PURGE\")"),
        ] {
            let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
            let answer = host.request(method, path).answer().await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(told(&answer.body, "method"), Some(seen));
            assert_eq!(told(&answer.body, "target"), Some("/headers?a=%20b"));
            assert_eq!(told(&answer.body, "authority"), Some(host.address().to_string().as_str()));
            assert_eq!(told(&answer.body, "x-forwarded-prefix").unwrap_or_default(), prefix);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_sees_no_secret_of_the_hosts_and_nothing_that_a_client_made_up() {
    let host = TestHost::with(|config| {
        let crates = ["components/auth", "components/captcha", "tests/guests/proxy"];
        config.components = folder("signed-in", &crates);
    })
    .await;
    let token = host.user("alice1").await;
    let ask = |bearer: &str| {
        host.get("/proxy/headers")
            .bearer_auth(bearer)
            .header("cookie", "token=secret")
            .header("forwarded", "for=192.0.2.1")
            .header("x-forwarded-for", "192.0.2.1")
            .header("x-forwarded-prefix", "/elsewhere")
            .header("x-forwarded-proto", "https")
            .header("x-request-id", "made-up")
            .header("te", "trailers")
            .header("accept", "text/plain")
    };
    let answer = ask(&token).answer().await;
    assert!(!answer.body.contains(&token) && !answer.body.contains("secret"), "{answer:?}");
    assert_eq!(told(&answer.body, "authorization"), None);
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-prefix", "/proxy"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", answer.header("x-request-id")),
        ("accept", "text/plain"),
    ] {
        assert_eq!(told(&answer.body, name), Some(value), "{}", answer.body);
    }
    for name in ["cookie", "forwarded", "te", "connection"] {
        assert_eq!(told(&answer.body, name), None, "{}", answer.body);
    }
    // One that is over is of this host's all the same; what is none is the component's own.
    host.clock.advance(30 * 24 * 60 * 60);
    assert_eq!(told(&ask(&token).answer().await.body, "authorization"), None);
    let own = ask("of-its-own").answer().await;
    assert_eq!(told(&own.body, "authorization"), Some("Bearer of-its-own"));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_connection_are_the_hosts() {
    let host = host(|_| {}).await;
    let answer = host.get("/proxy/hop").answer().await;
    assert_eq!(answer.header("x-own"), "1");
    assert_ne!(answer.header("x-request-id"), "mine");
    assert!(!answer.headers.contains_key("te"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_is_a_500() {
    let host = host(|_| {}).await;
    for path in [
        "/proxy/trap/before",
        "/proxy/nothing",
        "/proxy/error",
        "/proxy/status?101",
        "/proxy/status?600",
    ] {
        let answer = host.get(path).answer().await;
        let expected = (500, r#"{"message":"Server Error"}"#);
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), expected, "{path}");
        assert_eq!(host.get("/proxy/hello").answer().await.status, 200, "after {path}");
    }
    assert_eq!(host.get("/proxy/status?418").answer().await.status, 418);
}

#[test]
fn a_mount_is_the_beginning_of_a_path_and_of_wasi_http_components_alone() {
    let cases = [
        ("hello", "mount = \"/hello\"", "remove mount"),
        ("proxy", "mount = \"proxy\"", "no beginning of a path"),
        ("proxy", "mount = \"/proxy/\"", "no beginning of a path"),
        ("proxy", "mount = \"/{proxy}\"", "no beginning of a path"),
        ("proxy", "outbound = [\"http://a.example\"]", "\"api.example.com\""),
        ("proxy", "outbound = [\"*\"]", "no host name"),
        ("proxy", "outbound = [\"*.127.0.0.1\"]", "no names below it"),
        ("proxy", "outbound = [\"a.example:0\"]", "no number from 1 to 65535"),
    ];
    for (name, setting, words) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = folder.path().join("wharf.toml");
        std::fs::write(&settings, format!("[groups.{name}]\n{setting}\n")).expect("a file");
        let mut command = serve(folder.path(), &guest(name));
        assert_refused(command.arg("--config").arg(&settings), &[name, words]);
    }
    // Without a manifest nobody says where its paths begin.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("proxy.wasm"), bare("proxy")).expect("a file");
    assert_refused(
        &mut serve(folder.path(), folder.path()),
        &["mount = \"/proxy\"", "[groups.proxy]"],
    );
}
