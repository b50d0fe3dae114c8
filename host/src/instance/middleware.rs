//! Components that wrap others: the instance that sees a request sees its answer as well.

use wasmtime::Store;

use super::{CallFailed, Limits, Revision, in_time, left, log_output, settled, store};
use crate::bindings::wharf::plugin::http::{Request, Response};
use crate::bindings::wrapping::Wrapping;
pub use crate::bindings::wrapping::exports::wharf::plugin::middleware::{Action, Changes};
use crate::capabilities::{Guest, Left};

/// An instance that has seen a request.
pub struct Around {
    store: Store<Guest>,
    exports: Wrapping,
    limits: Limits,
}

impl Revision {
    /// Whether it wraps other groups.
    pub fn wraps(&self) -> bool {
        self.wrapping.is_some()
    }

    /// Has a fresh instance see a request, and say what becomes of it.
    pub async fn before(
        &self,
        guest: Guest,
        request: Request<'_>,
    ) -> Result<(Action, Around), CallFailed> {
        let Some(pre) = &self.wrapping else {
            return Err(CallFailed::guests("it does not export wharf:plugin/middleware"));
        };
        let limits = self.limits;
        let mut store = store(pre.engine(), &limits, guest);
        let done = in_time(limits.call_milliseconds, async {
            let exports = pre.instantiate_async(&mut store).await?;
            let action = exports.wharf_plugin_middleware().call_before(&mut store, request).await?;
            Ok((action, exports))
        });
        let done = done.await;
        if !matches!(done, Ok(Ok(_))) {
            log_output(store.data_mut());
        }
        let (action, exports) = settled(&limits, &store, done)?;
        Ok((action, Around { store, exports, limits }))
    }
}

impl Around {
    /// Has it see the answer, and hand on the one that is to be sent; gives back what its calls have left for the
    /// response.
    pub async fn after(mut self, response: Response) -> Result<(Response, Left), CallFailed> {
        let Around { store, exports, limits } = &mut self;
        let done = in_time(limits.call_milliseconds, async {
            exports.wharf_plugin_middleware().call_after(&mut *store, &response).await
        });
        let done = done.await;
        log_output(store.data_mut());
        let response = settled(limits, store, done)?;
        Ok((response, left(&mut self.store)))
    }

    /// What its calls have left for the response, if it is to see no answer.
    pub fn end(mut self) -> Left {
        log_output(self.store.data_mut());
        left(&mut self.store)
    }
}
