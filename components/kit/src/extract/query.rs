//! Queries, forms and merged inputs.

use std::ops::Deref;

use serde::de::DeserializeOwned;

use super::loose::Loose;
use super::{FromRequest, is_of_type, unreadable};
use crate::input::MOST_VALUES;
use crate::{Error, Map, Parameter, Parameters, Request, Value};

/// The query. A name that comes more than once, or ends with `[]`, makes a list.
///
/// Text becomes what the type wants: numbers, booleans, variants without members. Members of a struct that is flattened
/// into another stay text, since serde forgets what they are to be.
///
/// ```
/// use wharf_kit::prelude::*;
///
/// #[derive(Deserialize, Parameters)]
/// struct Page {
///     /// The page, from 1.
///     page: Option<u32>,
///     /// Only what has one of these tags.
///     #[serde(default)]
///     tag: Vec<String>,
/// }
///
/// /// What there is.
/// #[get("/things")]
/// fn list(Query(query): Query<Page>) -> String {
///     format!("page {} of {} tags", query.page.unwrap_or(1), query.tag.len())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<T>(pub T);

/// A form: a body that is `application/x-www-form-urlencoded`. Names are read as in a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form<T>(pub T);

/// The merged inputs of [`Request::input`]: query, JSON object, form or the fields of a multipart body, trimmed, and
/// without U+0000.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs<T>(pub T);

impl<'r, T: DeserializeOwned + Parameters> FromRequest<'r> for Query<T> {
    fn from_request(request: &'r Request) -> Result<Self, Error> {
        read(&grouped(request.raw_query().as_bytes())?).map(Query)
    }

    fn parameters() -> Vec<Parameter> {
        T::parameters()
    }
}

impl<'r, T: DeserializeOwned + Parameters> FromRequest<'r> for Form<T> {
    fn from_request(request: &'r Request) -> Result<Self, Error> {
        if !is_of_type(request, |kind| kind == "application/x-www-form-urlencoded") {
            let message = "the body must be a form: send the header content-type: application/x-www-form-urlencoded";
            return Err(Error::status(415, message));
        }
        read(&grouped(request.body())?).map(Form)
    }

    fn parameters() -> Vec<Parameter> {
        T::parameters()
    }
}

impl<'r, T: DeserializeOwned + Parameters> FromRequest<'r> for Inputs<T> {
    fn from_request(request: &'r Request) -> Result<Self, Error> {
        read(&Value::Object(request.input().values().clone())).map(Inputs)
    }

    fn parameters() -> Vec<Parameter> {
        T::parameters()
    }
}

/// What each of them holds.
macro_rules! holds {
    ($($of:ident)*) => {$(
        impl<T> Deref for $of<T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.0
            }
        }
    )*};
}

holds!(Query Form Inputs);

fn read<T: DeserializeOwned>(values: &Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(Loose(values))
        .map_err(|error| Error::bad_request(&unreadable(&error)))
}

/// Pairs by their names (the URL standard, section 5.1).
fn grouped(encoded: &[u8]) -> Result<Value, Error> {
    if memchr::memchr_iter(b'&', encoded).count() > MOST_VALUES {
        return Err(Error::bad_request(&format!("there are more than {MOST_VALUES} values")));
    }
    let mut values = Map::new();
    for (name, value) in form_urlencoded::parse(encoded) {
        if value.contains('\0') {
            let message = format!("{name}: the text has U+0000; leave that character out");
            return Err(Error::bad_request(&message));
        }
        let (name, is_list) = name.strip_suffix("[]").map_or((&*name, false), |name| (name, true));
        let value = Value::from(value);
        match values.get_mut(name) {
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => {
                let value = if is_list { Value::Array(vec![value]) } else { value };
                values.insert(name.to_owned(), value);
            }
        }
    }
    Ok(Value::Object(values))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::testing::{asked, said, sent};

    #[derive(Debug, Deserialize, PartialEq)]
    struct Search {
        name: Option<String>,
        page: Option<u8>,
        #[serde(default)]
        tag: Vec<String>,
        #[serde(default)]
        is_open: bool,
    }

    impl Parameters for Search {
        fn parameters() -> Vec<Parameter> {
            Vec::new()
        }
    }

    fn search(query: &str) -> Result<Search, (u16, String)> {
        let request = asked(query);
        Query::from_request(&request).map(|Query(search)| search).map_err(|error| said(Some(error)))
    }

    #[test]
    fn a_query_has_the_types_that_are_asked_for() {
        let found = search("name=a+b&page=7&tag=x&tag=y&is_open=on&more=1").expect("a search");
        let expected = Search {
            name: Some("a b".to_owned()),
            page: Some(7),
            tag: vec!["x".to_owned(), "y".to_owned()],
            is_open: true,
        };
        assert_eq!(found, expected);
        assert_eq!(search("tag=x").expect("a search").tag, ["x"]);
        assert_eq!(search("tag%5B%5D=x").expect("a search").tag, ["x"]);
        assert_eq!(search("tag[]=x&tag[]=y").expect("a search").tag, ["x", "y"]);
    }

    #[test]
    fn empty_text_is_nothing_where_nothing_may_be() {
        let found = search("name=&page=").expect("a search");
        assert_eq!((found.name, found.page), (None, None));
    }

    #[test]
    fn refusals_name_the_parameter_and_the_type() {
        for (query, message) in [
            ("page=x", "page: invalid type: string \"x\", expected u8"),
            ("page=256", "page: invalid value: integer `256`, expected u8"),
            ("page=-1", "page: invalid value: integer `-1`, expected u8"),
            ("page=1.5", "page: invalid type: floating point `1.5`, expected u8"),
            ("name=a&name=b", "name: invalid type: sequence, expected a string"),
            ("is_open=maybe", "is_open: invalid type: string \"maybe\", expected a boolean"),
            ("name=%00", "name: the text has U+0000; leave that character out"),
        ] {
            assert_eq!(search(query), Err((400, message.to_owned())), "{query}");
        }
        assert_eq!(search(&"a=1&".repeat(MOST_VALUES + 1)).expect_err("too many").0, 400);
    }

    #[test]
    fn forms_are_told_by_their_type() {
        let request = sent("application/x-www-form-urlencoded; charset=utf-8", "page=3");
        let Form(found) = Form::<Search>::from_request(&request).expect("a form");
        assert_eq!(found.page, Some(3));
        let refusal = Form::<Search>::from_request(&sent("application/json", "page=3")).err();
        assert_eq!(said(refusal).0, 415);
    }

    #[test]
    fn merged_inputs_are_typed_whatever_they_came_as() {
        for (kind, body) in [
            ("application/json", r#"{"page":3,"name":5,"tag":["x",1],"is_open":true}"#),
            ("application/json", r#"{"page":"3","name":"5","tag":["x","1"],"is_open":"1"}"#),
            ("application/x-www-form-urlencoded", "page=3&name=+5+&tag[]=x&tag[]=1&is_open=true"),
        ] {
            let request = sent(kind, body);
            let Inputs(found) = Inputs::<Search>::from_request(&request).expect("inputs");
            assert_eq!((found.page, found.name.as_deref()), (Some(3), Some("5")), "{body}");
            assert_eq!((found.tag, found.is_open), (vec!["x".to_owned(), "1".to_owned()], true));
        }
    }
}
