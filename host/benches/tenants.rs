//! What a thousand tenants cost: `cargo bench -p wharf --bench tenants`.
//!
//! Each has a group of its own, a component that no other has. Prints the memory that a tenant takes, how
//! long the host takes to start with all of them, and requests per second and the 99th percentile when all are
//! asked evenly, in turn with the same load on one of them. `WHARF_TENANTS` says how many.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use wharf::deploy::Upload;
use wharf::registry::Tenant;
use wharf::tenant::package::Package;
use wharf::{Clock, Config, Host};

const CONNECTIONS: usize = 32;
const ROUND: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;

fn main() {
    let tenants = std::env::var("WHARF_TENANTS")
        .map_or(1_000, |value| value.parse().expect("WHARF_TENANTS is a number"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let components = folder.path().join("guest");
    let built = wharf(&["build", "tests/guests/hello", "--components"]).arg(&components).status();
    assert!(built.is_ok_and(|status| status.success()), "the guest builds");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        deploy(folder.path(), &components, tenants).await;
        measure(folder.path(), &components, tenants).await;
    });
}

fn wharf(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    command.args(arguments).stdout(Stdio::null());
    command
}

/// Makes the tenants, each with a component that differs from all others.
async fn deploy(folder: &Path, components: &Path, tenants: usize) {
    let config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data: folder.join("data"),
        components: components.to_owned(),
        program: PathBuf::from(env!("CARGO_BIN_EXE_wharf")),
        admin_password: Some("benchmark".into()),
        ..Config::default()
    };
    let host = Host::start(config, Clock::system()).await.expect("a host");
    let hello = std::fs::read(components.join("hello.wasm")).expect("the guest");
    let began = Instant::now();
    for number in 0..tenants {
        let name = name(number);
        let deployer = host.deployer();
        deployer.registry().create(&Tenant::new(&name)).await.expect("a tenant");
        deployer.tenant_changed(&name).await.expect("it serves");
        let manifest = format!("group = \"hello\"\ngrants = [\"log\"]\n# {name}\n");
        let package = Package { manifest, migrations: Vec::new() };
        let component = package.put_into(&hello).expect("a component");
        let upload = Upload {
            tenant: name,
            group: None,
            component: Bytes::from(component),
            signature: None,
            base: None,
            canary: None,
            who: "benchmark".into(),
            source: "benchmark".into(),
        };
        deployer.deploy(upload, |_| ()).await.expect("it is deployed");
    }
    let each = began.elapsed() / u32::try_from(tenants).expect("not so many");
    println!("{tenants} tenants made, each with a component of its own: {each:.0?} each");
    host.shutdown().await;
}

fn name(number: usize) -> String {
    format!("t{number}")
}

async fn measure(folder: &Path, components: &Path, tenants: usize) {
    // Somebody who asks as fast as this is turned away by default, and so is a tenant that is asked so.
    std::fs::write(folder.join("wharf.toml"), "throttle.enabled = false\n").expect("a file");
    let (empty, _) = started(folder, components, &folder.join("empty"), None).await;
    let least = empty.resident();
    drop(empty);
    let (serving, took) = started(folder, components, &folder.join("data"), Some(0)).await;
    let resident = serving.resident();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = (resident - least) as f64 / 1024.0 / tenants as f64;
    println!("start to the first answer with {tenants} tenants: {took:.0?}");
    println!("resident memory: {each:.0} KiB a tenant before it is asked for the first time");
    let (mut rates, mut tails) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let one = load(serving.address, 1).await;
        let all = load(serving.address, tenants).await;
        // The first round warms both up.
        if round > 0 {
            println!(
                "hello, {CONNECTIONS} connections: one tenant {:.0} req/s, p99 {:.0?}; {tenants} tenants evenly {:.0} req/s, p99 {:.0?}",
                one.rate, one.p99, all.rate, all.p99
            );
            rates.push(all.rate / one.rate);
            tails.push(all.p99.as_secs_f64() / one.p99.as_secs_f64());
        }
    }
    rates.sort_by(f64::total_cmp);
    tails.sort_by(f64::total_cmp);
    println!(
        "{tenants} tenants evenly against one: {:.2} of the requests per second, {:.2} of the p99 (medians of {ROUNDS})",
        rates[ROUNDS / 2],
        tails[ROUNDS / 2]
    );
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = (serving.resident() - least) as f64 / 1024.0 / tenants as f64;
    println!("resident memory: {each:.0} KiB a tenant after the load");
}

/// What a load was answered like.
struct Answered {
    rate: f64,
    p99: Duration,
}

/// Asks so many tenants evenly, over kept connections, for a while.
async fn load(address: SocketAddr, tenants: usize) -> Answered {
    let began = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|client| tokio::spawn(ask(address, client, tenants, began + ROUND)))
        .collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.expect("a client ends").expect("every request is answered"));
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let rate = times.len() as f64 / began.elapsed().as_secs_f64();
    times.sort();
    Answered { rate, p99: times[times.len() * 99 / 100] }
}

async fn ask(
    address: SocketAddr,
    client: usize,
    tenants: usize,
    until: Instant,
) -> std::io::Result<Vec<Duration>> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.get_ref().set_nodelay(true)?;
    let (mut times, mut turn) = (Vec::new(), client * tenants / CONNECTIONS);
    while Instant::now() < until {
        let asked = Instant::now();
        answer(&mut stream, turn % tenants).await?;
        times.push(asked.elapsed());
        turn += 1;
    }
    Ok(times)
}

/// Asks a tenant, and reads the answer to its end: a 200 with a `content-length`.
async fn answer(stream: &mut BufReader<TcpStream>, tenant: usize) -> std::io::Result<()> {
    let request = format!("GET /hello HTTP/1.1\r\nhost: {}.localhost\r\n\r\n", name(tenant));
    stream.get_mut().write_all(request.as_bytes()).await?;
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).await?;
    if !line.starts_with("HTTP/1.1 200") {
        return Err(std::io::Error::other(line));
    }
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await?;
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map(drop)
}

/// A host that ends with the benchmark.
struct Serving {
    child: Child,
    address: SocketAddr,
}

impl Serving {
    /// Bytes.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the host is alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let value = line.and_then(|value| value.split_whitespace().next());
        value.and_then(|value| value.parse::<u64>().ok()).expect("a figure") * 1024
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the real program; also says how long it took until a tenant, or anybody, answered.
async fn started(
    folder: &Path,
    components: &Path,
    data: &Path,
    tenant: Option<usize>,
) -> (Serving, Duration) {
    let free = TcpListener::bind("127.0.0.1:0").await.and_then(|free| free.local_addr());
    let address = free.expect("a free port");
    let mut command = wharf(&["serve", "--log", "error"]);
    command.args(["--listen", &address.to_string()]).arg("--components").arg(components);
    command.arg("--data").arg(data).arg("--config").arg(folder.join("wharf.toml"));
    let began = Instant::now();
    let child = command.spawn().expect("the host starts");
    let serving = Serving { child, address };
    loop {
        let answered = async {
            let mut stream = BufReader::new(TcpStream::connect(address).await?);
            match tenant {
                Some(tenant) => answer(&mut stream, tenant).await,
                None => Ok(()),
            }
        };
        if answered.await.is_ok() {
            return (serving, began.elapsed());
        }
        assert!(began.elapsed() < Duration::from_mins(2), "the host starts");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
