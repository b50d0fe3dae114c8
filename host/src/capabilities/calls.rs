//! `outbound`: requests that a guest sends while it answers one. Those to its tenant's own groups are handed to
//! whoever has let its own request in; this room knows neither routes nor HTTP.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::outbound::{self, Behalf, Error, Outgoing, Response};

/// The word for the tenant's own groups, where a host name stands.
pub const SELF: &str = "self";

/// A request to the tenant's own groups.
pub struct Call {
    /// The method.
    pub method: String,
    /// The path, with the query if there is one.
    pub target: String,
    /// The headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether it is sent on behalf of the caller, rather than of nobody.
    pub as_caller: bool,
}

/// The answer to a [`Call`].
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why a [`Call`] has no answer.
pub enum Unanswered {
    /// It is one too many; says of what.
    Denied(String),
    /// It is no request; says why.
    Invalid(String),
    /// The answer has more bytes than one may have.
    TooLarge,
    /// Anything else, for logs.
    Failed(String),
}

/// An answer that is on its way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Answered, Unanswered>> + Send + 'a>>;

/// Answers requests of guests from within the host, as the request that the guest answers has been let in.
pub trait Inside: Send + Sync {
    /// Has the group answer whose route it is.
    fn answer(&self, call: Call) -> Answering<'_>;
}

/// What one request may send.
pub struct Calls<'a> {
    inside: Option<&'a Arc<dyn Inside>>,
    group: &'a str,
    may_call: bool,
}

impl Calls<'_> {
    async fn answer(&self, request: Outgoing) -> Result<Response, Error> {
        let Outgoing { method, url, headers, body, behalf } = request;
        let target = self.target(&url)?;
        let Some(inside) = self.inside else {
            return Err(Error::Unreachable("requests can be sent while one is answered".into()));
        };
        let as_caller = behalf == Behalf::Caller;
        let call = Call { method, target, headers, body, as_caller };
        let Answered { status, headers, body } = inside.answer(call).await?;
        Ok(Response { status, headers, body })
    }

    /// The path and the query of a URL of the tenant's own.
    fn target(&self, url: &str) -> Result<String, Error> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(Error::Invalid(format!("{url:?} is no URL; write http://self/path")));
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(end);
        if host != SELF || scheme != "http" {
            return Err(Error::Denied(format!(
                "group {} calls {scheme}://{host}, and this interface reaches the tenant's own groups alone: http://self/path",
                self.group
            )));
        }
        if !self.may_call {
            return Err(Error::Denied(format!(
                "group {} calls its tenant's own groups and has not asked for it: write outbound = [\"self\"] into its wharf-plugin.toml, or into [groups.{}]",
                self.group, self.group
            )));
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(format!("{slash}{target}"))
    }
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Denied(why) => Error::Denied(why),
            Unanswered::Invalid(why) => Error::Invalid(why),
            Unanswered::TooLarge => Error::TooLarge,
            Unanswered::Failed(why) => Error::Failed(why),
        }
    }
}

impl outbound::Host for Calls<'_> {
    async fn send(&mut self, request: Outgoing) -> wasmtime::Result<Result<Response, Error>> {
        Ok(self.answer(request).await)
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Calls<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    outbound::add_to_linker::<_, View>(linker, |guest| Calls {
        inside: guest.inside.as_ref(),
        group: &guest.group.origin.group,
        may_call: guest.group.calls_self,
    })
}
