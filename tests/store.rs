//! The realm `store`, as its clients know it, on both databases.

mod addresses;
mod authorisation;
mod captchas;
mod claims;
mod framework;
mod input;
mod life;
mod login;
pub(crate) mod odd_bodies;
mod passwords;
mod profiles;
mod register;
pub(crate) mod same_answers;
mod tokens;
mod users;
mod wide;
