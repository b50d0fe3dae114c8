//! Requests that components send to groups of their own tenant: the same walk, without a socket.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Uri};

use super::{Place, Received, Sender, check_size, count, counted_call, fitting, sticky, stream};
use crate::app::App;
use crate::capabilities::calls::{Answered, Answering, Call, Inside, Unanswered};
use crate::error::Error;
use crate::identity::Caller;
use crate::response::{self, Answer};
use crate::tenant::Served;

/// The request that a component is answering, which others are sent in the wake of.
pub(super) struct Within {
    app: Arc<App>,
    place: Place,
    caller: Caller,
    client: IpAddr,
    is_secure: bool,
    id: Arc<str>,
    /// What clients call the tenant.
    host: Option<HeaderValue>,
    /// A number of the caller's, which says whether a revision on trial answers.
    number: u64,
    /// Whether the client asks for the last good revisions of groups.
    last_good: bool,
    /// How many requests this one is within.
    depth: usize,
    /// How many it may be.
    nesting: usize,
    /// Bytes of an answer.
    most: usize,
    /// Requests that were sent so far.
    sent: AtomicU32,
}

impl Within {
    /// What a group's component sends requests through while it answers one.
    pub(super) fn new(
        app: &Arc<App>,
        place: &Place,
        head: &Parts,
        sender: &Sender,
        served: &Served,
    ) -> Self {
        let limits = served.revision.limits();
        // Whose request it is, is asked while there are trials alone.
        let on_trial = place.serving.trials().next().is_some();
        let number = match sender.number {
            Some(number) => number,
            None if on_trial => sticky(&place.tenant, head, sender.client),
            None => 0,
        };
        Within {
            app: Arc::clone(app),
            place: place.clone(),
            caller: sender.caller.clone(),
            client: sender.client,
            is_secure: sender.is_secure,
            id: Arc::clone(&sender.id),
            host: super::authority(head).and_then(|host| HeaderValue::from_str(host).ok()),
            number,
            last_good: super::wants_last_good(head),
            depth: sender.depth,
            nesting: limits.nesting,
            most: limits.response_bytes,
            sent: AtomicU32::new(0),
        }
    }

    async fn whole_answer(&self, call: Call) -> Result<Answered, Unanswered> {
        if self.depth >= self.nesting {
            return Err(Unanswered::Denied(format!(
                "this request is within {} others, and may not be within more (limits.nesting)",
                self.depth
            )));
        }
        let as_caller = call.as_caller;
        let (head, body) = self.head(call)?;
        let answered = self.respond(&head, body, as_caller).await;
        let answer = answered.unwrap_or_else(|error| response::from_error(&error));
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.most).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                Unanswered::TooLarge
            } else {
                Unanswered::Failed(format!("the answer broke off: {error}"))
            }
        })?;
        let headers = head.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        Ok(Answered {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: body.to_bytes().into(),
        })
    }

    /// The head of a request, as if it had arrived where the present one did.
    fn head(&self, call: Call) -> Result<(Parts, Bytes), Unanswered> {
        let Call { method, target, headers, body, .. } = call;
        let invalid = |what: &str| Unanswered::Invalid(format!("{what} is not valid in HTTP"));
        let uri: Uri = target.parse().map_err(|_| invalid("the URL"))?;
        let method =
            hyper::Method::from_bytes(method.as_bytes()).map_err(|_| invalid("the method"))?;
        let request = Request::builder().method(method).uri(uri).body(());
        let (mut head, ()) = request.map_err(|_| invalid("the request"))?.into_parts();
        for (name, value) in headers {
            let wrong = || invalid(&format!("the header {:?}", name.escape_debug().to_string()));
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            let value = HeaderValue::from_bytes(&value).map_err(|_| wrong())?;
            if !response::belongs_to_connection(&header) && !super::SECRET.contains(&header) {
                head.headers.append(header, value);
            }
        }
        if self.last_good {
            head.headers.insert(response::REVISION, HeaderValue::from_static("last-good"));
        }
        head.headers.remove(header::HOST);
        if let Some(host) = &self.host {
            head.headers.insert(header::HOST, host.clone());
        }
        Ok((head, body.into()))
    }

    async fn respond(&self, head: &Parts, body: Bytes, as_caller: bool) -> Result<Answer, Error> {
        let Within { app, place, client, is_secure, number, .. } = self;
        check_size(app, head)?;
        let chosen = place.serving.find(head.method.as_str(), head.uri.path(), || *number)?;
        let route = chosen.found.route;
        if let Some(broken) = place.broken(route, || self.last_good) {
            return Err(Error::Broken(broken));
        }
        if body.len() > route.body_limit.unwrap_or(app.http.body_bytes) {
            return Err(Error::BodyTooLarge);
        }
        let caller = if as_caller { self.caller.clone() } else { Caller::Anonymous };
        let caller = fitting(route, caller)?;
        let allowance = count(route, *client, &caller)?;
        let mut room = app.bodies.of(None);
        if !room.take(body.len()) {
            return Err(Error::Overloaded);
        }
        let sent = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let sender = Sender {
            client: *client,
            is_secure: *is_secure,
            caller,
            id: format!("{}-{sent}", self.id).into(),
            depth: self.depth + 1,
            number: Some(*number),
        };
        let mut answer = match route.served.revision.proxy() {
            Some(proxy) => {
                let call = stream::Call { app, place, chosen, proxy, head, sender };
                call.within(body, room).await?
            }
            None => counted_call(app, place, chosen, head, Received { body, room, sender }).await?,
        };
        if let Some(allowance) = allowance {
            response::allow(&mut answer, allowance);
        }
        Ok(answer)
    }
}

impl Inside for Within {
    fn answer(&self, call: Call) -> Answering<'_> {
        Box::pin(self.whole_answer(call))
    }
}
