//! WASI 0.2, denied: what `std` of `wasm32-wasip2` imports, with nothing behind it.
//!
//! No environment, no arguments, no files, no sockets. Clocks and randomness work, and standard
//! output and error become log lines.

use std::time::Duration;

use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::{Group, Guest};
use crate::clock::Clock;

/// Handles that a guest may hold at once: streams, pollables.
const MOST_HANDLES: usize = 1000;

/// WASI's state for one request, made when the guest first uses it: most never do. Boxed, since a guest
/// is moved several times before its instance runs.
#[derive(Default)]
pub struct Wasi(Option<Box<Open>>);

struct Open {
    context: WasiCtx,
    output: MemoryOutputPipe,
    /// Bytes that fit into `output`, and those of it that were told.
    output_bytes: usize,
    told: usize,
    table: ResourceTable,
}

impl Wasi {
    /// What the guest has printed since it was asked last, to both outputs in order.
    pub fn output(&mut self) -> Option<String> {
        let open = self.0.as_mut()?;
        let printed = open.output.contents();
        let news = printed.get(open.told..).unwrap_or_default();
        open.told = printed.len();
        Some(String::from_utf8_lossy(news).into_owned())
    }

    /// Whether another request of the same instance can print as much as one may, or half of it at least.
    pub fn has_room(&self) -> bool {
        self.0.as_ref().is_none_or(|open| open.told <= open.output_bytes / 2)
    }

    /// The guest's handles, those of `wasi:http` as well.
    pub(super) fn table(&mut self, group: &Group, log_bytes: usize) -> &mut ResourceTable {
        &mut self.open(group, log_bytes).table
    }

    fn open(&mut self, group: &Group, log_bytes: usize) -> &mut Open {
        self.0.get_or_insert_with(|| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(MOST_HANDLES);
            let output = MemoryOutputPipe::new(log_bytes);
            let mut context = WasiCtx::builder();
            context
                .stdout(output.clone())
                .stderr(output.clone())
                .wall_clock(WallClock(group.shared.clock.clone()))
                .max_random_size(65_536)
                .allow_tcp(false)
                .allow_udp(false);
            let chance = &group.shared.chance;
            if let (Some(secure), Some(insecure)) = (chance.fork(), chance.fork()) {
                context.secure_random(secure).insecure_random(insecure).insecure_random_seed(0);
                context.monotonic_clock(Standing(group.shared.clock.clone()));
            }
            let context = context.build();
            Box::new(Open { context, output, output_bytes: log_bytes, told: 0, table })
        })
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Guest { wasi, group, log_bytes, .. } = self;
        let open = wasi.open(group, *log_bytes);
        WasiCtxView { ctx: &mut open.context, table: &mut open.table }
    }
}

/// Tells guests the host's time, in whole seconds.
struct WallClock(Clock);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(self.0.now().unsigned_abs())
    }
}

/// A clock that stands still where the host's does, and so what is measured is the same each time.
struct Standing(Clock);

impl HostMonotonicClock for Standing {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.now().unsigned_abs().saturating_mul(1_000_000_000)
    }
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}
