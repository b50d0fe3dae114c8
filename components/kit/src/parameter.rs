//! What the API description says that a route reads.

use crate::bindings::exports::wharf::plugin::handler;
pub use crate::bindings::exports::wharf::plugin::handler::{Kind, Place};
use crate::{Map, Value};

/// One parameter of a route.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parameter {
    /// Its name; empty where its position names it, as in `Path<(i64, String)>`.
    pub name: &'static str,
    /// Where it is expected.
    pub place: Place,
    /// Its type.
    pub kind: Kind,
    /// Whether a request without it is refused.
    pub is_required: bool,
    /// One sentence about it.
    pub description: &'static str,
}

/// An input without which the request is refused.
pub const fn required(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, place: Place::Input, kind: Kind::Text, is_required: true, description }
}

/// An input that may be missing.
pub const fn optional(name: &'static str, description: &'static str) -> Parameter {
    Parameter { is_required: false, ..required(name, description) }
}

/// A file without which the request is refused.
pub const fn file(name: &'static str, description: &'static str) -> Parameter {
    Parameter { place: Place::File, kind: Kind::Binary, ..required(name, description) }
}

impl Parameter {
    /// One that its position names.
    pub const fn unnamed(kind: Kind) -> Self {
        Parameter { kind, ..required("", "") }
    }

    /// The same, of another type.
    #[must_use]
    pub const fn of_kind(self, kind: Kind) -> Self {
        Parameter { kind, ..self }
    }

    /// The same, in the path.
    #[must_use]
    pub const fn in_path(self) -> Self {
        Parameter { place: Place::Path, ..self }
    }

    pub(crate) fn told(&self) -> handler::Parameter {
        handler::Parameter {
            name: self.name.to_owned(),
            place: self.place,
            kind: self.kind,
            required: self.is_required,
            description: self.description.to_owned(),
        }
    }
}

/// What a type reads from a request, for the API description: derived beside serde's `Deserialize`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what it reads from a request",
    label = "add `#[derive(Parameters)]` to it",
    note = "types without names of their own implement it by hand, as `fn parameters() -> Vec<Parameter>`"
)]
pub trait Parameters {
    /// The parameters, in the order in which the type names them. A plain value is one without a name.
    fn parameters() -> Vec<Parameter>;
}

/// Plain values.
macro_rules! plain {
    ($kind:ident: $($of:ty),*) => {$(
        impl Parameters for $of {
            fn parameters() -> Vec<Parameter> {
                vec![Parameter::unnamed(Kind::$kind)]
            }
        }
    )*};
}

plain!(Integer: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);
plain!(Text: String, char, bool, f32, f64);

/// Values whose members nobody can name beforehand.
macro_rules! nameless {
    ($($of:ty $(where $parameter:ident)?),*) => {$(
        impl$(<$parameter>)? Parameters for $of {
            fn parameters() -> Vec<Parameter> {
                Vec::new()
            }
        }
    )*};
}

nameless!(
    (), Value, Map<String, Value>, Vec<T> where T,
    std::collections::BTreeMap<String, T> where T, std::collections::HashMap<String, T> where T
);

impl<T: Parameters> Parameters for Box<T> {
    fn parameters() -> Vec<Parameter> {
        T::parameters()
    }
}

impl<T: Parameters> Parameters for Option<T> {
    fn parameters() -> Vec<Parameter> {
        let optional = |parameter| Parameter { is_required: false, ..parameter };
        T::parameters().into_iter().map(optional).collect()
    }
}

/// Tuples of what a path has.
macro_rules! tuple {
    ($($of:ident),*) => {
        impl<$($of: Parameters),*> Parameters for ($($of,)*) {
            fn parameters() -> Vec<Parameter> {
                [$($of::parameters()),*].concat()
            }
        }
    };
}

tuple!(A);
tuple!(A, B);
tuple!(A, B, C);
tuple!(A, B, C, D);
