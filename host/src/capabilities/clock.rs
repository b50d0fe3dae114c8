//! `clock`: the host's time.

use wasmtime::component::{HasSelf, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::clock;
use crate::clock::Clock;

impl clock::Host for Clock {
    async fn now(&mut self) -> wasmtime::Result<i64> {
        Ok(Clock::now(self))
    }
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    clock::add_to_linker::<_, HasSelf<Clock>>(linker, |guest| &mut guest.clock)
}
