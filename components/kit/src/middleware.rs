//! What a component is made of that sees other groups' requests before and their answers after them.

pub use crate::bindings::wharf::plugin::http::{Request, Response};
pub use crate::bindings::wrapping::exports::wharf::plugin::middleware::{
    Action, Changes, Guest as Middleware,
};

impl Default for Changes {
    /// Nothing becomes different.
    fn default() -> Self {
        Changes { remove: Vec::new(), set: Vec::new(), add: Vec::new() }
    }
}

impl Request {
    /// A header's value, of several the first.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(candidate, _)| candidate == name)?;
        Some(value)
    }
}

/// Makes the crate a component that wraps other groups with a type that is a [`Middleware`].
#[macro_export]
macro_rules! wrap {
    ($middleware:ident) => {
        // The names that WIT gives to exports are no symbols that a native linker takes.
        #[cfg(target_family = "wasm")]
        $crate::bindings::wrapping::export!($middleware with_types_in $crate::bindings::wrapping);
    };
}
