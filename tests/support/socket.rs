//! Bytes on a socket: what no HTTP library sends.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a host may take that answers or closes; one that does neither fails the test instead of hanging it.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A connection whose bytes are sent at once.
pub async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Sends bytes on a connection of their own, and returns all that comes back until the host closes it.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address).await;
    // The host may close before it has read all: that is an answer too.
    let _ = stream.write_all(bytes).await;
    rest(&mut stream).await
}

/// The same, byte by byte.
pub async fn trickle(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address).await;
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    rest(&mut stream).await
}

/// All that comes until the host closes the connection.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset is an end as well; what came before it counts.
    let _ = closed.expect("the host closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The statuses of the answers, in their order.
pub fn statuses(answers: &str) -> Vec<u16> {
    let begins = answers.match_indices("HTTP/1.").map(|(at, begin)| at + begin.len() + 2);
    // Where no number follows, a body speaks of HTTP.
    begins.filter_map(|at| answers.get(at..at + 3)?.parse().ok()).collect()
}
