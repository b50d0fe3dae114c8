//! The realm `store`, as its clients know it, on both databases.

mod addresses;
mod authorisation;
mod captchas;
mod framework;
mod input;
mod login;
mod passwords;
mod profiles;
mod register;
mod same_answers;
mod tokens;
mod users;
