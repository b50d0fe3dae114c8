//! `log`: lines of guests, told apart from the host's, bounded, with control characters escaped.

use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

use super::{Group, Guest};
use crate::bindings::wharf::plugin::log::{self, Level};
use crate::logs;

/// What one request may still log; the guest's standard output and error count as well.
pub struct Log<'a> {
    group: &'a Group,
    request: &'a Arc<str>,
    remaining: &'a mut usize,
}

impl<'a> Log<'a> {
    /// The log of a request.
    pub fn of(guest: &'a mut Guest) -> Self {
        Log { group: &guest.group, request: &guest.request, remaining: &mut guest.log_bytes }
    }

    /// Writes one line, or says once that there were too many.
    pub fn line(&mut self, level: Level, message: &str) {
        if *self.remaining == 0 {
            return;
        }
        let (message, rest) = message.split_at(message.floor_char_boundary(*self.remaining));
        // A byte more than the text, so that empty lines come to an end as well.
        *self.remaining =
            if rest.is_empty() { self.remaining.saturating_sub(message.len() + 1) } else { 0 };
        let level = match level {
            Level::Debug => logs::Level::Debug,
            Level::Info => logs::Level::Info,
            Level::Warn => logs::Level::Warn,
            Level::Error => logs::Level::Error,
        };
        self.write(level, message);
        if *self.remaining == 0 {
            let dropped = "more log lines of this request are dropped: limits.log_bytes";
            self.write(logs::Level::Warn, dropped);
        }
    }

    fn write(&self, level: logs::Level, message: &str) {
        let Group { origin, shared, .. } = self.group;
        shared.journal.write(origin, self.request, level, message);
    }
}

impl log::Host for Log<'_> {
    async fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.line(level, &message);
        Ok(())
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Log<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    log::add_to_linker::<_, View>(linker, |guest| Log::of(guest))
}
