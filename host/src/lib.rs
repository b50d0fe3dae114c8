//! Wharf: a WebAssembly-component plugin host.
//!
//! The host keeps HTTP, routing, tokens, passwords and the database to itself. Every endpoint
//! group of an API is a sandboxed component that exports `wharf:plugin/handler` and reaches
//! nothing but the interfaces that it was granted.
//!
//! One request's walk, which is also the order of the rooms:
//!
//! 1. [`listener`] accepts the connection and speaks HTTP/1.1 or HTTP/2;
//! 2. [`request`] is the corridor: every step of the walk, a line each;
//! 3. [`router`] finds the group that declared the route, or says 404 or 405;
//! 4. [`identity`] verifies the token before any guest runs;
//! 5. [`admission`] lets it in, or asks it to come back;
//! 6. [`tenant`] says which data and rights the call has;
//! 7. [`instance`] runs it in a fresh, bounded instance;
//! 8. [`capabilities`] are what the instance may reach, one room per WIT interface;
//! 9. [`response`] turns the answer, or the [`error`], into HTTP.
//!
//! Around it: [`config`] is read once, [`app`] puts the parts together, [`compiler`] makes
//! components runnable, [`database`] is SQLite or PostgreSQL, [`blobs`] is a folder or S3, [`outbound`]
//! calls other hosts, [`clock`] tells the time, [`chance`] gives random bytes, [`logs`] keeps what guests say and why
//! requests failed, [`plain`] writes what strangers say so that it stays text,
//! [`written`] reads what people write and says what they meant, [`registry`] keeps what tenants have
//! deployed, [`admin`] is where their operators ask for it, [`users`] moves users in and out, and [`cli`] holds the
//! commands. For those who write components, [`project`] is what a new one begins with, [`build`] makes them of
//! sources, [`dev`] does so whenever those are saved, and [`testing`] asks them what their tests say. Host and
//! components meet in `wit/` and in `wasi:http` alone; `tests/tidy.rs` holds who may know what.

pub mod admin;
pub mod admission;
pub mod app;
pub mod bindings;
pub mod blobs;
pub mod build;
pub mod capabilities;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod compiler;
pub mod config;
pub mod database;
pub mod deploy;
pub mod dev;
pub mod error;
pub mod files;
pub mod host;
pub mod identity;
pub mod instance;
pub mod listener;
pub mod logs;
pub mod outbound;
pub mod plain;
pub mod platform;
pub mod project;
pub mod registry;
pub mod request;
pub mod response;
pub mod router;
pub mod tenant;
pub mod tenants;
pub mod testing;
pub mod users;
pub mod written;

pub use clock::Clock;
pub use config::Config;
pub use host::Host;

/// Every request allocates dozens of small things on one thread; this allocator is quicker at that
/// than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
