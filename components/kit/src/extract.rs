//! What handlers take from a request: each argument of a handler is read by its type.

mod body;
mod caller;
mod files;
mod json;
mod loose;
mod path;
mod query;
mod valid;

pub use files::Files;
pub use json::Json;
pub use path::Path;
pub use query::{Form, Inputs, Query};
pub use valid::Valid;

use crate::{Error, Parameter, Request};

/// Something that a handler takes from a request.
///
/// | type | what it is | how it fails |
/// |---|---|---|
/// | `&Request` | the request as it is | |
/// | [`Path<T>`] | the parameters of the path: one value, a tuple or a struct | 404 |
/// | [`Query<T>`] | the query | 400 |
/// | [`Json<T>`] | a JSON body | 400, 415 |
/// | [`Form<T>`] | a form, `application/x-www-form-urlencoded` | 400, 415 |
/// | [`Inputs<T>`] | query, JSON, form and multipart fields, merged | 400 |
/// | [`Valid<X>`] | one of these, whose rules hold | 422 |
/// | [`Files`] | the files of a multipart body | |
/// | [`Bytes`](crate::Bytes), `String` | the body | 400 if it is no UTF-8 |
/// | [`Identity`](crate::Identity) | the signed-in user | 401 |
/// | `Option<Identity>`, [`Caller`](crate::Caller) | whoever calls | |
/// | `Result<X>` | one of these, or why it fails, for the handler to tell | |
///
/// Refusals say what is wrong: `{"message": "percent: invalid type: string \"5\", expected i64"}`.
///
/// Types of your own implement it, such as the signed-in user with what the database knows of them:
///
/// ```
/// use wharf_kit::prelude::*;
///
/// struct Member {
///     shop: i64,
/// }
///
/// impl FromRequest<'_> for Member {
///     fn from_request(request: &Request) -> Result<Self> {
///         let user = request.identity()?.user_id;
///         let sql = "SELECT shop FROM members WHERE user_id = $1";
///         let shop = database::query_one_as(sql, params![user])?;
///         Ok(Member { shop: shop.ok_or_else(|| Error::forbidden("join a shop first"))? })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from a request",
    label = "a handler's arguments are `&Request`, `Path`, `Query`, `Json`, `Form`, `Inputs`, `Valid`, `Files`, `Bytes`, `String`, `Identity`, `Option<Identity>` and `Caller`",
    note = "`T` in `Json<T>` and its like derives `Deserialize` and `Parameters`"
)]
pub trait FromRequest<'r>: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// What the client is told instead.
    fn from_request(request: &'r Request) -> Result<Self, Error>;

    /// What it reads, for the API description.
    fn parameters() -> Vec<Parameter> {
        Vec::new()
    }
}

impl<'r> FromRequest<'r> for &'r Request {
    fn from_request(request: &'r Request) -> Result<Self, Error> {
        Ok(request)
    }
}

/// What fails is the handler's to tell.
impl<'r, T: FromRequest<'r>> FromRequest<'r> for Result<T, Error> {
    fn from_request(request: &'r Request) -> Result<Self, Error> {
        Ok(T::from_request(request))
    }

    fn parameters() -> Vec<Parameter> {
        T::parameters()
    }
}

/// Characters of a message that repeats what a client sent.
const LONGEST: usize = 300;

/// What is said of what cannot be read: the member, if there is one, and why.
fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let (path, why) = (error.path().to_string(), error.inner());
    // A body that ends too early has a member without a name.
    let path = path.trim_end_matches('?').trim_end_matches('.');
    let told = if path.is_empty() { why.to_string() } else { format!("{path}: {why}") };
    match told.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &told[..end]),
        None => told,
    }
}

/// Whether the request says that its body is of a media type (RFC 9110, section 8.3.1).
fn is_of_type(request: &Request, is_it: impl Fn(&str) -> bool) -> bool {
    let kind = request.header("content-type").unwrap_or_default();
    is_it(kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{said, sent};

    #[test]
    fn messages_end_before_they_repeat_a_whole_body() {
        let body = format!("{{\"a\":\"{}\"}}", "é".repeat(10_000));
        let request = sent("application/json", body);
        let refusal = Json::<std::collections::BTreeMap<String, i64>>::from_request(&request);
        let (status, message) = said(refusal.err());
        assert_eq!(status, 400);
        assert!(message.starts_with("a: invalid type: string \"éé"), "{message}");
        assert_eq!(message.chars().count(), LONGEST + 1);
    }
}
