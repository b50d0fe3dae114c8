//! Requests as clients send them, and as attackers do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Ask as _;

/// Clients that ask at the same time.
const CLIENTS: u64 = 32;

/// Of so many requests one is hostile.
const HOSTILE: u64 = 20;

/// What guests do that misbehave: trap, compute, take memory, overflow, answer what is no answer, flood
/// the log, leave transactions open, fill the cache.
pub const ATTACKS: &[&str] = &[
    "/trap",
    "/loop",
    "/grow",
    "/recurse/100000",
    "/status",
    "/split",
    "/large",
    "/log",
    "/random",
    "/transaction",
    "/transaction/trap",
    "/transactions",
    "/fill",
];

/// What clients send that is not HTTP, not all of it, or more than is taken; none waits for an answer.
const BYTES: &[&[u8]] = &[
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    b"GET /api/response_code HTTP/1.1\r\nhost: a\r\nx-half: ",
    b"POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{\"username\":",
    b"POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999999\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n",
];

/// Load on one host.
pub struct Load {
    url: String,
    address: SocketAddr,
    client: Mutex<Client>,
    token: String,
    path: String,
    sent: AtomicU64,
    attacks: AtomicU64,
    /// Microseconds that each answer to a well-behaved client took.
    latencies: Mutex<Vec<u32>>,
}

impl Load {
    /// Signs a user up who has an address.
    pub async fn new(url: &str) -> Arc<Self> {
        let client = Client::new();
        let captcha = client.post(format!("{url}/api/captchas")).answer().await;
        let user = json!({
            "name": "A Name", "username": "customer", "password": "secret-1",
            "password_confirmation": "secret-1", "invitation_code": "welcome",
            "captcha_key": captcha.data()["captcha_key"], "captcha_code": captcha.header("x-captcha-code"),
        });
        let made = client.post(format!("{url}/api/auth/register")).json(&user).answer().await;
        assert_eq!(made.code(), 20001, "{made:?}");
        let signed_in = client.post(format!("{url}/api/auth/login")).json(&user).answer().await;
        let token = signed_in.data()["access_token"].as_str().expect("a token").to_owned();
        let asked = client.post(format!("{url}/api/user_addresses")).bearer_auth(&token);
        let address = asked.json(&address(0)).answer().await.data()["id"].clone();
        Arc::new(Load {
            url: url.to_owned(),
            address: url.trim_start_matches("http://").parse().expect("an address"),
            client: Mutex::new(client),
            token,
            path: format!("/api/user_addresses/{address}"),
            sent: AtomicU64::default(),
            attacks: AtomicU64::default(),
            latencies: Mutex::default(),
        })
    }

    /// Where the host listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Hostile ones among them.
    pub fn attacks(&self) -> u64 {
        self.attacks.load(Ordering::Relaxed)
    }

    /// Closes all connections.
    pub fn hang_up(&self) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Client::new();
    }

    /// What well-behaved clients met in the last round.
    pub fn latencies(&self) -> String {
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.sort_unstable();
        let at = |share: usize| latencies[(latencies.len() - 1) * share / 1000];
        format!("the others' answers took {} µs (median), {} µs (p99)", at(500), at(990))
    }

    /// Sends so many requests and waits for all answers.
    pub async fn send(self: &Arc<Self>, requests: u64) {
        self.sent.store(0, Ordering::Relaxed);
        self.attacks.store(0, Ordering::Relaxed);
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let clients = (0..CLIENTS).map(|_| tokio::spawn(Arc::clone(self).client(requests)));
        for client in clients.collect::<Vec<_>>() {
            client.await.expect("a client ends");
        }
    }

    async fn client(self: Arc<Self>, requests: u64) {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut latencies = Vec::new();
        loop {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            if number >= requests {
                break;
            }
            if number.is_multiple_of(HOSTILE) {
                self.attacks.fetch_add(1, Ordering::Relaxed);
                self.attack(&client, usize::try_from(number / HOSTILE).expect("it fits")).await;
                continue;
            }
            let asked = Instant::now();
            let answer = self.request(&client, number).send().await.expect("an answer");
            let status = answer.status();
            let body = answer.bytes().await.expect("a body");
            assert_eq!(status, StatusCode::OK, "{number}: {}", String::from_utf8_lossy(&body));
            latencies.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).extend(latencies);
    }

    /// What a well-behaved client asks, mostly reading. Nothing of it makes the database grow.
    fn request(&self, client: &Client, number: u64) -> RequestBuilder {
        let url = |path: &str| format!("{}{path}", self.url);
        match number % 100 {
            0 => client.post(url("/api/captchas")),
            // Once in a thousand: hashing a password is most of what a machine would do otherwise.
            1 if number % 1000 == 1 => {
                let inputs = json!({ "username": "customer", "password": "secret-1" });
                client.post(url("/api/auth/login")).json(&inputs)
            }
            1..10 => client.put(url(&self.path)).bearer_auth(&self.token).json(&address(number)),
            10..30 => client.get(url("/api/user_addresses")).bearer_auth(&self.token),
            30..50 => client.get(url("/api/auth/me")).bearer_auth(&self.token),
            _ => client.get(url("/api/response_code")),
        }
    }

    /// What somebody does who means ill; whatever becomes of it.
    async fn attack(&self, client: &Client, number: usize) {
        let kinds = ATTACKS.len() + BYTES.len() + 1;
        let kind = number % kinds;
        if let Some(path) = ATTACKS.get(kind) {
            let answer = client.get(format!("{}{path}", self.url)).answer().await;
            assert!([200, 500].contains(&answer.status.as_u16()), "{path}: {answer:?}");
        } else if let Some(bytes) = BYTES.get(kind - ATTACKS.len()) {
            // Every other client waits for the first bytes of an answer, and is gone in the midst of it.
            self.throw(bytes, (number / kinds).is_multiple_of(2)).await;
        } else {
            let body = vec![b'x'; 2_000_000];
            let answer = client.post(format!("{}/api/auth/login", self.url)).body(body).answer();
            assert_eq!(answer.await.status, StatusCode::PAYLOAD_TOO_LARGE);
        }
    }

    async fn throw(&self, bytes: &[u8], listen: bool) {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        // The host may have closed it by now.
        let _ = stream.write_all(bytes).await;
        if listen {
            // Where no answer comes, since a request is not whole, there is none to wait for.
            let mut first = [0; 100];
            let read = stream.read(&mut first);
            let _ = tokio::time::timeout(Duration::from_millis(50), read).await;
        }
    }
}

/// The inputs of an address.
fn address(number: u64) -> serde_json::Value {
    json!({
        "province": "p", "city": "c", "district": "d", "address": number.to_string(), "zip": "1",
        "contact_name": "n", "contact_phone": "1",
    })
}
