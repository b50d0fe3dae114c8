//! `clock`: the host's time, and what the clocks of a zone show.

use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::clock;
use crate::clock::{Clock, zones};

/// What one request may know of the time.
pub struct Time<'a>(&'a Clock);

impl clock::Host for Time<'_> {
    async fn now(&mut self) -> wasmtime::Result<i64> {
        Ok(self.0.now())
    }

    async fn offset(&mut self, zone: String, at: i64) -> wasmtime::Result<Option<i32>> {
        Ok(zones::offset(&zone, at))
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Time<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    clock::add_to_linker::<_, View>(linker, |guest| Time(&guest.group.shared.clock))
}
