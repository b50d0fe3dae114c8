//! A group's table: each line is a route, what is told about it, and its handler.

use crate::bindings::exports::wharf::plugin::handler::{self, Access, Route, Throttle};
use crate::bindings::wharf::plugin::http;
use crate::parameter::{Kind, Parameter, Place};
use crate::{Error, Request, Response};

/// What answers a request, or says why not.
pub type Handler = fn(&Request) -> Result<Response, Error>;

/// One route and its handler.
pub struct Endpoint {
    method: &'static str,
    path: &'static str,
    handler: Handler,
    failure: fn(&Request, Error) -> Response,
    realm: Option<&'static str>,
    exchanges: bool,
    unlimited: bool,
    body_limit: Option<fn() -> u32>,
    tag: &'static str,
    summary: &'static str,
    described: fn() -> Vec<Parameter>,
    parameters: &'static [Parameter],
}

/// A function that an attribute such as [`get`](crate::get) has given a route.
pub trait Handles {
    /// The route, and how the function is called.
    const ENDPOINT: Endpoint;
}

impl Endpoint {
    /// A GET route, which answers HEAD as well.
    pub const fn get(path: &'static str, handler: Handler) -> Self {
        Endpoint::new("GET", path, handler)
    }

    /// A POST route.
    pub const fn post(path: &'static str, handler: Handler) -> Self {
        Endpoint::new("POST", path, handler)
    }

    /// A PUT route.
    pub const fn put(path: &'static str, handler: Handler) -> Self {
        Endpoint::new("PUT", path, handler)
    }

    /// A PATCH route.
    pub const fn patch(path: &'static str, handler: Handler) -> Self {
        Endpoint::new("PATCH", path, handler)
    }

    /// A DELETE route.
    pub const fn delete(path: &'static str, handler: Handler) -> Self {
        Endpoint::new("DELETE", path, handler)
    }

    /// A route that answers OPTIONS, which the host does otherwise.
    pub const fn options(path: &'static str, handler: Handler) -> Self {
        Endpoint::new("OPTIONS", path, handler).unlimited()
    }

    /// A route that answers every method that its path has no other route for.
    pub const fn every(path: &'static str, handler: Handler) -> Self {
        Endpoint::new("*", path, handler)
    }

    const fn new(method: &'static str, path: &'static str, handler: Handler) -> Self {
        Endpoint {
            method,
            path,
            handler,
            failure: plainly,
            realm: None,
            exchanges: false,
            unlimited: false,
            body_limit: None,
            tag: "",
            summary: "",
            described: Vec::new,
            parameters: &[],
        }
    }

    /// Not throttled.
    #[must_use]
    pub const fn unlimited(self) -> Self {
        Endpoint { unlimited: true, ..self }
    }

    /// The largest body in bytes that it takes; asked for once, when the component is deployed.
    #[must_use]
    pub const fn body_limit(self, limit: fn() -> u32) -> Self {
        Endpoint { body_limit: Some(limit), ..self }
    }

    /// Only for users with a valid token of this realm; the host answers 401 to others.
    #[must_use]
    pub const fn signed_in(self, realm: &'static str) -> Self {
        Endpoint { realm: Some(realm), ..self }
    }

    /// As [`Endpoint::signed_in`], where users exchange their token: one that was exchanged before and comes
    /// again ends all tokens of its sign-in.
    #[must_use]
    pub const fn exchanges(self, realm: &'static str) -> Self {
        Endpoint { realm: Some(realm), exchanges: true, ..self }
    }

    /// How a client is told that its handler did not do what was asked, where that is not [`Error::answer`].
    #[must_use]
    pub const fn failing(self, failure: fn(&Request, Error) -> Response) -> Self {
        Endpoint { failure, ..self }
    }

    /// The heading that it stands under in the API description.
    #[must_use]
    pub const fn tag(self, tag: &'static str) -> Self {
        Endpoint { tag, ..self }
    }

    /// One sentence about it.
    #[must_use]
    pub const fn summary(self, summary: &'static str) -> Self {
        Endpoint { summary, ..self }
    }

    /// What the types say that it reads; asked for once, when the component is deployed.
    #[must_use]
    pub const fn described(self, described: fn() -> Vec<Parameter>) -> Self {
        Endpoint { described, ..self }
    }

    /// What it reads besides.
    #[must_use]
    pub const fn parameters(self, parameters: &'static [Parameter]) -> Self {
        Endpoint { parameters, ..self }
    }

    fn route(&self) -> Route {
        Route {
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            access: match self.realm {
                None => Access::Public,
                Some(realm) if self.exchanges => Access::Exchanging(realm.to_owned()),
                Some(realm) => Access::SignedIn(realm.to_owned()),
            },
            throttle: if self.unlimited { Throttle::Unlimited } else { Throttle::Usual },
            tag: self.tag.to_owned(),
            summary: self.summary.to_owned(),
            parameters: self.all_parameters(),
            body_limit: self.body_limit.map(|limit| limit()),
        }
    }

    /// Those of the path, by its template, then the others.
    fn all_parameters(&self) -> Vec<handler::Parameter> {
        let (typed, mut others): (Vec<_>, Vec<_>) =
            (self.described)().into_iter().partition(|parameter| parameter.place == Place::Path);
        // What takes a body as it is says nothing that has a name.
        others.retain(|parameter| !parameter.name.is_empty());
        let in_path = names(self.path).enumerate().map(|(index, name)| {
            let named = typed.iter().find(|parameter| parameter.name == name);
            let placed = || typed.get(index).filter(|parameter| parameter.name.is_empty());
            let typed = named.or_else(placed);
            handler::Parameter {
                name: name.to_owned(),
                place: Place::Path,
                kind: typed.map_or(Kind::Text, |parameter| parameter.kind),
                required: true,
                description: typed.map_or_else(String::new, |typed| typed.description.to_owned()),
            }
        });
        in_path.chain(others.iter().chain(self.parameters).map(Parameter::told)).collect()
    }
}

/// The names in braces of a path template.
fn names(path: &str) -> impl Iterator<Item = &str> {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| name.trim_start_matches('*'))
}

/// What the component answers when the host asks for its routes.
pub fn routes(tables: &[&[Endpoint]]) -> Vec<Route> {
    tables.iter().copied().flatten().map(Endpoint::route).collect()
}

/// Has the endpoint that the host matched answer a request.
pub fn handle(tables: &[&[Endpoint]], request: http::Request) -> Response {
    let Some(endpoint) = tables.iter().copied().flatten().nth(request.route as usize) else {
        return Error::Internal("the host named a route that the component does not have".into())
            .answer();
    };
    let request = Request::new(request);
    (endpoint.handler)(&request).unwrap_or_else(|error| (endpoint.failure)(&request, error))
}

fn plainly(_: &Request, error: Error) -> Response {
    error.answer()
}
