//! A fresh, bounded instance for every request: the reason why Wharf exists.
//!
//! A [`Revision`] is linked once. Each call gets a store of its own, from pooled memory that is
//! zeroed between requests, so that nothing of one request can reach the next.

use std::collections::hash_map::DefaultHasher;
use std::future::Future;
use std::hash::{Hash as _, Hasher as _};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::error::Elapsed;
use wasmtime::component::{Linker, types};
use wasmtime::{
    InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreLimits, StoreLimitsBuilder,
    UpdateDeadline,
};

use crate::bindings::PluginPre;
use crate::bindings::exports::wharf::plugin::handler::Route;
use crate::bindings::wharf::plugin::http::{Request, Response};
use crate::bindings::wharf::plugin::log::Level;
use crate::capabilities::log::Log;
use crate::capabilities::{self, Grant, Guest, Left};
use crate::compiler::Artifact;

/// What one call may take. Every field is a setting in `[limits]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of linear memory; the hard cap of every instance is 64 MiB.
    pub memory_bytes: usize,
    /// Milliseconds that the guest itself may compute, host calls not counted.
    pub compute_milliseconds: u64,
    /// Milliseconds that the whole call may take, host calls included.
    pub call_milliseconds: u64,
    /// Bytes that arguments of all host calls may take in the host's memory at once.
    pub host_call_bytes: usize,
    /// Bytes of a response's body and headers.
    pub response_bytes: usize,
    /// Bytes of log lines, and as many again of standard output and error.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: MOST_MEMORY,
            compute_milliseconds: 2_000,
            call_milliseconds: 30_000,
            host_call_bytes: 32 * 1024 * 1024,
            response_bytes: 16 * 1024 * 1024,
            log_bytes: 64 * 1024,
        }
    }
}

/// The size of a memory slot in the pool.
const MOST_MEMORY: usize = 64 * 1024 * 1024;

/// How often the engine looks whether guests have used up their time.
const TICK: Duration = Duration::from_millis(10);

/// Instances that may be alive at once in this process. A request holds one; the admission of
/// each tenant keeps well below it.
const SLOTS: u32 = 1000;

/// The one engine of this process: types of two engines must never meet.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    compatibility: Arc<str>,
}

impl Engine {
    /// The engine, made on first use together with the thread that counts its time.
    pub fn shared() -> Engine {
        static SHARED: OnceLock<Engine> = OnceLock::new();
        SHARED.get_or_init(Engine::start).clone()
    }

    /// Changes with everything that decides whether compiled code still fits.
    pub fn compatibility(&self) -> &str {
        &self.compatibility
    }

    /// The engine below.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// Makes machine code of a component, for an engine of another process with this configuration.
    ///
    /// # Errors
    /// What is wrong with the component.
    pub fn compile(component: &[u8]) -> Result<Vec<u8>, String> {
        let engine = wasmtime::Engine::new(&configuration());
        let engine = engine.map_err(|error| format!("cannot start the compiler: {error:#}"))?;
        let code = engine.precompile_component(component);
        code.map_err(|error| format!("it is not a valid component: {error:#}"))
    }

    fn start() -> Engine {
        let mut configuration = configuration();
        configuration.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
        let wasmtime = wasmtime::Engine::new(&configuration)
            .expect("the engine's configuration is valid on this machine");
        let mut hasher = DefaultHasher::new();
        wasmtime.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = format!("{:016x}", hasher.finish()).into();
        let ticking = wasmtime.clone();
        // A thread of the operating system's: a task could be starved by the very guests that it stops.
        std::thread::Builder::new()
            .name("epoch".into())
            .spawn(move || {
                loop {
                    std::thread::sleep(TICK);
                    ticking.increment_epoch();
                }
            })
            .expect("the process can start a thread");
        Engine { wasmtime, compatibility }
    }
}

/// Where instances get their memory from.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * 4)
        .total_memories(SLOTS)
        .total_tables(SLOTS * 4)
        .total_stacks(SLOTS)
        .max_memories_per_component(1)
        .max_memory_size(MOST_MEMORY)
        // What most requests touch stays mapped and is zeroed by hand, which is quicker than unmapping it.
        .linear_memory_keep_resident(256 * 1024)
        .table_keep_resident(16 * 1024)
        .async_stack_keep_resident(32 * 1024);
    pool
}

/// What decides which code is taken and how it is compiled.
fn configuration() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        // Slots are not remapped when they change hands between components; see README.md, Measured.
        .memory_init_cow(false)
        .epoch_interruption(true)
        .async_stack_zeroing(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false);
    config
}

/// One version of a component: linked with what its group has been granted, ready to be instantiated.
pub struct Revision {
    pre: PluginPre<Guest>,
    limits: Limits,
}

/// Why a call gave no response, for the log.
#[derive(Debug)]
pub struct CallFailed(pub String);

impl Revision {
    /// Links an artifact with the granted interfaces.
    ///
    /// # Errors
    /// In words, what it imports without a grant, or what it lacks.
    pub fn link(
        engine: &Engine,
        artifact: &Artifact,
        group: &str,
        grants: &[Grant],
        limits: Limits,
    ) -> Result<Self, String> {
        let types = artifact.component.component_type();
        check_imports(engine, &types, grants, group)?;
        check_exports(engine, &types)?;
        let mut linker = Linker::new(engine.wasmtime());
        capabilities::link(&mut linker, grants)
            .map_err(|error| format!("cannot be linked: {error:#}"))?;
        let pre = linker.instantiate_pre(&artifact.component).and_then(PluginPre::new).map_err(
            |error| {
                format!("is built for another world: {error:#}; build it against this wharf's wit/")
            },
        )?;
        Ok(Revision { pre, limits })
    }

    /// What a call of it may take.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Asks the component for its routes.
    pub async fn routes(&self, guest: Guest) -> Result<Vec<Route>, CallFailed> {
        let called = self.call(guest, async |plugin, store| {
            plugin.wharf_plugin_handler().call_routes(store).await
        });
        called.await.map(|(routes, _)| routes)
    }

    /// Has a fresh instance answer one request; gives back what its calls have left for the response.
    pub async fn handle(
        &self,
        guest: Guest,
        request: Request<'_>,
    ) -> Result<(Response, Left), CallFailed> {
        self.call(guest, async |plugin, store| {
            plugin.wharf_plugin_handler().call_handle(store, request).await
        })
        .await
    }

    async fn call<T>(
        &self,
        guest: Guest,
        function: impl AsyncFnOnce(&crate::bindings::Plugin, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<(T, Left), CallFailed> {
        let mut store = self.store(guest);
        let done = in_time(self.limits.call_milliseconds, async {
            let plugin = self.pre.instantiate_async(&mut store).await?;
            function(&plugin, &mut store).await
        })
        .await;
        log_output(store.data_mut());
        match done {
            Ok(Ok(value)) => Ok((value, std::mem::take(&mut store.data_mut().left))),
            Ok(Err(error)) => Err(CallFailed(cause(&error))),
            Err(_) => Err(CallFailed(format!(
                "the call took longer than {} ms (limits.call_milliseconds)",
                self.limits.call_milliseconds
            ))),
        }
    }

    fn store(&self, guest: Guest) -> Store<Guest> {
        let mut store = Store::new(self.pre.engine(), guest);
        store.limiter(|guest| &mut guest.limits);
        store.set_hostcall_fuel(self.limits.host_call_bytes);
        store.set_epoch_deadline(1);
        let most = self.limits.compute_milliseconds;
        let mut ticks = most / u64::try_from(TICK.as_millis()).unwrap_or(1) + 1;
        store.epoch_deadline_callback(move |_| {
            ticks -= 1;
            if ticks == 0 {
                wasmtime::bail!(
                    "the guest computed for longer than {most} ms (limits.compute_milliseconds)"
                );
            }
            // Yielding lets other requests of this thread run in between.
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }
}

/// Bounds a call with all its host calls, which epochs do not interrupt. Most calls never wait, and
/// then need no timer.
async fn in_time<T>(milliseconds: u64, call: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut call = pin!(call);
    match futures_util::poll!(call.as_mut()) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => tokio::time::timeout(Duration::from_millis(milliseconds), call).await,
    }
}

impl Limits {
    /// The caps that the instance itself meets.
    pub fn store(&self) -> StoreLimits {
        StoreLimitsBuilder::new()
            .memory_size(self.memory_bytes.min(MOST_MEMORY))
            .table_elements(20_000)
            .instances(20)
            .tables(20)
            .memories(1)
            .build()
    }
}

/// Standard output and error, line by line.
fn log_output(guest: &mut Guest) {
    if let Some(output) = guest.wasi.output() {
        for line in output.lines() {
            Log::of(guest).line(Level::Info, line);
        }
    }
}

/// The innermost reason first: the outer ones repeat that a function was called.
fn cause(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => format!("{trap}; {error:#}"),
        None => format!("{error:#}"),
    }
}

/// Compares what the component imports with what its group may.
fn check_imports(
    engine: &Engine,
    types: &types::Component,
    grants: &[Grant],
    group: &str,
) -> Result<(), String> {
    for (import, _) in types.imports(engine.wasmtime()) {
        let Some(rest) = import.strip_prefix("wharf:plugin/") else {
            if import.starts_with("wasi:") {
                continue;
            }
            return Err(format!(
                "imports {import}, which wharf does not offer; build it against this wharf's wit/"
            ));
        };
        let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
        if interface == "http" {
            continue;
        }
        let Some(grant) =
            Grant::ALL.into_iter().find(|grant| grant.name() == interface && version == "0.1.0")
        else {
            return Err(format!(
                "imports {import}, which this wharf does not offer; build it against this wharf's wit/"
            ));
        };
        if !grants.contains(&grant) {
            return Err(format!(
                "imports wharf:plugin/{grant}, which group {group} has not been granted: add \"{grant}\" to grants in [groups.{group}], or build it without that import"
            ));
        }
    }
    Ok(())
}

fn check_exports(engine: &Engine, types: &types::Component) -> Result<(), String> {
    let exports: Vec<String> =
        types.exports(engine.wasmtime()).map(|(name, _)| name.to_owned()).collect();
    if exports.iter().any(|export| export == "wharf:plugin/handler@0.1.0") {
        return Ok(());
    }
    let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    Err(format!(
        "does not export wharf:plugin/handler@0.1.0 but {found}: it is built for another world; build it against this wharf's wit/"
    ))
}
