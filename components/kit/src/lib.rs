//! What components for Wharf are written with: a route stands beside its handler, what it takes is said by types, and so
//! is what it answers.
//!
//! ```
//! use wharf_kit::prelude::*;
//!
//! wharf_kit::component![list, create, show];
//!
//! /// A coupon that is to be made.
//! #[derive(Deserialize, Validate, Parameters)]
//! struct NewCoupon {
//!     /// The code.
//!     #[garde(length(bytes, min = 1, max = 64))]
//!     code: String,
//!     /// The discount.
//!     #[garde(range(min = 1, max = 100))]
//!     percent: i64,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Coupon {
//!     id: i64,
//!     code: String,
//!     percent: i64,
//! }
//!
//! /// The coupons, by code.
//! #[get("/coupons", tag = "coupons")]
//! fn list() -> Result<Json<Vec<Coupon>>> {
//!     let sql = "SELECT id, code, percent FROM coupons ORDER BY code LIMIT 100";
//!     Ok(Json(database::query_as(sql, params![])?))
//! }
//!
//! /// Makes a coupon.
//! #[post("/coupons", signed_in = "store", tag = "coupons")]
//! fn create(caller: Identity, Valid(Json(new)): Valid<Json<NewCoupon>>) -> Result<Created<Coupon>> {
//!     let sql = "INSERT INTO coupons (code, percent) VALUES ($1, $2) RETURNING id, code, percent";
//!     let made = database::query_row_as(sql, params![new.code, new.percent]);
//!     if let Err(database::Error::UniqueViolation(_)) = made {
//!         return Err(Error::conflict("there is a coupon with this code already"));
//!     }
//!     wharf_kit::info!("user {} made a coupon", caller.user_id);
//!     Ok(Created(made?))
//! }
//!
//! /// One coupon.
//! #[get("/coupons/{code}", tag = "coupons")]
//! fn show(Path(code): Path<String>) -> Result<Option<Json<Coupon>>> {
//!     let sql = "SELECT id, code, percent FROM coupons WHERE code = $1";
//!     Ok(database::query_one_as(sql, params![code])?.map(Json))
//! }
//! # fn main() {}
//! ```
//!
//! The order of a component's files: [`component!`] lists the handlers, an attribute such as [`get`] gives each its route,
//! [`FromRequest`] lists what they take, [`IntoResponse`] what they answer, and [`Error`] says why they did not. Below
//! that lies what it is made of: [`Endpoint`], [`Request`], [`Input`] and [`export!`], for components that need more.
//!
//! A crate that uses the derives depends on `serde` and `garde` beside this one, in the versions that this one exports.
//! Linking keeps only the imports that a component calls, and those are what it must be granted.

// The attributes name this crate, also in its own tests and examples.
extern crate self as wharf_kit;

pub mod answer;
pub mod bindings;
pub mod chance;
pub mod database;
mod endpoint;
mod error;
mod extract;
#[cfg(all(feature = "harness", not(target_family = "wasm")))]
pub mod harness;
mod input;
mod lines;
pub mod middleware;
mod parameter;
pub mod prelude;
mod request;
mod respond;
#[cfg(test)]
mod testing;

pub use bindings::wharf::plugin::http::{Caller, Identity, Response};
pub use bindings::wharf::plugin::{
    blobs, cache, clock, log, outbound, passwords, random, settings, throttle, tokens,
};
pub use bytes::Bytes;
pub use endpoint::{Endpoint, Handler, Handles, handle, routes};
pub use error::{Error, Result};
pub use extract::{Files, Form, FromRequest, Inputs, Json, Path, Query, Valid};
pub use input::{File, Input, text};
pub use parameter::{Kind, Parameter, Parameters, Place, file, optional, required};
pub use request::Request;
pub use respond::{Created, Html, IntoResponse, NoContent};
pub use serde_json::{Map, Value, json};
pub use wharf_kit_macros::{Parameters, delete, every, get, options, patch, post, put};
pub use {garde, serde};

/// Makes the crate a component of these handlers: functions with an attribute such as [`get`].
///
/// It stands once, in the crate's root; handlers in other files are named by their path, as in `shop::list`.
#[macro_export]
macro_rules! component {
    ($($handler:ty),+ $(,)?) => {
        $crate::export!($crate::endpoints![$($handler),+]);
    };
}

/// The table of these handlers, for components that [`export!`] others besides.
#[macro_export]
macro_rules! endpoints {
    ($($handler:ty),+ $(,)?) => {
        &[$(<$handler as $crate::Handles>::ENDPOINT),+]
    };
}

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
