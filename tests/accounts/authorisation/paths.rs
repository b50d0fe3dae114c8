//! Ways to write a path that a router, a proxy or a component might read differently: none lets anybody
//! in who would be refused otherwise.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::world::World;
use super::{Anonymous, Other, data, rows};
use crate::support::TestHost;

/// Sends a request with the path as it stands, which no library would do; returns the status and the body.
async fn ask(host: &TestHost, method: &str, path: &str, token: Option<&str>) -> (u16, String) {
    let authorization =
        token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{authorization}content-length: 0\r\n\r\n"
    );
    let mut stream = TcpStream::connect(host.address()).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
    (status.unwrap_or_else(|| panic!("no status: {answer}")), body)
}

/// Other ways to write a path.
fn variants(path: &str) -> Vec<String> {
    let last = path.rfind('/').unwrap_or(0);
    let (head, tail) = path.split_at(last);
    let tail = &tail[1..];
    vec![
        format!("/{path}"),
        path.replace('/', "//"),
        format!("{head}//{tail}"),
        format!("{head}/./{tail}"),
        format!("{head}/x/../{tail}"),
        format!("{head}/%2e/{tail}"),
        format!("{head}/x/%2e%2e/{tail}"),
        format!("{head}%2f{tail}"),
        format!("{head}%2F{tail}"),
        format!("{head}\\{tail}"),
        format!("{head}%5c{tail}"),
        format!("{path}/"),
        format!("{path}/."),
        format!("{path};x=1"),
        format!("{head};x/{tail}"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}%0a"),
        format!("{path}.json"),
        format!("{path}?x#y"),
        format!("http://other.example{path}"),
        path.to_uppercase(),
        format!(
            "{head}/%{:02x}{}",
            tail.as_bytes().first().unwrap_or(&b'x'),
            tail.get(1..).unwrap_or_default()
        ),
        format!(
            "{head}/%25{:02x}{}",
            tail.as_bytes().first().unwrap_or(&b'x'),
            tail.get(1..).unwrap_or_default()
        ),
        format!("{head}/%c0%ae{tail}"),
        format!("{head}/\u{ff0e}{tail}").escape_default().to_string(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_to_write_a_path_opens_it() {
    let host = TestHost::on_sqlite().await;
    let database = host.database().await;
    let world = World::new(&host, &database).await;
    let before = data(&database).await;
    // A route that turns away who comes without a token is not to be had by writing its path otherwise.
    for row in rows().iter().filter(|row| !row.admitted.contains(&Anonymous)) {
        for path in variants(&world.fill(row.path)) {
            let (status, body) = ask(&host, row.method, &path, None).await;
            let refused =
                matches!(status, 400 | 401 | 404 | 405) || body.contains("\"status\":false");
            assert!(refused, "{} {path}: {status} {body}", row.method);
        }
    }
    // Nor what belongs to somebody else, by writing whose it is otherwise.
    let token = world.token("store", Other);
    for row in rows().iter().filter(|row| {
        row.realm == "store" && row.path.contains('{') && !row.admitted.contains(&Other)
    }) {
        for path in variants(&world.fill(row.path)) {
            let (status, body) = ask(&host, row.method, &path, token.as_deref()).await;
            let refused = matches!(status, 400 | 404 | 405)
                || body.contains("40003")
                || body.contains("50001")
                || body.contains("10001");
            assert!(refused, "{} {path}: {status} {body}", row.method);
        }
    }
    assert_eq!(data(&database).await, before);
}
