//! `log`: lines of guests, told apart from the host's, bounded, with control characters escaped.

use wasmtime::component::{HasData, Linker};

use super::{Guest, Origin};
use crate::bindings::wharf::plugin::log::{self, Level};

/// What one request may still log; the guest's standard output and error count as well.
pub struct Log<'a> {
    origin: &'a Origin,
    request: &'a str,
    remaining: &'a mut usize,
}

impl<'a> Log<'a> {
    /// The log of a request.
    pub fn of(guest: &'a mut Guest) -> Self {
        Log {
            origin: &guest.group.origin,
            request: &guest.request,
            remaining: &mut guest.log_bytes,
        }
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
        let text = message.escape_debug();
        let Origin { tenant, group, digest } = self.origin;
        let request = self.request;
        match level {
            Level::Debug => {
                tracing::debug!(target: "wharf::guest", %tenant, %group, %digest, request, "{text}");
            }
            Level::Info => {
                tracing::info!(target: "wharf::guest", %tenant, %group, %digest, request, "{text}");
            }
            Level::Warn => {
                tracing::warn!(target: "wharf::guest", %tenant, %group, %digest, request, "{text}");
            }
            Level::Error => {
                tracing::error!(target: "wharf::guest", %tenant, %group, %digest, request, "{text}");
            }
        }
        if *self.remaining == 0 {
            tracing::warn!(target: "wharf::guest", %tenant, %group, %digest, request, "more log lines of this request are dropped: limits.log_bytes");
        }
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
