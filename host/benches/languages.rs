//! What the same group costs in each language (`tests/guests/coupons`): `cargo bench --bench languages`.
//!
//! Prints for each its size, the time to compile it, and the time of a call that is answered from the cache: in a
//! fresh instance, and in one that is kept for 100 requests. `.ci/languages` installs the toolchains.

#[path = "../../tests/support/guests.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod guests;
#[path = "../../tests/support/languages.rs"]
mod languages;
#[path = "../../tests/support/tools.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod tools;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use languages::Language;
use wharf::app::App;
use wharf::bindings::wharf::plugin::http as wit;
use wharf::compiler::{self, Compiler};
use wharf::identity::Caller;
use wharf::instance::Engine;
use wharf::instance::reuse::Reuse;
use wharf::tenant::package::Package;
use wharf::{Clock, Config};

/// Bytes of a page of linear memory (WebAssembly Core, section 4.2.8).
const PAGE: u64 = 65_536;

/// For how long calls are counted.
const ROUND: Duration = Duration::from_secs(3);

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!(
        "{:<10} {:>9} {:>9} {:>8} {:>8} {:>8} {:>10} {:>10}",
        "language", "component", "compiled", "compile", "load", "memory", "fresh call", "kept call"
    );
    for language in [Language::Rust, Language::C, Language::JavaScript, Language::Python] {
        if let Some(component) = language.component() {
            runtime.block_on(measure(language, &component));
        }
    }
}

async fn measure(language: Language, component: &Path) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = config(language, component, folder.path());
    let bytes = std::fs::read(component).expect("a component");
    let cache = config.cache();
    let compiler =
        Compiler::new(Engine::shared(), &cache, &config.program, config.compile).expect("a cache");
    let started = Instant::now();
    let artifact = compiler.load(&bytes).await.expect("it compiles");
    let compiled = started.elapsed();
    let started = Instant::now();
    compiler.load(&bytes).await.expect("it loads");
    let loaded = started.elapsed();
    let memory = artifact.component.resources_required().and_then(|it| it.max_initial_memory_size);
    let fresh = call(&config).await;
    let kept = call(&reusing(config)).await;
    let sizes = [bytes.len() as u64, size_of_artifact(&cache)];
    let [component, code, memory] = [sizes[0], sizes[1], memory.unwrap_or(0) * PAGE]
        .map(|bytes| format!("{} KiB", bytes / 1024));
    println!(
        "{:<10} {component:>9} {code:>9} {:>8} {:>8} {memory:>8} {:>7.1} µs {:>7.1} µs",
        language.folder(),
        format!("{compiled:.1?}"),
        format!("{loaded:.1?}"),
        fresh.as_secs_f64() * 1e6,
        kept.as_secs_f64() * 1e6,
    );
}

fn config(language: Language, component: &Path, folder: &Path) -> Config {
    let components = folder.join("components");
    std::fs::create_dir(&components).expect("a folder");
    let package = Package::read(&language.source().join("wharf-plugin.toml")).expect("a manifest");
    let component = std::fs::read(component).expect("the component");
    let component = package.put_into(&component).expect("it is a component");
    std::fs::write(components.join("coupons.wasm"), component).expect("the folder is writable");
    let compile = compiler::Config {
        component_bytes: 32 * 1024 * 1024,
        processor_seconds: 120,
        ..compiler::Config::default()
    };
    Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data: folder.join("data"),
        program: guests::program(),
        admin_password: Some("benchmark".into()),
        components,
        compile,
        ..Config::default()
    }
}

fn reusing(mut config: Config) -> Config {
    let group = config.groups.entry("coupons".into()).or_default();
    group.reuse = Some(Reuse::default());
    config
}

/// The mean time of a call, of calls that are answered from the cache.
async fn call(config: &Config) -> Duration {
    let app = App::build(config, Clock::system(), config.listen).await.expect("an app").app;
    let serving = app.tenants.default().serving.load_full();
    let found = serving.router().find("GET", "/api/coupons").expect("the guest has the route");
    let served = &found.route.served;
    let (mut calls, mut started) = (0, Instant::now());
    while started.elapsed() < ROUND {
        let guest =
            served.guest(Caller::Anonymous, config.listen.ip(), "bench".into(), Bytes::new());
        let handled = served.revision.handle(guest, request(found.route.index)).await;
        let (response, _) = handled.expect("the guest answers");
        assert_eq!(response.status, 200);
        calls += 1;
        // The first fill the cache and warm the memory up.
        if calls == 20 {
            started = Instant::now();
        }
    }
    let elapsed = started.elapsed();
    app.close().await;
    elapsed / (calls - 20)
}

fn request(route: u32) -> wit::Request<'static> {
    wit::Request {
        method: "GET",
        origin: "http://localhost",
        path: "/api/coupons",
        query: "",
        route,
        path_parameters: &[],
        headers: &[("host", b"localhost")],
        body: &[],
        client_address: "127.0.0.1",
        request_id: "bench",
        caller: wit::Caller::Anonymous,
    }
}

/// Bytes of the machine code that was kept.
fn size_of_artifact(cache: &Path) -> u64 {
    let entries = std::fs::read_dir(cache).expect("a folder").flatten();
    let code = entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "cwasm"));
    code.map(|entry| entry.metadata().map_or(0, |file| file.len())).sum()
}
