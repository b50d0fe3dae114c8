//! Two people who deploy the same group at once: the command tells the one who comes second.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{asks, greets, token};
use crate::support::raw::saying;
use crate::support::{TestHost, guests};

/// Hands everything on to the admin API, and has somebody else deploy before an upload begins.
async fn in_between(host: &TestHost, listener: TcpListener) {
    let admin = host.admin_origin();
    let admin: SocketAddr = admin.trim_start_matches("http://").parse().expect("an address");
    loop {
        let (client, _) = listener.accept().await.expect("a connection");
        let (mut from_client, mut to_client) = client.into_split();
        let server = TcpStream::connect(admin).await.expect("the admin API");
        let (mut from_server, mut to_server) = server.into_split();
        let back = tokio::io::copy(&mut from_server, &mut to_client);
        let there = async {
            let mut piece = vec![0; 64 * 1024];
            loop {
                let read = from_client.read(&mut piece).await.unwrap_or(0);
                if piece[..read].starts_with(b"POST ") {
                    greets(host, "acme", "theirs").await;
                }
                if read == 0 || to_server.write_all(&piece[..read]).await.is_err() {
                    break;
                }
            }
            let _ = to_server.shutdown().await;
        };
        let _ = tokio::join!(back, there);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_by_command_says_what_it_has_seen() {
    let host = TestHost::on_sqlite().await;
    host.tenant("acme").await;
    greets(&host, "acme", "old").await;
    let token = token(&host, "acme").await;
    let file = host.folder().join("greet.wasm");
    std::fs::write(&file, saying("greet", "mine", 200)).expect("the folder is writable");
    let command = |url: &str| {
        let mut command = tokio::process::Command::from(guests::wharf());
        command.arg("deploy").arg(&file).args(["--tenant", "acme", "--group", "greet"]);
        command.env("WHARF_HOST", url).env("WHARF_TOKEN", &token).kill_on_drop(true);
        command
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let told = tokio::select! {
        told = async { command(&url).output().await } => told.expect("wharf runs"),
        () = in_between(&host, listener) => unreachable!("it goes on"),
    };
    let error = String::from_utf8_lossy(&told.stderr);
    assert_eq!(told.status.code(), Some(1), "{error}");
    assert!(error.contains("group greet of tenant acme was changed since you began"), "{error}");
    assert!(error.contains("deployed by operator, revision 2"), "{error}");
    assert!(error.contains("wharf revisions greet --tenant acme"), "{error}");
    assert_eq!(asks(&host, "acme", "/greet").await.body, "theirs");
    // Whoever has looked at it may deploy.
    let done = command(&host.admin_origin()).output().await.expect("wharf runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(asks(&host, "acme", "/greet").await.body, "mine");
}
