//! The smallest group: what a fresh instance costs is measured with it.

use wharf_kit::{Endpoint, Error, Request, Response};

wharf_kit::export!(ENDPOINTS);

const ENDPOINTS: &[Endpoint] =
    &[Endpoint::get("/hello", hello).tag("hello").summary("Says hello.")];

fn hello(_: &Request) -> Result<Response, Error> {
    Ok(Response {
        status: 200,
        headers: vec![("content-type".to_owned(), b"text/plain".to_vec())],
        body: b"hello".to_vec(),
    })
}
