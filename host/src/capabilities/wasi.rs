//! WASI 0.2, denied: what `std` of `wasm32-wasip2` imports, with nothing behind it.
//!
//! No environment, no arguments, no files, no sockets. Clocks and randomness work, and standard
//! output and error become log lines.

use std::time::Duration;

use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::Guest;
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
    table: ResourceTable,
}

impl Wasi {
    /// What the guest has printed, to both outputs in order.
    pub fn output(&self) -> Option<String> {
        let printed = self.0.as_ref()?.output.contents();
        Some(String::from_utf8_lossy(&printed).into_owned())
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Guest { wasi: Wasi(open), group, log_bytes, .. } = self;
        let open = open.get_or_insert_with(|| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(MOST_HANDLES);
            let output = MemoryOutputPipe::new(*log_bytes);
            let context = WasiCtx::builder()
                .stdout(output.clone())
                .stderr(output.clone())
                .wall_clock(WallClock(group.shared.clock.clone()))
                .max_random_size(65_536)
                .allow_tcp(false)
                .allow_udp(false)
                .build();
            Box::new(Open { context, output, table })
        });
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

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}
