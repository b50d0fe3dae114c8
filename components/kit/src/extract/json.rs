//! JSON bodies.

use std::ops::Deref;

use memchr::memmem;
use serde::de::DeserializeOwned;

use super::{FromRequest, is_of_type, unreadable};
use crate::input::{DEEPEST, MOST_VALUES, is_bounded};
use crate::{Error, Parameter, Parameters, Request};

/// A JSON body, and an answer of one.
///
/// As a handler's argument it takes requests whose `content-type` is `application/json` or ends with `+json`. A body may
/// have 32 levels and 10,000 values, and no text in it U+0000, which PostgreSQL cannot hold.
///
/// ```
/// use wharf_kit::prelude::*;
///
/// #[derive(Deserialize, Parameters)]
/// struct Sum {
///     /// What is added up.
///     numbers: Vec<i64>,
/// }
///
/// /// Adds numbers up.
/// #[post("/sums")]
/// fn sum(Json(sum): Json<Sum>) -> Json<i64> {
///     Json(sum.numbers.iter().sum())
/// }
///
/// assert_eq!(sum(Json(Sum { numbers: vec![1, 2] })).0, 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<'r, T: DeserializeOwned + Parameters> FromRequest<'r> for Json<T> {
    fn from_request(request: &'r Request) -> Result<Self, Error> {
        if !is_of_type(request, |kind| kind == "application/json" || kind.ends_with("+json")) {
            let message = "the body must be JSON: send the header content-type: application/json";
            return Err(Error::status(415, message));
        }
        read(request.body()).map(Json).map_err(|why| Error::bad_request(&why))
    }

    fn parameters() -> Vec<Parameter> {
        T::parameters()
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    // Each level takes stack and each value memory, of which a guest has little.
    if !is_bounded(body) {
        return Err(format!("the body has more than {DEEPEST} levels or {MOST_VALUES} values"));
    }
    if holds_nul(body) {
        return Err("the body has text with U+0000; leave that character out".to_owned());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| unreadable(&error))?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Whether U+0000 is in a text, where JSON has it escaped.
fn holds_nul(json: &[u8]) -> bool {
    let backslashes = |end: usize| json[..end].iter().rev().take_while(|byte| **byte == b'\\');
    memmem::find_iter(json, br"\u0000").any(|at| backslashes(at).count().is_multiple_of(2))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Value;
    use crate::testing::{said, sent};

    #[derive(Debug, Deserialize)]
    struct Coupon {
        percent: u8,
        tags: Vec<String>,
    }

    impl Parameters for Coupon {
        fn parameters() -> Vec<Parameter> {
            Vec::new()
        }
    }

    fn refusal(kind: &str, body: &str) -> (u16, String) {
        let request = sent(kind, body);
        said(Json::<Coupon>::from_request(&request).err())
    }

    #[test]
    fn a_body_becomes_a_struct() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/a+json"] {
            let request = sent(kind, r#"{"percent":5,"tags":["a"],"more":1}"#);
            let Json(coupon) = Json::<Coupon>::from_request(&request).expect("a coupon");
            assert_eq!((coupon.percent, coupon.tags), (5, vec!["a".to_owned()]));
        }
    }

    #[test]
    fn refusals_name_the_member_and_the_type() {
        for (body, message) in [
            (r#"{"percent":5}"#, "missing field `tags` at line 1 column 13"),
            (
                r#"{"percent":"5"}"#,
                "percent: invalid type: string \"5\", expected u8 at line 1 column 14",
            ),
            (
                r#"{"percent":300}"#,
                "percent: invalid value: integer `300`, expected u8 at line 1 column 14",
            ),
            (
                r#"{"percent":5,"tags":["a",1]}"#,
                "tags[1]: invalid type: integer `1`, expected a string at line 1 column 26",
            ),
            (r#"{"percent":5,"tags":[]} x"#, "trailing characters at line 1 column 25"),
            ("", "EOF while parsing a value at line 1 column 0"),
            (
                r#"{"percent":5,"tags":["\u0000"]}"#,
                "the body has text with U+0000; leave that character out",
            ),
        ] {
            assert_eq!(refusal("application/json", body), (400, message.to_owned()), "{body}");
        }
    }

    #[test]
    fn other_bodies_are_told_what_to_send() {
        for kind in ["", "text/plain", "application/x-www-form-urlencoded", "json"] {
            let (status, message) = refusal(kind, "{}");
            assert_eq!(status, 415);
            assert!(message.contains("content-type: application/json"), "{message}");
        }
    }

    #[test]
    fn bodies_are_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let read =
            |body: String| Json::<Value>::from_request(&sent("application/json", body)).is_ok();
        assert!(read(nested(DEEPEST)) && !read(nested(DEEPEST + 1)));
        let list = |values: usize| format!("[{}0]", "0,".repeat(values));
        assert!(read(list(MOST_VALUES - 1)) && !read(list(MOST_VALUES)));
    }

    #[test]
    fn an_escaped_backslash_is_no_escape() {
        assert!(holds_nul(br#""\u0000""#) && holds_nul(br#""\\\u0000""#));
        assert!(!holds_nul(br#""\\u0000""#) && !holds_nul(br#""\u0001""#));
    }
}
