//! `random`: bytes from the operating system's generator.

use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::random;
use crate::chance::Chance;

/// What one call may ask for. More is a mistake, and would be an easy way to fill the host's memory.
const MOST: u32 = 65_536;

/// What one request may do with randomness.
pub struct Random<'a>(&'a Chance);

impl random::Host for Random<'_> {
    async fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        if count > MOST {
            wasmtime::bail!("random.bytes was asked for {count} bytes, and gives at most {MOST}");
        }
        let mut bytes = vec![0; count as usize];
        self.0.fill(&mut bytes).map_err(|error| {
            wasmtime::format_err!("the operating system gave no random bytes: {error}")
        })?;
        Ok(bytes)
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Random<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    random::add_to_linker::<_, View>(linker, |guest| Random(&guest.group.shared.chance))
}
