//! Adds headers to every answer of the groups that it wraps.

use std::cell::Cell;
use std::time::Instant;

use wharf_kit::middleware::{Action, Changes, Middleware, Request, Response};
use wharf_kit::{answer, settings};

wharf_kit::wrap!(ResponseHeaders);

thread_local! {
    /// When the request came; the same instance sees its answer.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The headers.
pub struct ResponseHeaders;

impl Middleware for ResponseHeaders {
    fn before(_: Request) -> Action {
        if settings::get("timing").is_some_and(|timing| timing == "true") {
            BEGAN.set(Some(Instant::now()));
        }
        Action::Next(Changes::default())
    }

    fn after(mut response: Response) -> Response {
        let headers = settings::get("headers").unwrap_or_default();
        for (name, value) in headers.lines().filter_map(|line| line.split_once(':')) {
            response.headers.push(answer::header(name.trim(), value.trim()));
        }
        if let Some(began) = BEGAN.take() {
            // Milliseconds (W3C Server Timing, section 2).
            let took = format!("app;dur={:.3}", began.elapsed().as_secs_f64() * 1e3);
            response.headers.push(answer::header("server-timing", &took));
        }
        response
    }
}
