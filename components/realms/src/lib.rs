//! What the built-in groups share beyond `wharf-kit`: a module for each realm that they serve, with its envelope,
//! its messages and its caller; and what several realms have in common.
//!
//! None of it is for components of tenants: these are the habits of the systems whose clients Wharf serves on.

pub mod account;
pub mod captcha;
pub mod clinic;
pub mod console;
mod date;
pub mod media;
pub mod page;
pub mod store;
pub mod validate;

pub use date::{date, day, is_day};
