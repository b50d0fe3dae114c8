//! A request, with what handlers ask of it.

use std::cell::OnceCell;

use crate::bindings::wharf::plugin::http::{self, Caller, Identity};
use crate::{Error, Input};

/// A request. Its input is parsed when it is first asked for.
pub struct Request {
    request: http::Request,
    input: OnceCell<Input>,
}

impl Request {
    pub(crate) fn new(request: http::Request) -> Self {
        Request { request, input: OnceCell::new() }
    }

    /// The merged input.
    pub fn input(&self) -> &Input {
        self.input.get_or_init(|| Input::parse(&self.request))
    }

    /// A parameter of the path template; empty if the template has none of this name.
    ///
    /// U+0000 is taken out, as from every input.
    pub fn path(&self, name: &str) -> String {
        let found = self.request.path_parameters.iter().find(|(candidate, _)| candidate == name);
        found.map_or_else(String::new, |(_, value)| value.replace('\0', ""))
    }

    /// A parameter of the path that is the id of a row.
    pub fn id(&self, name: &str) -> Option<i64> {
        self.path(name).parse().ok()
    }

    /// The user who calls.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] on a public route that was called without a valid token.
    pub fn identity(&self) -> Result<&Identity, Error> {
        match &self.request.caller {
            Caller::Identity(identity) => Ok(identity),
            Caller::Anonymous | Caller::Rejected(_) => Err(Error::Unauthenticated),
        }
    }

    /// Scheme, authority and path, as the client wrote them, without the query.
    pub fn url(&self) -> String {
        format!("{}{}", self.request.origin, self.request.path)
    }
}
