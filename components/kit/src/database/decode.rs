//! Rows into structs: a serde deserializer over what the host returns.

use std::fmt::{self, Display};

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::{Error, Value};

/// Reads a row: a struct by the names of its columns, a tuple by their order, anything else from the one column.
pub(super) fn row<T: DeserializeOwned>(columns: &[String], values: &[Value]) -> Result<T, Error> {
    T::deserialize(Row { columns, values })
        .map_err(|why| Error::Failed(format!("a row does not fit its type: {why}")))
}

/// Why a row does not fit. Says of which types things are, and never what they hold: it is for the log.
#[derive(Debug)]
struct Unfit(String);

impl Unfit {
    /// The same, of a column.
    fn of(self, column: &str) -> Self {
        Unfit(format!("column {column}: {}", self.0))
    }
}

impl Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

impl de::Error for Unfit {
    fn custom<T: Display>(message: T) -> Self {
        Unfit(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Unfit(format!("wanted {wanted}, found {}", kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Unfit(format!("wanted {wanted}, found {} that is none", kind(found)))
    }

    fn invalid_length(length: usize, wanted: &dyn Expected) -> Self {
        Unfit(format!("wanted {wanted}, found {length} columns"))
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Unfit(format!("wanted one of {}, found text that is none", variants.join(", ")))
    }

    fn missing_field(name: &'static str) -> Self {
        Unfit(format!("the statement returns no column {name}"))
    }

    fn duplicate_field(name: &'static str) -> Self {
        Unfit(format!("the statement returns two columns {name}; name one of them with AS"))
    }
}

/// What a value is, without what it holds.
fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Unit | Unexpected::Option => "NULL",
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Signed(_) | Unexpected::Unsigned(_) => "an integer",
        Unexpected::Float(_) => "a float",
        Unexpected::Str(_) | Unexpected::Char(_) => "text",
        Unexpected::Bytes(_) | Unexpected::Seq => "a blob",
        _ => "something else",
    }
}

/// A row whose columns have names.
struct Row<'de> {
    columns: &'de [String],
    values: &'de [Value],
}

impl<'de> Row<'de> {
    fn cells(&self) -> impl Iterator<Item = Cell<'de>> + use<'de> {
        let columns = self.columns.iter().zip(self.values);
        columns.map(|(column, value)| Cell { column, value })
    }

    fn only(&self) -> Result<Cell<'de>, Unfit> {
        match (self.cells().next(), self.values.len()) {
            (Some(cell), 1) => Ok(cell),
            (_, columns) => Err(Unfit(format!("wanted one column, found {columns}"))),
        }
    }
}

/// What a statement with one column returns.
macro_rules! of_one_column {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            self.only()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Row<'de> {
    type Error = Unfit;

    of_one_column! {
        deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_option
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64 deserialize_bytes deserialize_byte_buf deserialize_seq
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let cells = self.cells().map(|cell| (cell.column, cell));
        MapDeserializer::new(cells).deserialize_map(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        if length != self.values.len() {
            return Err(Unfit(format!("wanted {length} columns, found {}", self.values.len())));
        }
        SeqDeserializer::new(self.cells()).deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_tuple(length, visitor)
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
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 unit unit_struct map struct identifier ignored_any
    }
}

/// One value of a row.
#[derive(Clone, Copy)]
struct Cell<'de> {
    column: &'de str,
    value: &'de Value,
}

impl<'de> IntoDeserializer<'de, Unfit> for Cell<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Cell<'de> {
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_borrowed_str(value),
            Value::Blob(value) => visitor.visit_borrowed_bytes(value),
        }
    }
}

impl<'de> Deserializer<'de> for Cell<'de> {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.visit(visitor).map_err(|why| why.of(self.column))
    }

    /// A BOOLEAN of a component's own tables is 0 or 1.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.value {
            Value::Integer(value @ (0 | 1)) => visitor.visit_bool(*value == 1),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// So that `Vec<u8>` holds a blob.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.value {
            Value::Blob(bytes) => {
                SeqDeserializer::new(bytes.iter().copied()).deserialize_seq(visitor)
            }
            _ => self.deserialize_any(visitor),
        }
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
        let read = match self.value {
            Value::Text(text) => {
                let text: de::value::StrDeserializer<'_, Unfit> = text.as_str().into_deserializer();
                text.deserialize_enum(name, variants, visitor)
            }
            _ => self.visit(visitor),
        };
        read.map_err(|why| why.of(self.column))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum State {
        Open,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Everything {
        id: u32,
        is_open: bool,
        weight: f64,
        name: String,
        picture: Vec<u8>,
        state: State,
        left: Option<i64>,
        ended: Option<i64>,
    }

    fn everything() -> Vec<(&'static str, Value)> {
        vec![
            ("id", Value::Integer(7)),
            ("is_open", Value::Integer(1)),
            ("weight", Value::Float(1.5)),
            ("name", Value::Text("a".into())),
            ("picture", Value::Blob(vec![0, 255])),
            ("state", Value::Text("open".into())),
            ("left", Value::Integer(3)),
            ("ended", Value::Null),
            ("more", Value::Text("not asked for".into())),
        ]
    }

    fn read<T: DeserializeOwned>(cells: Vec<(&str, Value)>) -> Result<T, String> {
        let (columns, values): (Vec<String>, Vec<Value>) =
            cells.into_iter().map(|(name, value)| (name.to_owned(), value)).unzip();
        row(&columns, &values).map_err(|error| match error {
            Error::Failed(why) => why,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_row_becomes_a_struct_by_the_names_of_its_columns() {
        let expected = Everything {
            id: 7,
            is_open: true,
            weight: 1.5,
            name: "a".into(),
            picture: vec![0, 255],
            state: State::Open,
            left: Some(3),
            ended: None,
        };
        assert_eq!(read(everything()), Ok(expected));
    }

    #[test]
    fn a_row_becomes_a_tuple_by_their_order_and_one_column_a_value() {
        let pair = || vec![("a", Value::Integer(1)), ("b", Value::Text("x".into()))];
        assert_eq!(read(pair()), Ok((1_i64, "x".to_owned())));
        assert_eq!(read(vec![("a", Value::Integer(5))]), Ok(5_i64));
        assert_eq!(read(vec![("a", Value::Null)]), Ok(None::<i64>));
        assert_eq!(read(vec![("a", Value::Blob(vec![1]))]), Ok(vec![1_u8]));
        assert_eq!(read(vec![("a", Value::Integer(2))]), Ok(2.0_f64));
        let told = |why: &str| format!("a row does not fit its type: {why}");
        let why = read::<i64>(pair()).expect_err("too many columns");
        assert_eq!(why, told("wanted one column, found 2"));
        let why = read::<(i64,)>(pair()).expect_err("too many columns");
        assert_eq!(why, told("wanted 1 columns, found 2"));
    }

    #[test]
    fn what_does_not_fit_is_told_by_column_and_type_and_never_by_what_it_holds() {
        for (column, value, why) in [
            ("id", Some(Value::Text("secret".into())), "column id: wanted u32, found text"),
            (
                "id",
                Some(Value::Integer(-1)),
                "column id: wanted u32, found an integer that is none",
            ),
            ("id", Some(Value::Null), "column id: wanted u32, found NULL"),
            (
                "is_open",
                Some(Value::Integer(2)),
                "column is_open: wanted a boolean, found an integer",
            ),
            ("weight", Some(Value::Blob(vec![1])), "column weight: wanted f64, found a blob"),
            ("name", Some(Value::Float(1.0)), "column name: wanted a string, found a float"),
            (
                "picture",
                Some(Value::Text("secret".into())),
                "column picture: wanted a sequence, found text",
            ),
            (
                "state",
                Some(Value::Text("secret".into())),
                "column state: wanted one of open, found text that is none",
            ),
            ("left", Some(Value::Boolean(true)), "column left: wanted i64, found a boolean"),
            ("name", None, "the statement returns no column name"),
        ] {
            let mut cells = everything();
            match value {
                Some(value) => {
                    cells
                        .iter_mut()
                        .filter(|(name, _)| *name == column)
                        .for_each(|cell| cell.1 = value.clone());
                }
                None => cells.retain(|(name, _)| *name != column),
            }
            let expected = format!("a row does not fit its type: {why}");
            assert_eq!(read::<Everything>(cells).expect_err(why), expected);
        }
    }

    #[test]
    fn a_column_that_is_there_twice_is_told() {
        let mut cells = everything();
        cells.push(("id", Value::Integer(8)));
        let why = read::<Everything>(cells).expect_err("two columns");
        assert!(why.ends_with("two columns id; name one of them with AS"), "{why}");
    }
}
