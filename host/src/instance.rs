//! A fresh, bounded instance for every request: the reason why Wharf exists.
//!
//! A [`Revision`] is linked once. Each call gets a store of its own, from pooled memory that is
//! zeroed between requests, so that nothing of one request can reach the next.

mod failed;
mod limits;
pub mod middleware;
pub mod proxy;
pub mod reuse;
mod turns;

use std::collections::hash_map::DefaultHasher;
use std::future::Future;
use std::hash::{Hash as _, Hasher as _};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;
use wasmtime::component::{Component, Linker, types};
use wasmtime::{
    CallHook, InstanceAllocationStrategy, PoolingAllocationConfig, Store, WasmBacktraceDetails,
    WasmFeatures,
};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::bindings::PluginPre;
use crate::bindings::exports::wharf::plugin::handler::Route;
use crate::bindings::wharf::plugin::http::{Request, Response};
use crate::bindings::wharf::plugin::log::Level;
use crate::bindings::wrapping::WrappingPre;
use crate::capabilities::log::Log;
use crate::capabilities::{self, Grant, Guest, Left};
use crate::compiler::Artifact;
use crate::tenant::Access;
use crate::tenant::manifest::Manifest;
use limits::{
    CORE_INSTANCES, MOST_ELEMENTS, MOST_INSTANCES, MOST_KEPT, MOST_MEMORY, MOST_TABLES, SLOTS,
};
use reuse::{Instance, Kept, Reuse, Room};
use turns::Counted;

pub use failed::CallFailed;
pub use limits::{Allocations, Limits};
pub use proxy::Proxy;
pub use turns::Turns;

/// The one engine of this process, and of those that test components another: types of two engines must
/// never meet.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    compatibility: Arc<str>,
    costs: Costs,
}

/// Whether code counts what it costs, which makes it slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Costs {
    /// It does, in units of wasmtime's fuel: the same each time for the same code and input.
    Counted,
    /// It does not.
    Uncounted,
}

impl Engine {
    /// The engine, made on first use together with the thread that counts its time.
    pub fn shared() -> Engine {
        static SHARED: OnceLock<Engine> = OnceLock::new();
        SHARED.get_or_init(|| Engine::start(Costs::Uncounted)).clone()
    }

    /// The engine of hosts that count what calls cost.
    pub fn counting() -> Engine {
        static COUNTING: OnceLock<Engine> = OnceLock::new();
        COUNTING.get_or_init(|| Engine::start(Costs::Counted)).clone()
    }

    /// Whether its code counts what it costs.
    pub fn costs(&self) -> Costs {
        self.costs
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
    pub fn compile(component: &[u8], costs: Costs) -> Result<Vec<u8>, String> {
        let engine = wasmtime::Engine::new(&configuration(costs));
        let engine = engine.map_err(|error| format!("cannot start the compiler: {error:#}"))?;
        let code = engine.precompile_component(component);
        code.map_err(|error| format!("it is not a valid component: {error:#}"))
    }

    fn start(costs: Costs) -> Engine {
        let mut configuration = configuration(costs);
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
        Engine { wasmtime, compatibility, costs }
    }
}

/// Where instances get their memory from.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    let (slots, core_instances) = (SLOTS + MOST_KEPT, CORE_INSTANCES + MOST_KEPT * MOST_INSTANCES);
    pool.total_component_instances(small(slots))
        .total_core_instances(small(core_instances))
        .total_memories(small(slots))
        .total_tables(small(core_instances))
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
fn configuration(costs: Costs) -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .consume_fuel(costs == Costs::Counted)
        // Slots are not remapped when they change hands between components; see README.md, Measured.
        .memory_init_cow(false)
        // The compiler's child has read what there is of it, under limits, and no host reads a stranger's.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(failed::FRAMES))
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
    kind: Kind,
    /// What it exports that wraps other groups.
    wrapping: Option<WrappingPre<Guest>>,
    limits: Limits,
    /// Instances that answer again, where the group asks for it.
    kept: Option<Kept>,
}

/// What a component answers requests with.
#[derive(Clone)]
enum Kind {
    /// `wharf:plugin/handler`
    Plugin(PluginPre<Guest>),
    /// `wasi:http/incoming-handler`
    Proxy(Proxy),
    /// It answers none, and only wraps other groups.
    Wrapping,
}

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
        let exports = exports(engine, &types)?;
        check_size(&artifact.component, &limits)?;
        let mut linker = Linker::new(engine.wasmtime());
        capabilities::link(&mut linker, grants)
            .map_err(|error| format!("cannot be linked: {error:#}"))?;
        if !matches!(exports.answers, Answers::Proxy) {
            check_unmounted(access, group)?;
        }
        let other_world = |error| exports.other_world(&error);
        let pre = linker.instantiate_pre(&artifact.component).map_err(other_world)?;
        let wrapping = exports.wrapping.then(|| WrappingPre::new(pre.clone())).transpose();
        let wrapping = wrapping.map_err(other_world)?;
        let kind = match exports.answers {
            Answers::Handler => Kind::Plugin(PluginPre::new(pre).map_err(other_world)?),
            Answers::Proxy => {
                let pre = ProxyPre::new(pre).map_err(other_world)?;
                Kind::Proxy(Proxy::new(pre, mount(access, group)?, limits)?)
            }
            Answers::None => Kind::Wrapping,
        };
        Ok(Revision { kind, wrapping, limits, kept: None })
    }

    /// The same for one tenant's group, whose instances may answer several of its requests. Those of a
    /// `wasi:http` component answer one each.
    #[must_use]
    pub fn reusing(&self, reuse: Reuse, room: Room) -> Self {
        let Revision { kind, wrapping, limits, .. } = self;
        let (kind, wrapping) = (kind.clone(), wrapping.clone());
        Revision { kind, wrapping, limits: *limits, kept: Kept::new(reuse, room) }
    }

    /// What a call of it may take.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Itself, if it is a `wasi:http` component, whose requests and answers are streamed.
    pub fn proxy(&self) -> Option<&Proxy> {
        match &self.kind {
            Kind::Proxy(proxy) => Some(proxy),
            Kind::Plugin(_) | Kind::Wrapping => None,
        }
    }

    /// Asks the component for its routes, unless it is mounted; one that only wraps other groups has none.
    pub async fn routes(&self, guest: Guest) -> Result<Vec<Route>, CallFailed> {
        match &self.kind {
            Kind::Plugin(_) => {}
            Kind::Proxy(proxy) => return Ok(proxy.routes()),
            Kind::Wrapping => return Ok(Vec::new()),
        }
        let called = self.call(guest, async |plugin, store| {
            plugin.wharf_plugin_handler().call_routes(store).await
        });
        called.await.map(|(routes, _)| routes)
    }

    /// Has a fresh instance answer a request that no client has sent, and tells the status of its answer.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn status_of(&self, guest: Guest, request: Request<'_>) -> Result<u16, CallFailed> {
        match self.proxy() {
            Some(proxy) => proxy.status_of(guest, &request).await,
            None => self.handle(guest, request).await.map(|(response, _)| response.status),
        }
    }

    /// Has a fresh instance answer one request, or one that was kept; gives back what its calls have left for
    /// the response.
    pub async fn handle(
        &self,
        guest: Guest,
        request: Request<'_>,
    ) -> Result<(Response, Left), CallFailed> {
        if let (Some(kept), Kind::Plugin(pre)) = (&self.kept, &self.kind) {
            // Boxed, since its state would be moved about with that of every other request.
            return Box::pin(self.handle_again(kept, pre, guest, request)).await;
        }
        self.call(guest, async |plugin, store| {
            plugin.wharf_plugin_handler().call_handle(store, request).await
        })
        .await
    }

    async fn handle_again(
        &self,
        kept: &Kept,
        pre: &PluginPre<Guest>,
        guest: Guest,
        request: Request<'_>,
    ) -> Result<(Response, Left), CallFailed> {
        let mut instance = if let Some(mut instance) = kept.take() {
            instance.serve(guest);
            bound(&mut instance.store, &self.limits);
            instance
        } else {
            Instance::new(store(pre.engine(), &self.limits, guest))
        };
        let Instance { store, plugin, .. } = &mut instance;
        let done = in_time(self.limits.call_milliseconds, async {
            let plugin = match plugin {
                Some(plugin) => plugin,
                None => plugin.insert(pre.instantiate_async(&mut *store).await?),
            };
            plugin.wharf_plugin_handler().call_handle(&mut *store, request).await
        })
        .await;
        let answered = self.finish(done, store)?;
        // Whoever answers that something went wrong may not be well.
        if (200..500).contains(&answered.0.status) {
            kept.give_back(instance);
        }
        Ok(answered)
    }

    async fn call<T>(
        &self,
        guest: Guest,
        function: impl AsyncFnOnce(&crate::bindings::Plugin, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<(T, Left), CallFailed> {
        let Kind::Plugin(pre) = &self.kind else {
            return Err(CallFailed::guests("it does not export wharf:plugin/handler"));
        };
        let mut store = store(pre.engine(), &self.limits, guest);
        let done = in_time(self.limits.call_milliseconds, async {
            let plugin = pre.instantiate_async(&mut store).await?;
            function(&plugin, &mut store).await
        })
        .await;
        self.finish(done, &mut store)
    }

    /// What came of a call.
    fn finish<T>(
        &self,
        done: Result<wasmtime::Result<T>, Elapsed>,
        store: &mut Store<Guest>,
    ) -> Result<(T, Left), CallFailed> {
        log_output(store.data_mut());
        let value = settled(&self.limits, store, done)?;
        Ok((value, left(store)))
    }
}

/// What came of a call, in words if it failed.
fn settled<T>(
    limits: &Limits,
    store: &Store<Guest>,
    done: Result<wasmtime::Result<T>, Elapsed>,
) -> Result<T, CallFailed> {
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(CallFailed::of(&error, store.data())),
        Err(_) => Err(took_too_long(limits)),
    }
}

fn took_too_long(limits: &Limits) -> CallFailed {
    let most = limits.call_milliseconds;
    CallFailed::guests(format!("the call took longer than {most} ms (limits.call_milliseconds)"))
}

/// What one call's instance lives in.
fn store(engine: &wasmtime::Engine, limits: &Limits, guest: Guest) -> Store<Guest> {
    let mut store = Store::new(engine, guest);
    bound(&mut store, limits);
    store
}

/// What a call has left for the host to make of the response.
fn left(store: &mut Store<Guest>) -> Left {
    let mut left = std::mem::take(&mut store.data_mut().left);
    if store.data().group.shared.costs == Costs::Counted {
        left.fuel = store.get_fuel().ok().map(|rest| FUEL - rest);
    }
    left
}

/// The fuel that a call begins with where it is counted: more than anybody can use.
const FUEL: u64 = u64::MAX;

/// Bounds what the next call may take.
fn bound(store: &mut Store<Guest>, limits: &Limits) {
    let Limits { host_call_bytes, host_calls, handles, compute_milliseconds, .. } = *limits;
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
    if store.data().group.shared.costs == Costs::Counted {
        store.set_fuel(FUEL).expect("the engine counts");
    }
    store.set_epoch_deadline(turns::UNSEEN);
    let most = Duration::from_millis(compute_milliseconds);
    store.epoch_deadline_callback(move |store| store.data().group.turns.next(most));
}

/// Bounds a call with all its host calls, which epochs do not interrupt, and counts what it computes.
async fn in_time<T>(milliseconds: u64, call: impl Future<Output = T>) -> Result<T, Elapsed> {
    let call = pin!(call);
    within(milliseconds, Counted::new(call)).await
}

/// Bounds how long something takes. Most calls never wait, and then need no timer.
async fn within<T>(milliseconds: u64, call: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut call = pin!(call);
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

/// Bytes of a page of linear memory (WebAssembly Core, section 4.2.8).
const PAGE: u64 = 64 * 1024;

/// Compares what every instance of the component needs from the start with what it may have.
fn check_size(component: &Component, limits: &Limits) -> Result<(), String> {
    let Some(needs) = component.resources_required() else {
        return Ok(());
    };
    let memory = needs.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE);
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
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

/// What a component exports of the interfaces that a host calls.
struct Exports {
    answers: Answers,
    wrapping: bool,
}

/// What a component answers requests through.
enum Answers {
    Handler,
    Proxy,
    None,
}

impl Exports {
    fn other_world(&self, error: &wasmtime::Error) -> String {
        match self.answers {
            Answers::Proxy => {
                format!("is built for another world than wasi:http/proxy 0.2: {error:#}")
            }
            Answers::Handler | Answers::None => {
                format!("is built for another world: {error:#}; build it against this wharf's wit/")
            }
        }
    }
}

fn exports(engine: &Engine, types: &types::Component) -> Result<Exports, String> {
    let exports: Vec<String> =
        types.exports(engine.wasmtime()).map(|(name, _)| name.to_owned()).collect();
    let has = |wanted: &str| exports.iter().any(|export| export.starts_with(wanted));
    let answers = if has("wharf:plugin/handler@0.1.0") {
        Answers::Handler
    } else if has("wasi:http/incoming-handler@0.2.") {
        Answers::Proxy
    } else {
        Answers::None
    };
    let wrapping = has("wharf:plugin/middleware@0.1.0");
    if wrapping || !matches!(answers, Answers::None) {
        return Ok(Exports { answers, wrapping });
    }
    let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    Err(format!(
        "exports {found}, and neither wharf:plugin/handler@0.1.0 with routes: func() -> list<route> and handle: func(request: request) -> response, nor wharf:plugin/middleware@0.1.0, nor wasi:http/incoming-handler@0.2: it is built for another world; build it against this wharf's wit/"
    ))
}

/// Where the paths begin that a `wasi:http` component answers.
fn mount<'a>(access: &'a Access, group: &str) -> Result<&'a str, String> {
    let Manifest { mount, middleware, .. } = &access.manifest;
    let place = access.place(group);
    if !middleware.is_empty() {
        return Err(format!(
            "is a wasi:http component, whose answers are streamed, and such a one cannot be wrapped yet; take {} out of middleware in {place}",
            middleware.join(", ")
        ));
    }
    mount.as_deref().ok_or_else(|| {
        format!(
            "is a wasi:http component, and nothing says which paths it answers: write mount = \"/{group}\" in {place}"
        )
    })
}

/// Refuses a mount for a component that declares its own routes.
fn check_unmounted(access: &Access, group: &str) -> Result<(), String> {
    if access.manifest.mount.is_none() {
        return Ok(());
    }
    Err(format!(
        "declares its own routes, and a mount is for wasi:http components; remove mount in {}",
        access.place(group)
    ))
}
