//! The tests of Wharf: every one goes through the front door, with a real database of its own and
//! the real components.

mod accounts;
mod clients;
mod clinic;
mod command_line;
mod console;
mod corpora;
mod deploy;
mod dev;
mod durability;
mod examples;
mod hostile;
mod http;
mod import;
mod kit;
mod languages;
mod logs;
mod middleware;
mod migrations;
mod new;
mod operator;
mod outage;
mod pictures;
mod proxy;
mod realms;
mod reuse;
mod sandbox;
mod soak;
mod store;
mod support;
mod tenants;
mod testing;
mod throttle;
mod tidy;
mod uploads;
mod walls;
