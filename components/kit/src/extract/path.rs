//! The parameters of a path.

use std::ops::Deref;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use serde_json::Error as Unfit;

use super::FromRequest;
use super::loose::Loose;
use crate::{Error, Parameter, Parameters, Request, Value};

/// The parameters of the path template: one value, a tuple in the order of the path, or a struct by their names.
///
/// A value that is none of the type is a 404: there is nothing at such a path.
///
/// ```
/// use wharf_kit::prelude::*;
///
/// /// One page of a book.
/// #[get("/books/{title}/{page}")]
/// fn page(Path((title, page)): Path<(String, u32)>) -> String {
///     format!("page {page} of {title}")
/// }
///
/// assert_eq!(page(Path(("Emma".to_owned(), 7))), "page 7 of Emma");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<'r, T: DeserializeOwned + Parameters> FromRequest<'r> for Path<T> {
    fn from_request(request: &'r Request) -> Result<Self, Error> {
        let values = request.path_parameters().iter();
        let values: Vec<(&str, Value)> =
            values.map(|(name, value)| (name.as_str(), value.as_str().into())).collect();
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.contains('\0'));
        if !values.iter().all(|(_, value)| is_text(value)) {
            return Err(Error::not_found("Not Found"));
        }
        match T::deserialize(Values(&values)) {
            Ok(value) => Ok(Path(value)),
            Err(_) => Err(Error::not_found("Not Found")),
        }
    }

    fn parameters() -> Vec<Parameter> {
        T::parameters().into_iter().map(Parameter::in_path).collect()
    }
}

impl<T> Deref for Path<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The names and values of a path.
struct Values<'de>(&'de [(&'de str, Value)]);

impl<'de> Values<'de> {
    fn one(&self) -> Result<Loose<'de>, Unfit> {
        match self.0 {
            [(_, value)] => Ok(Loose(value)),
            several => {
                let message =
                    format!("a path with {} parameters is no single value", several.len());
                Err(serde::de::Error::custom(message))
            }
        }
    }
}

/// Plain values, which a path with one parameter has.
macro_rules! plain {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            self.one()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Values<'de> {
    type Error = Unfit;

    plain! {
        deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_option
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let members = self.0.iter().map(|(name, value)| (*name, Loose(value)));
        MapDeserializer::new(members).deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        SeqDeserializer::new(self.0.iter().map(|(_, value)| Loose(value))).deserialize_seq(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.one()?.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 bytes byte_buf unit unit_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::testing::{at, said};

    #[derive(Debug, Deserialize, PartialEq)]
    struct Book {
        title: String,
        page: u32,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Shelf {
        Poems,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Id(i64);

    /// Reads the parameters of a path as a type.
    fn read<T: DeserializeOwned>(parameters: &[(&str, &str)]) -> Option<T> {
        let values: Vec<(&str, Value)> =
            parameters.iter().map(|(name, value)| (*name, Value::from(*value))).collect();
        T::deserialize(Values(&values)).ok()
    }

    #[test]
    fn one_value_is_itself() {
        assert_eq!(read(&[("id", "7")]), Some(7_i64));
        assert_eq!(read(&[("id", "7")]), Some("7".to_owned()));
        assert_eq!(read(&[("id", "7")]), Some(Id(7)));
        assert_eq!(read(&[("shelf", "poems")]), Some(Shelf::Poems));
        assert_eq!(read(&[("is", "true")]), Some(true));
        assert_eq!(read(&[("c", "é")]), Some('é'));
        for wrong in ["", "x", "1.5", "99999999999999999999", " 7"] {
            assert_eq!(read::<i64>(&[("id", wrong)]), None, "{wrong}");
        }
        assert_eq!(read::<u8>(&[("id", "256")]), None);
        assert_eq!(read::<Shelf>(&[("shelf", "prose")]), None);
    }

    #[test]
    fn several_are_a_tuple_or_a_struct() {
        let path = [("title", "7"), ("page", "8")];
        assert_eq!(read(&path), Some(("7".to_owned(), 8_u32)));
        assert_eq!(read(&path), Some(Book { title: "7".to_owned(), page: 8 }));
        assert_eq!(read(&path[..1]), Some(("7".to_owned(),)));
        assert_eq!(read::<(String, u32)>(&[("title", "7"), ("page", "eight")]), None);
        assert_eq!(read::<String>(&path), None);
    }

    #[test]
    fn what_is_no_value_of_its_type_is_not_there() {
        for value in ["x", "7\0"] {
            let refusal = Path::<i64>::from_request(&at(&[("id", value)])).err();
            assert_eq!(said(refusal), (404, "Not Found".to_owned()));
        }
        let refusal = Path::<String>::from_request(&at(&[("id", "a\0")])).err();
        assert_eq!(said(refusal), (404, "Not Found".to_owned()));
    }
}
