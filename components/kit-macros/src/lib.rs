//! The attributes and derives of `wharf-kit`, which exports them; its documentation tells how they fit together.

mod arguments;
mod handler;
mod parameters;
mod template;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a function the handler of a route, for [`component!`](../wharf_kit/macro.component.html) to list.
///
/// The function takes what it needs from the request and returns an answer, or a `Result` of one. The first line of
/// its doc comment is the route's summary in the API description. It can be called as before, by tests too; its name is
/// taken for a type besides, so that no module or type beside it may have it.
///
/// ```
/// use wharf_kit::prelude::*;
///
/// /// Greets somebody.
/// #[get("/greetings/{name}", tag = "greetings")]
/// fn greet(Path(name): Path<String>) -> String {
///     format!("Hello, {name}!")
/// }
///
/// assert_eq!(greet(Path("world".to_owned())), "Hello, world!");
/// ```
///
/// After the path may follow, in any order:
///
/// | argument | meaning |
/// |---|---|
/// | `signed_in = "realm"` | only for users with a valid token of this realm; the host answers 401 to others |
/// | `exchanges = "realm"` | the same, where users exchange their token for a new one |
/// | `unlimited` | not throttled |
/// | `tag = "…"` | the heading that it stands under in the API description |
/// | `body_limit = N` | the largest body in bytes; a constant, or a function that is asked once, at deploy |
/// | `failing = f` | how a failure is told: `fn(&Request, Error) -> Response`, in place of `Error::answer` |
/// | `parameters = &[…]` | what it reads besides what its arguments say, such as files |
#[proc_macro_attribute]
pub fn get(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand("get", arguments.into(), item.into()).into()
}

/// A POST route; otherwise as [`macro@get`].
#[proc_macro_attribute]
pub fn post(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand("post", arguments.into(), item.into()).into()
}

/// A PUT route; otherwise as [`macro@get`].
#[proc_macro_attribute]
pub fn put(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand("put", arguments.into(), item.into()).into()
}

/// A PATCH route; otherwise as [`macro@get`].
#[proc_macro_attribute]
pub fn patch(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand("patch", arguments.into(), item.into()).into()
}

/// A DELETE route; otherwise as [`macro@get`].
#[proc_macro_attribute]
pub fn delete(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand("delete", arguments.into(), item.into()).into()
}

/// A route that answers OPTIONS, which the host does otherwise; not throttled. Otherwise as [`macro@get`].
#[proc_macro_attribute]
pub fn options(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand("options", arguments.into(), item.into()).into()
}

/// A route that answers every method that its path has no other route for; otherwise as [`macro@get`].
#[proc_macro_attribute]
pub fn every(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand("every", arguments.into(), item.into()).into()
}

/// Says what a type reads from a request, for the API description: names, kinds, what must be sent, and what the doc
/// comments say of it.
///
/// It stands beside serde's `Deserialize` and heeds its attributes, such as `rename_all`, `default` and `flatten`.
///
/// ```
/// use wharf_kit::prelude::*;
///
/// #[derive(Deserialize, Parameters)]
/// #[serde(rename_all = "camelCase")]
/// struct Search {
///     /// The name of the shop.
///     shop_name: String,
///     /// The page, from 1.
///     page: Option<u32>,
/// }
///
/// let parameters = Search::parameters();
/// assert_eq!(parameters[0].name, "shopName");
/// assert!(parameters[0].is_required && !parameters[1].is_required);
/// ```
#[proc_macro_derive(Parameters)]
pub fn parameters(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    parameters::expand(&item).unwrap_or_else(syn::Error::into_compile_error).into()
}
