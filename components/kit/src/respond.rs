//! What handlers answer with.

use serde::Serialize;

use crate::{Error, Json, Response, answer};

/// Something that a handler answers with.
///
/// | type | answer |
/// |---|---|
/// | [`Json<T>`](crate::Json) | 200 and JSON |
/// | [`Created<T>`] | 201 and JSON |
/// | [`NoContent`], `()` | 204 |
/// | [`Html`] | 200 and a page |
/// | `String`, `&'static str` | 200 and plain text |
/// | `Option<T>` | what there is, or 404 |
/// | `(u16, T)` | the same with another status |
/// | [`Response`] | itself |
/// | `Result<T, E>` | either; `E` is an [`Error`] or becomes one |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no answer",
    label = "a handler returns `Json`, `Created`, `NoContent`, `Html`, `String`, `&'static str`, `Response`, an `Option` of one, `(u16, …)` or a `Result` of one",
    note = "a struct is answered with as `Json(…)`; it derives `Serialize`"
)]
pub trait IntoResponse {
    /// The answer.
    ///
    /// # Errors
    /// Why there is none, which the client is told as the route says.
    fn into_response(self) -> Result<Response, Error>;
}

/// The answer to what made something: 201 and JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created<T>(pub T);

/// An answer without a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoContent;

/// A page for browsers. Whatever stands in it that somebody else wrote must have been escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Html<T>(pub T);

impl IntoResponse for Response {
    fn into_response(self) -> Result<Response, Error> {
        Ok(self)
    }
}

impl<T: IntoResponse, E: Into<Error>> IntoResponse for Result<T, E> {
    fn into_response(self) -> Result<Response, Error> {
        self.map_err(Into::into)?.into_response()
    }
}

impl<T: IntoResponse> IntoResponse for Option<T> {
    fn into_response(self) -> Result<Response, Error> {
        self.ok_or_else(|| Error::not_found("Not Found"))?.into_response()
    }
}

impl<T: IntoResponse> IntoResponse for (u16, T) {
    fn into_response(self) -> Result<Response, Error> {
        Ok(Response { status: self.0, ..self.1.into_response()? })
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response, Error> {
        Ok(of_kind("application/json", serde_json::to_vec(&self.0)?))
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Result<Response, Error> {
        (201, Json(self.0)).into_response()
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Result<Response, Error> {
        Ok(Response { status: 204, headers: Vec::new(), body: Vec::new() })
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Result<Response, Error> {
        NoContent.into_response()
    }
}

impl<T: Into<String>> IntoResponse for Html<T> {
    fn into_response(self) -> Result<Response, Error> {
        Ok(of_kind("text/html; charset=utf-8", self.0.into().into_bytes()))
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Result<Response, Error> {
        Ok(of_kind("text/plain; charset=utf-8", self.into_bytes()))
    }
}

impl IntoResponse for &'static str {
    fn into_response(self) -> Result<Response, Error> {
        self.to_owned().into_response()
    }
}

fn of_kind(kind: &str, body: Vec<u8>) -> Response {
    Response { status: 200, headers: vec![answer::header("content-type", kind)], body }
}

impl Response {
    /// The same with one header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(answer::header(name, value));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::said;

    /// Status, content type and body of an answer.
    fn told(answer: impl IntoResponse) -> (u16, String, String) {
        let answer = answer.into_response().expect("an answer");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let kind = answer.headers.first().map_or_else(String::new, |(_, value)| text(value));
        (answer.status, kind, text(&answer.body))
    }

    #[test]
    fn values_become_answers() {
        let told_as = |status: u16, kind: &str, body: &str| (status, kind.into(), body.into());
        assert_eq!(told(Json(vec![1, 2])), told_as(200, "application/json", "[1,2]"));
        assert_eq!(told(Created("a")), told_as(201, "application/json", "\"a\""));
        assert_eq!(told(NoContent), told_as(204, "", ""));
        assert_eq!(told(()), told_as(204, "", ""));
        assert_eq!(told(Html("<p>")), told_as(200, "text/html; charset=utf-8", "<p>"));
        assert_eq!(told("a"), told_as(200, "text/plain; charset=utf-8", "a"));
        assert_eq!(told("a".to_owned()), told_as(200, "text/plain; charset=utf-8", "a"));
        assert_eq!(told((202, Json(1))), told_as(202, "application/json", "1"));
        assert_eq!(told(Ok::<_, Error>(Some(Json(1)))), told_as(200, "application/json", "1"));
        let teapot = NoContent.into_response().expect("an answer").with_header("x-a", "b");
        assert_eq!(teapot.headers, [("x-a".to_owned(), b"b".to_vec())]);
    }

    #[test]
    fn nothing_is_a_404_and_failures_stay_failures() {
        let none = None::<Json<i64>>.into_response();
        assert_eq!(said(none.err()), (404, "Not Found".to_owned()));
        let busy = Err::<Json<i64>, _>(crate::database::Error::Busy).into_response();
        assert!(matches!(busy, Err(Error::Busy)));
        // A map whose keys are no text has no JSON.
        let unfit = Json(std::collections::BTreeMap::from([((1, 2), 3)])).into_response();
        assert!(matches!(unfit, Err(Error::Internal(_))));
    }
}
