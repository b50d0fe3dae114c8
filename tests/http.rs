//! HTTP and TLS, byte by byte: what is refused, what has a limit, and what goes on undisturbed.

mod bodies;
mod connections;
mod floods;
mod frames;
mod framing;
mod limits;
mod slow;
mod targets;
mod tls;
