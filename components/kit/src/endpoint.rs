//! A group's table: each line is a route, what is told about it, and its handler.

use crate::bindings::exports::wharf::plugin::handler::{self, Access, Kind, Place, Route};
use crate::bindings::wharf::plugin::http;
use crate::{Error, Request, Response};

/// Answers a request, or says why not.
pub(crate) type Handler = fn(&Request) -> Result<Response, Error>;

/// One route and its handler.
pub struct Endpoint {
    method: &'static str,
    path: &'static str,
    handler: Handler,
    realm: Option<&'static str>,
    tag: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
}

/// An input of a route. Parameters of the path are read from its template.
pub struct Parameter {
    name: &'static str,
    required: bool,
    description: &'static str,
}

/// An input without which the request is refused.
pub const fn required(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, required: true, description }
}

/// An input that may be missing.
pub const fn optional(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, required: false, description }
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

    const fn new(method: &'static str, path: &'static str, handler: Handler) -> Self {
        Endpoint { method, path, handler, realm: None, tag: "", summary: "", parameters: &[] }
    }

    /// Only for users with a valid token of this realm; the host answers 401 to others.
    #[must_use]
    pub const fn signed_in(self, realm: &'static str) -> Self {
        Endpoint { realm: Some(realm), ..self }
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
        let inputs = self.parameters.iter().map(|parameter| (parameter, Place::Input));
        let parameter = |(parameter, place): (&Parameter, Place)| handler::Parameter {
            name: parameter.name.to_owned(),
            place,
            kind: Kind::Text,
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
            access: self.realm.map_or(Access::Public, |realm| Access::SignedIn(realm.to_owned())),
            tag: self.tag.to_owned(),
            summary: self.summary.to_owned(),
            parameters: in_path.chain(inputs.map(parameter)).collect(),
            body_limit: None,
        }
    }
}

/// The names in braces of a path template.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// What the component answers when the host asks for its routes.
pub fn routes(endpoints: &[Endpoint]) -> Vec<Route> {
    endpoints.iter().map(Endpoint::route).collect()
}

/// Has the endpoint that the host matched answer a request.
pub fn handle(endpoints: &[Endpoint], request: http::Request) -> Response {
    let Some(endpoint) = endpoints.get(request.route as usize) else {
        return Error::Internal("the host named a route that the component does not have".into())
            .answer();
    };
    (endpoint.handler)(&Request::new(request)).unwrap_or_else(Error::answer)
}
