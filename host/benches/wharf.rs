//! What a sandbox costs, measured against none: `cargo bench`.
//!
//! Prints the time of a fresh instance with its call, the requests per second of a small component
//! through the whole host beside a bare hyper handler in the same run, and the memory of a host
//! that serves the built-in components. Ratios travel between machines; absolute figures do not.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use wharf::app::App;
use wharf::bindings::wharf::plugin::http as wit;
use wharf::identity::Caller;
use wharf::{Clock, Config, Host};

const CONNECTIONS: usize = 32;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
const CALLS: usize = 50_000;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let guest = folder.path().join("guest");
    build(&["tests/guests/hello", "tests/guests/proxy"], &guest);
    let config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        admin: wharf::admin::Config { listen: None, ..Default::default() },
        data: folder.path().join("data"),
        components: guest,
        program: PathBuf::from(env!("CARGO_BIN_EXE_wharf")),
        admin_password: Some("benchmark".into()),
        throttle: wharf::admission::throttle::Config { enabled: Some(false), ..Default::default() },
        ..Config::default()
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        calls(&config).await;
        throughput(config.clone()).await;
        neighbours(config, folder.path()).await;
        memory(folder.path()).await;
    });
}

/// The repository's root, whose relative paths the command line uses.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn wharf(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.current_dir(root()).args(arguments).stdout(Stdio::null());
    command
}

fn build(folders: &[&str], into: &Path) {
    let status = wharf(&["build"]).args(folders).arg("--components").arg(into).status();
    assert!(status.is_ok_and(|status| status.success()), "the guests build");
}

/// Fresh instance and call, one after the other, without HTTP.
async fn calls(config: &Config) {
    let built = App::build(config, Clock::system(), config.listen).await.expect("an app");
    let app = built.app;
    let serving = app.tenants.default().serving.load_full();
    let found = serving.router().find("GET", "/hello").expect("the guest has the route");
    let served = &found.route.served;
    let request = request();
    let mut batches = Vec::new();
    for _ in 0..10 {
        let started = Instant::now();
        for _ in 0..CALLS / 10 {
            let guest =
                served.guest(Caller::Anonymous, config.listen.ip(), "bench".into(), Bytes::new());
            let handled = served.revision.handle(guest, request.clone()).await;
            let (response, _) = handled.expect("the guest answers");
            assert_eq!(response.status, 200);
        }
        batches.push(started.elapsed() / u32::try_from(CALLS / 10).expect("a small number"));
    }
    tell("fresh instance + call", batches);
    let found = serving.router().find("GET", "/proxy/hello").expect("the guest is mounted");
    let served = &found.route.served;
    let proxy = served.revision.proxy().expect("a component of wasi:http");
    let mut batches = Vec::new();
    for _ in 0..10 {
        let started = Instant::now();
        for _ in 0..CALLS / 10 {
            let guest =
                served.guest(Caller::Anonymous, config.listen.ip(), "bench".into(), Bytes::new());
            let body = Empty::new().map_err(|never: Infallible| match never {});
            let mut request = Request::new(body);
            *request.uri_mut() = "http://localhost/hello".parse().expect("a URL");
            let answer = proxy.answer(guest, request, ()).await.expect("the guest answers");
            assert_eq!(answer.status(), 200);
        }
        batches.push(started.elapsed() / u32::try_from(CALLS / 10).expect("a small number"));
    }
    tell("the same of a wasi:http component", batches);
}

fn tell(what: &str, mut batches: Vec<Duration>) {
    batches.sort();
    println!(
        "{what}: {:.2} µs (median of 10 batches; {:.2} to {:.2})",
        micros(batches[5]),
        micros(batches[0]),
        micros(batches[9])
    );
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn request() -> wit::Request<'static> {
    wit::Request {
        method: "GET",
        origin: "http://localhost",
        path: "/hello",
        query: "",
        route: 0,
        path_parameters: &[],
        headers: &[("host", b"localhost")],
        body: &[],
        client_address: "127.0.0.1",
        request_id: "bench",
        caller: wit::Caller::Anonymous,
    }
}

/// Requests per second, in turn with a hyper handler that answers the same at once.
async fn throughput(config: Config) {
    let host = Host::start(config, Clock::system()).await.expect("a host");
    let bare = bare().await;
    let (mut ratios, mut of_proxy) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let baseline = load(bare, "/hello").await;
        let measured = load(host.address(), "/hello").await;
        let proxied = load(host.address(), "/proxy/hello").await;
        // The first round warms both up.
        if round > 0 {
            println!(
                "hello, {CONNECTIONS} connections: wharf {measured:.0} req/s, bare hyper {baseline:.0} req/s, ratio {:.2}",
                measured / baseline
            );
            println!("the same of a wasi:http component: {proxied:.0} req/s");
            ratios.push(measured / baseline);
            of_proxy.push((proxied / baseline, proxied / measured));
        }
    }
    ratios.sort_by(f64::total_cmp);
    of_proxy.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (of_bare, of_plugin) = of_proxy[ROUNDS / 2];
    println!(
        "hello of a wasi:http component: {of_bare:.2} of a bare hyper handler, {of_plugin:.2} of wharf:plugin (median of {ROUNDS})"
    );
    println!(
        "hello through the whole host: {:.2} of a bare hyper handler (median of {ROUNDS})",
        ratios[ROUNDS / 2]
    );
    host.shutdown().await;
}

/// How long the answers of a well-behaved component take while others compute without end, and how
/// long after its limit such a one is stopped.
async fn neighbours(mut config: Config, folder: &Path) {
    const LIMIT: Duration = Duration::from_secs(1);
    build(&["tests/guests/hello", "tests/guests/hostile"], &folder.join("neighbours"));
    config.components = folder.join("neighbours");
    config.limits.compute_milliseconds = 1_000;
    let host = Host::start(config, Clock::system()).await.expect("a host");
    let address = host.address();
    let mut over = Vec::new();
    for _ in 0..5 {
        let asked = Instant::now();
        stopped(address).await;
        over.push(asked.elapsed().saturating_sub(LIMIT));
    }
    over.sort();
    println!("endless component: stopped {:.1?} after its limit (worst of 5)", over[4]);
    let mut ratios = Vec::new();
    for round in 0..=ROUNDS {
        let alone = apart(latencies(address)).await;
        let endless: Vec<_> = (0..4).map(|_| tokio::spawn(stopped(address))).collect();
        let beside = apart(latencies(address)).await;
        for endless in endless {
            endless.await.expect("it is stopped");
        }
        if round > 0 {
            let ratio = beside.1.as_secs_f64() / alone.1.as_secs_f64();
            println!(
                "hello, 8 connections: p50 {:.0?}, p99 {:.0?}; beside 4 endless components p50 {:.0?}, p99 {:.0?}, ratio of p99 {ratio:.2}",
                alone.0, alone.1, beside.0, beside.1
            );
            ratios.push(ratio);
        }
    }
    ratios.sort_by(f64::total_cmp);
    println!("p99 beside endless components: {:.2} of that without (median)", ratios[ROUNDS / 2]);
    host.shutdown().await;
}

/// Runs what measures on a thread of its own: on the host's threads it would measure itself.
async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    tokio::task::spawn_blocking(move || runtime.block_on(work)).await.expect("the work ends")
}

/// Asks a component that computes without end, and waits for the 500.
async fn stopped(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = "GET /loop HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("a request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
}

/// The median and the 99th percentile of how long answers take over 8 connections.
async fn latencies(address: SocketAddr) -> (Duration, Duration) {
    let until = Instant::now() + ROUND;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(async move {
                let stream = TcpStream::connect(address).await.expect("a connection");
                stream.set_nodelay(true).expect("a socket option");
                let mut stream = BufReader::new(stream);
                let mut times = Vec::new();
                while Instant::now() < until {
                    let asked = Instant::now();
                    let request = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";
                    stream.get_mut().write_all(request).await.expect("a request is sent");
                    read_answer(&mut stream).await.expect("an answer");
                    times.push(asked.elapsed());
                    // A steady load, and not all that the machine can bear.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.expect("a client ends"));
    }
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

async fn bare() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let server = Arc::new(auto::Builder::new(TokioExecutor::new()));
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket option");
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let service = service_fn(|_: Request<hyper::body::Incoming>| async {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
                });
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// Asks over kept connections for a while and returns the answers per second.
async fn load(address: SocketAddr, path: &str) -> f64 {
    let started = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(client(address, path.to_owned(), started + ROUND)))
        .collect();
    let mut answers = 0;
    for client in clients {
        answers += client.await.expect("a client ends").expect("every request is answered");
    }
    f64::from(answers) / started.elapsed().as_secs_f64()
}

async fn client(address: SocketAddr, path: String, until: Instant) -> std::io::Result<u32> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.get_ref().set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut answers = 0;
    while Instant::now() < until {
        stream.get_mut().write_all(request.as_bytes()).await?;
        read_answer(&mut stream).await?;
        answers += 1;
    }
    Ok(answers)
}

/// Reads one answer to its end: a 200 with a `content-length`.
async fn read_answer(stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    use tokio::io::AsyncBufReadExt as _;
    let mut length = 0;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map(drop)
}

/// How long the real program with the built-in components takes to its first answer, and its resident
/// memory, idle after 10,000 requests.
async fn memory(folder: &Path) {
    let components = folder.join("components");
    build(&[], &components);
    // A single client asks more often than anybody may by default.
    let settings = folder.join("wharf.toml");
    std::fs::write(&settings, "throttle.enabled = false\n").expect("the folder is writable");
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .and_then(|free| free.local_addr())
        .expect("a free port");
    let mut serving = Serving(serve(folder, &components, port));
    // The first start compiles the components; the figures are those of every later one.
    until_ready(port).await;
    let mut starts = Vec::new();
    for _ in 0..5 {
        drop(serving);
        let started = Instant::now();
        serving = Serving(serve(folder, &components, port));
        until_ready(port).await;
        starts.push(started.elapsed());
    }
    starts.sort();
    println!(
        "start of the built-in components to the first answer: {:.0?} (median of 5; at most {:.0?})",
        starts[2], starts[4]
    );
    let mut stream = BufReader::new(TcpStream::connect(port).await.expect("a connection"));
    for turn in 0..10_000 {
        let request = match turn % 10 {
            0 => "POST /api/captchas HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n",
            1 => {
                "POST /api/auth/login?username=nobody HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"
            }
            _ => "GET /api/response_code HTTP/1.1\r\nhost: localhost\r\n\r\n",
        };
        stream.get_mut().write_all(request.as_bytes()).await.expect("a request is sent");
        read_answer(&mut stream).await.expect("an answer");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.0.id()))
        .expect("the host is alive");
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|value| value.split_whitespace().next());
    let kibibytes: f64 = resident.and_then(|value| value.parse().ok()).expect("a figure");
    println!(
        "resident memory with the built-in components after 10,000 requests: {:.0} MiB",
        kibibytes / 1024.0
    );
}

/// A host that ends with the benchmark.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(folder: &Path, components: &Path, address: SocketAddr) -> Child {
    let mut command = wharf(&["serve"]);
    command
        .args(["--listen", &address.to_string(), "--admin", "off", "--log", "error"])
        .arg("--components")
        .arg(components)
        .arg("--data")
        .arg(folder.join("served"))
        .arg("--config")
        .arg(folder.join("wharf.toml"));
    command.spawn().expect("the host starts")
}

/// Until a component of it has answered.
async fn until_ready(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while first_answer(address).await.is_err() {
        assert!(Instant::now() < deadline, "the host starts within a minute");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn first_answer(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let request = b"GET /api/response_code HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.get_mut().write_all(request).await?;
    read_answer(&mut stream).await
}
