//! Responses.

use serde_json::Value;

use crate::Response;

/// A response with a JSON body.
pub fn json(status: u16, body: &Value) -> Response {
    Response {
        status,
        headers: vec![header("content-type", "application/json")],
        body: body.to_string().into_bytes(),
    }
}

/// One header of a response.
pub fn header(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}
