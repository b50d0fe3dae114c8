//! An answer, read whole.

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

/// Sends a request and reads its answer.
pub trait Ask {
    /// The answer.
    async fn answer(self) -> Answer;
}

impl Ask for RequestBuilder {
    async fn answer(self) -> Answer {
        let response = self.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.text().await.expect("a body");
        Answer { status, headers, body }
    }
}

/// Status, headers and body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The body as JSON, keys in the order in which they were sent.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The envelope's `data`.
    pub fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    /// The envelope's `code`, which comes with status 200 alone.
    pub fn code(&self) -> i64 {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(super::keys(&self.json()), ["data", "code", "msg"], "{self:?}");
        self.json()["code"].as_i64().expect("a code")
    }

    /// The envelope's `msg`.
    pub fn message(&self) -> String {
        self.json()["msg"].as_str().expect("a message").to_owned()
    }

    /// A header, which must be there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .to_str()
            .expect("text")
    }

    /// That it is the 401 of the API.
    #[track_caller]
    pub fn assert_unauthenticated(&self) {
        assert_eq!(
            (self.status.as_u16(), self.body.as_str()),
            (401, r#"{"message":"Unauthenticated."}"#)
        );
    }

    /// That it is this envelope.
    #[track_caller]
    pub fn assert_envelope(&self, data: Value, code: i64, message: &str) {
        assert_eq!(self.status, 200, "{self:?}");
        let expected = serde_json::json!({ "data": data, "code": code, "msg": message });
        assert_eq!(self.body, expected.to_string());
    }
}
