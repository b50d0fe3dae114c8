//! Clients that are gone in the midst of something: what they held comes back.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::load::Load;
use super::{baseline, process, start, until};

/// Clients that vanish at once, in each way.
const CLIENTS: usize = 50;

/// What a client sends before it vanishes, and how many bytes of an answer it waits for.
const WAYS: &[(&str, &[u8], usize)] = &[
    ("without a word", b"", 0),
    ("in the head", b"GET /api/response_code HTTP/1.1\r\nhost: a\r\nx-half: ", 0),
    (
        "in the body",
        b"POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n",
        25,
    ),
    ("while a guest computes", b"GET /loop HTTP/1.1\r\nhost: a\r\n\r\n", 0),
    ("while a guest writes", b"POST /api/auth/login?username=customer&password=secret-1 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", 0),
    ("with a transaction open", b"GET /transaction HTTP/1.1\r\nhost: a\r\n\r\n", 0),
    ("in the answer", b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n", 1000),
    ("in HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 9),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_held_that_vanish_comes_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let serving = start(folder.path(), "");
    let fresh = process::look(&serving).await;
    let load = Load::new(&serving.url).await;
    // As many at once as there will be, so that pools are as full as they get.
    load.send(500).await;
    let baseline = baseline(&serving, &load, &fresh).await;
    for (way, bytes, answer) in WAYS {
        for reset in [false, true] {
            let clients = (0..CLIENTS).map(|_| async {
                let mut stream = TcpStream::connect(load.address()).await.expect("a connection");
                stream.write_all(bytes).await.expect("the bytes are sent");
                stream.read_exact(&mut vec![0; *answer]).await.expect("an answer begins");
                if reset {
                    stream.set_zero_linger().expect("a socket option");
                }
                stream
            });
            let clients = join_all(clients).await;
            until(&serving, &format!("connected, to vanish {way}"), |sample| {
                sample.sockets >= baseline.sockets + CLIENTS
            })
            .await;
            drop(clients);
            until(&serving, &format!("vanished {way}, with a reset: {reset}"), |sample| {
                sample.has_nothing_in_hand() && sample.descriptors <= baseline.descriptors
            })
            .await;
        }
    }
    load.send(100).await;
    let (code, printed) = serving.stop("TERM");
    assert_eq!(code, Some(0), "{printed}");
}
