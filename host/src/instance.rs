//! A fresh, bounded instance for every request: the reason why Wharf exists.
//!
//! A [`Revision`] is linked once. Each call gets a store of its own, from pooled memory that is
//! zeroed between requests, so that nothing of one request can reach the next.

mod limits;
mod turns;

use std::collections::hash_map::DefaultHasher;
use std::future::Future;
use std::hash::{Hash as _, Hasher as _};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;
use wasmtime::component::{Component, Linker, types};
use wasmtime::{
    CallHook, InstanceAllocationStrategy, PoolingAllocationConfig, Store, WasmFeatures,
};

use crate::bindings::PluginPre;
use crate::bindings::exports::wharf::plugin::handler::Route;
use crate::bindings::wharf::plugin::http::{Request, Response};
use crate::bindings::wharf::plugin::log::Level;
use crate::capabilities::log::Log;
use crate::capabilities::{self, Grant, Guest, Left};
use crate::compiler::Artifact;
use crate::tenant::Access;
use limits::{CORE_INSTANCES, MOST_ELEMENTS, MOST_INSTANCES, MOST_MEMORY, MOST_TABLES, SLOTS};
use turns::Counted;

pub use limits::{Allocations, Limits};
pub use turns::Turns;

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
                    std::thread::sleep(turns::TICK);
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
    pool.total_component_instances(small(SLOTS))
        .total_core_instances(small(CORE_INSTANCES))
        .total_memories(small(SLOTS))
        .total_tables(small(CORE_INSTANCES))
        .total_stacks(small(SLOTS))
        .max_core_instances_per_component(small(MOST_INSTANCES))
        .max_memories_per_component(1)
        .max_memory_size(MOST_MEMORY)
        .max_tables_per_component(small(MOST_TABLES))
        .table_elements(MOST_ELEMENTS)
        // What most requests touch stays mapped and is zeroed by hand, which is quicker than unmapping it.
        .linear_memory_keep_resident(256 * 1024)
        .table_keep_resident(16 * 1024)
        .async_stack_keep_resident(32 * 1024);
    pool
}

/// A number of few things.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
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
        .wasm_tail_call(false)
        .wasm_features(WasmFeatures::FUNCTION_REFERENCES, false);
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
        access: &Access,
        group: &str,
        limits: Limits,
    ) -> Result<Self, String> {
        let grants = &access.grants.0;
        for grant in imported(engine, artifact)? {
            if !grants.contains(&grant) {
                return Err(format!(
                    "imports wharf:plugin/{grant}, which group {group} has not been granted: {}, or build it without that import",
                    access.remedy(group, grant)
                ));
            }
        }
        let types = artifact.component.component_type();
        check_exports(engine, &types)?;
        check_size(&artifact.component, &limits)?;
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
            Ok(Err(error)) => Err(CallFailed(cause(&error, &store.data().allocations))),
            Err(_) => Err(CallFailed(format!(
                "the call took longer than {} ms (limits.call_milliseconds)",
                self.limits.call_milliseconds
            ))),
        }
    }

    fn store(&self, guest: Guest) -> Store<Guest> {
        let mut store = Store::new(self.pre.engine(), guest);
        let Limits { host_call_bytes, host_calls, handles, compute_milliseconds, .. } = self.limits;
        store.limiter(|guest| &mut guest.allocations);
        store.set_hostcall_fuel(host_call_bytes);
        store.set_max_component_handles(handles);
        let mut calls = 0;
        store.call_hook(move |_, hook| {
            calls += u64::from(matches!(hook, CallHook::CallingHost));
            if calls > host_calls {
                wasmtime::bail!(
                    "the guest called the host more than {host_calls} times (limits.host_calls)"
                );
            }
            Ok(())
        });
        store.set_epoch_deadline(turns::UNSEEN);
        let most = Duration::from_millis(compute_milliseconds);
        store.epoch_deadline_callback(move |store| store.data().group.turns.next(most));
        store
    }
}

/// Bounds a call with all its host calls, which epochs do not interrupt. Most calls never wait, and
/// then need no timer.
async fn in_time<T>(milliseconds: u64, call: impl Future<Output = T>) -> Result<T, Elapsed> {
    let call = pin!(call);
    let mut call = Counted::new(call);
    match futures_util::poll!(&mut call) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => tokio::time::timeout(Duration::from_millis(milliseconds), call).await,
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

/// Why a call failed, in the words of whoever can do something about it: the setting that was met comes
/// first, then the innermost reason, since the outer ones repeat that a function was called.
fn cause(error: &wasmtime::Error, allocations: &Allocations) -> String {
    let trap = error.downcast_ref::<wasmtime::Trap>().map(|trap| format!("{trap}; "));
    let cause = format!("{}{error:#}", trap.unwrap_or_default());
    let too_much_copied = cause.contains("fuel allocated for hostcalls");
    match allocations.refused().or(too_much_copied.then_some("limits.host_call_bytes")) {
        Some(setting) => format!("it asked for more than it may ({setting}); {cause}"),
        None => cause,
    }
}

/// Compares what every instance of the component needs from the start with what it may have.
fn check_size(component: &Component, limits: &Limits) -> Result<(), String> {
    let Some(needs) = component.resources_required() else {
        return Ok(());
    };
    let memory = usize::try_from(needs.max_initial_memory_size.unwrap_or(0)).unwrap_or(usize::MAX);
    let elements = usize::try_from(needs.max_initial_table_size.unwrap_or(0)).unwrap_or(usize::MAX);
    let tables = usize::try_from(needs.num_tables).unwrap_or(usize::MAX);
    let most = [
        ("bytes of memory", memory, "memory_bytes", limits.memory_bytes),
        ("elements in a table", elements, "table_elements", limits.table_elements),
        ("tables", tables, "tables", limits.tables),
    ];
    let over = most.into_iter().find(|(_, needed, _, most)| needed > most);
    over.map_or(Ok(()), |(what, needed, setting, most)| {
        Err(format!("begins with {needed} {what} and may have {most} (limits.{setting}); build it with less, or raise the limit"))
    })
}

/// The interfaces of this wharf's that a component imports, which it needs grants for.
///
/// # Errors
/// In words, what it imports that nobody offers.
pub fn imported(engine: &Engine, artifact: &Artifact) -> Result<Vec<Grant>, String> {
    let types = artifact.component.component_type();
    let mut needed = Vec::new();
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
        let offered =
            Grant::ALL.into_iter().find(|grant| grant.name() == interface && version == "0.1.0");
        needed.push(offered.ok_or_else(|| {
            format!(
                "imports {import}, which this wharf does not offer; build it against this wharf's wit/"
            )
        })?);
    }
    Ok(needed)
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
