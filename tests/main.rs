//! The tests of Wharf: every one goes through the front door, with a real database of its own and
//! the real components.

mod command_line;
mod examples;
mod hostile;
mod import;
mod limits;
mod store;
mod support;
mod tidy;
