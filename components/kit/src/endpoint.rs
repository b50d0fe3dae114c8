//! A group's table: each line is a route, what is told about it, and its handler.

use crate::bindings::exports::wharf::plugin::handler::{
    self, Access, Kind, Place, Route, Throttle,
};
use crate::bindings::wharf::plugin::http;
use crate::{Error, Request, Response};

/// Answers a request, or says why not.
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
    parameters: &'static [Parameter],
}

/// An input of a route. Parameters of the path are read from its template.
pub struct Parameter {
    name: &'static str,
    required: bool,
    file: bool,
    description: &'static str,
}

/// An input without which the request is refused.
pub const fn required(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, required: true, file: false, description }
}

/// An input that may be missing.
pub const fn optional(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, required: false, file: false, description }
}

/// A file without which the request is refused.
pub const fn file(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, required: true, file: true, description }
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

    /// What it reads from the merged input.
    #[must_use]
    pub const fn parameters(self, parameters: &'static [Parameter]) -> Self {
        Endpoint { parameters, ..self }
    }

    fn route(&self) -> Route {
        let input = |parameter: &Parameter| handler::Parameter {
            name: parameter.name.to_owned(),
            place: if parameter.file { Place::File } else { Place::Input },
            kind: if parameter.file { Kind::Binary } else { Kind::Text },
            required: parameter.required,
            description: parameter.description.to_owned(),
        };
        let in_path = names(self.path).map(|name| handler::Parameter {
            name: name.to_owned(),
            place: Place::Path,
            kind: Kind::Text,
            required: true,
            description: String::new(),
        });
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
            parameters: in_path.chain(self.parameters.iter().map(input)).collect(),
            body_limit: self.body_limit.map(|limit| limit()),
        }
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
