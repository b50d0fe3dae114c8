//! Responses.

use serde_json::Value;

use crate::Response;

/// A response with a JSON body.
pub fn json(status: u16, body: &Value) -> Response {
    Response {
        status,
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: body.to_string().into_bytes(),
    }
}
