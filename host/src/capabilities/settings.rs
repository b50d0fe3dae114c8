//! `settings`: what the operator has set for the group.

use std::collections::BTreeMap;

use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::settings;

/// What the group's settings are: name → value, from `[groups.<group>.settings]`.
pub struct Settings<'a>(&'a BTreeMap<String, String>);

impl settings::Host for Settings<'_> {
    async fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.0.get(&name).cloned())
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Settings<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    settings::add_to_linker::<_, View>(linker, |guest| Settings(&guest.group.settings))
}
