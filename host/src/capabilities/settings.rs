//! `settings`: what the operator has set for the group.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::settings;

/// The capability of one request.
pub struct Settings {
    /// Name → value, from `[groups.<group>.settings]`.
    pub values: Arc<BTreeMap<String, String>>,
}

impl settings::Host for Settings {
    async fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.values.get(&name).cloned())
    }
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    settings::add_to_linker::<_, HasSelf<Settings>>(linker, |guest| &mut guest.settings)
}
