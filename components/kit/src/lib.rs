//! What the components of Wharf share, so that a group is a table of endpoints and its handlers.
//!
//! ```
//! use wharf_kit::{Endpoint, Error, Request, Response, answer, json};
//!
//! wharf_kit::export!(ENDPOINTS);
//!
//! const ENDPOINTS: &[Endpoint] =
//!     &[Endpoint::get("/greetings/{name}", greet).tag("greetings").summary("Greets somebody.")];
//!
//! fn greet(request: &Request) -> Result<Response, Error> {
//!     let name = request.path("name");
//!     Ok(answer::json(200, &json!({ "greeting": format!("Hello, {name}!") })))
//! }
//! # fn main() {}
//! ```
//!
//! Linking keeps only the imports that a component calls, and those are what it must be granted.

pub mod answer;
pub mod bindings;
pub mod chance;
pub mod database;
mod endpoint;
mod error;
mod input;
pub mod middleware;
mod request;

pub use bindings::wharf::plugin::http::{Identity, Response};
pub use bindings::wharf::plugin::{
    blobs, cache, clock, log, outbound, passwords, random, settings, throttle, tokens,
};
pub use endpoint::{Endpoint, Handler, Parameter, file, handle, optional, required, routes};
pub use error::Error;
pub use input::{File, Input, text};
pub use request::Request;
pub use serde_json::{Map, Value, json};

/// Makes the crate a component that serves tables of [`Endpoint`]s.
#[macro_export]
macro_rules! export {
    ($($endpoints:expr),+ $(,)?) => {
        /// The tables that this crate makes a component of.
        pub static SERVED: &[&[$crate::Endpoint]] = &[$($endpoints),+];

        #[cfg(target_family = "wasm")]
        struct Component;

        #[cfg(target_family = "wasm")]
        impl $crate::bindings::exports::wharf::plugin::handler::Guest for Component {
            fn routes() -> Vec<$crate::bindings::exports::wharf::plugin::handler::Route> {
                $crate::routes(SERVED)
            }

            fn handle(
                request: $crate::bindings::wharf::plugin::http::Request,
            ) -> $crate::bindings::wharf::plugin::http::Response {
                $crate::handle(SERVED, request)
            }
        }

        // The names that WIT gives to exports are no symbols that a native linker takes.
        #[cfg(target_family = "wasm")]
        $crate::bindings::export!(Component with_types_in $crate::bindings);
    };
}
