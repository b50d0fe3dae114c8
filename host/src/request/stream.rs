//! The corridor of a `wasi:http` component: its request goes in as it arrives, and its answer out.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

use super::{Place, Sender, admit_caller, body, count, count_towards, inputs, log_failure, origin};
use crate::admission::shares::Share;
use crate::app::App;
use crate::error::{Error, Interrupted};
use crate::identity::{Caller, Rejection};
use crate::instance::Proxy;
use crate::listener::{self, Peer};
use crate::response::{self, Answer};
use crate::tenant::serving::Chosen;

/// Has the component answer a client, whose leaving ends it.
pub(super) async fn respond(
    app: &Arc<App>,
    peer: &Peer,
    place: &Place,
    (chosen, proxy): (Chosen<'_>, &Proxy),
    head: &Parts,
    body: Incoming,
    id: &Arc<str>,
) -> Result<Answer, Error> {
    let route = chosen.found.route;
    let client = inputs::client(peer.address.ip(), &head.headers, &app.http);
    let caller = admit_caller(&place.tenant, route, head, &[]).await?;
    let limit = route.body_limit.unwrap_or(app.http.body_bytes);
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > limit {
        let refused = Some(Error::BodyTooLarge);
        return match body::read(app, limit, client, head, body, refused).await {
            Err(error) => Err(error),
            Ok(_) => Err(Error::BodyTooLarge),
        };
    }
    let allowance = count(route, client, &caller)?;
    let served = &route.served;
    let places = (
        served.admission.admit_stream().await?,
        place.tenant.admission.admit_stream().await?,
        app.admission.admit_stream().await?,
    );
    let is_secure = inputs::is_secure(peer, &head.headers, &app.http);
    let sender = Sender { client, is_secure, caller, id: Arc::clone(id), depth: 0, number: None };
    let fault = Arc::new(OnceLock::new());
    let body = Arriving::new(body, limit, &app.http, Arc::clone(&fault));
    let call = Call { app, place, chosen, proxy, head, sender };
    let mut answer = call.answer(body, &fault, places).await?;
    if let Some(allowance) = allowance {
        response::allow(&mut answer, allowance);
    }
    Ok(answer)
}

/// A request that may be answered.
pub(super) struct Call<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) place: &'a Place,
    pub(super) chosen: Chosen<'a>,
    pub(super) proxy: &'a Proxy,
    pub(super) head: &'a Parts,
    pub(super) sender: Sender,
}

impl Call<'_> {
    /// Has the component answer another of its tenant's, whose group's and tenant's places the request has. For
    /// one of the host's it does not wait, or requests that hold places could wait for each other.
    pub(super) async fn within(self, body: Bytes, room: Share) -> Result<Answer, Error> {
        let held = (self.app.admission.admit_stream_now()?, room);
        let body = Full::new(body).map_err(|never| match never {});
        self.answer(body, &OnceLock::new(), held).await
    }

    /// `fault` is what befell the body on its way; `held` is kept until the component has ended.
    async fn answer<B>(
        self,
        body: B,
        fault: &OnceLock<Interrupted>,
        held: impl Send + 'static,
    ) -> Result<Answer, Error>
    where
        B: Body<Data = Bytes, Error = Interrupted> + Send + 'static,
    {
        let begun = std::time::Instant::now();
        let Call { app, place, chosen, proxy, head, sender } = self;
        let served = &chosen.found.route.served;
        let Sender { client, is_secure, caller, id, .. } = &sender;
        let url = proxy.url(&origin(app, head, *is_secure), head.uri.path(), head.uri.query());
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() =
            url.ok_or_else(|| Error::guests("its path is none within its mount"))?;
        *request.headers_mut() = headers(head, caller, proxy, (*client, *is_secure, id));
        let guest = super::guest(app, place, head, &sender, served, Bytes::new());
        let answered = proxy.answer(guest, request, held).await;
        let answered = answered
            .map_err(|failed| match fault.get() {
                // It could not answer what did not arrive.
                Some(interrupted) => Error::from(*interrupted),
                None => Error::Failed(failed),
            })
            .and_then(|answer| response::from_proxy(answer, &head.method, &app.unsent));
        log_failure(served, id, &answered);
        if let Some(trial) = chosen.trial {
            count_towards(trial, begun, &answered);
        }
        answered
    }
}

/// What a component is told by headers of ours, which no client can say instead.
const TOLD: [&str; 7] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-request-id",
];

/// The client's headers but for those of its connection and those that carry secrets of this host's, and
/// what a proxy in front would tell.
fn headers(
    head: &Parts,
    caller: &Caller,
    proxy: &Proxy,
    (client, is_secure, id): (IpAddr, bool, &str),
) -> HeaderMap {
    // A token that is none of this host's is one of the component's own.
    let is_foreign = matches!(caller, Caller::Anonymous | Caller::Rejected(Rejection::Malformed));
    let named: Vec<&str> = head
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let is_kept = |name: &HeaderName| match *name {
        header::CONTENT_LENGTH => true,
        header::COOKIE | header::PROXY_AUTHORIZATION | header::EXPECT => false,
        header::AUTHORIZATION => is_foreign,
        _ => {
            !response::belongs_to_connection(name)
                && !TOLD.contains(&name.as_str())
                && !named.iter().any(|named| name.as_str().eq_ignore_ascii_case(named))
        }
    };
    let kept = head.headers.iter().filter(|(name, _)| is_kept(name));
    let mut headers: HeaderMap = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut tell = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    tell("x-forwarded-for", &client.to_string());
    tell("x-forwarded-proto", if is_secure { "https" } else { "http" });
    tell("x-request-id", id);
    if !proxy.mount().is_empty() {
        tell("x-forwarded-prefix", proxy.mount());
    }
    headers
}

/// A request's body that is handed on as it arrives, within its limit and in time. Only the time counts in
/// which the client lets wait.
struct Arriving {
    /// What is left of it; nothing after its end.
    body: Option<Incoming>,
    limit: usize,
    arrived: usize,
    /// What a client may let wait at all, and bytes that earn it a second more.
    patience: Duration,
    rate: u64,
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    was_asked: bool,
    fault: Arc<OnceLock<Interrupted>>,
}

impl Arriving {
    fn new(
        body: Incoming,
        limit: usize,
        http: &listener::Config,
        fault: Arc<OnceLock<Interrupted>>,
    ) -> Self {
        Arriving {
            body: Some(body).filter(|body| !body.is_end_stream()),
            limit,
            arrived: 0,
            patience: Duration::from_secs(http.body_seconds),
            rate: http.body_bytes_per_second.max(1),
            waited: Duration::ZERO,
            waiting: None,
            was_asked: false,
            fault,
        }
    }

    /// Time that the client has left, if it lets wait from now on.
    fn left(&self) -> Duration {
        let earned = Duration::from_millis((self.arrived as u64).saturating_mul(1000) / self.rate);
        (self.patience + earned).saturating_sub(self.waited)
    }

    fn interrupt(
        &mut self,
        interrupted: Interrupted,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        // The first reason counts.
        let _ = self.fault.set(interrupted);
        if interrupted != Interrupted::TooLarge {
            self.body = None;
        }
        Poll::Ready(Some(Err(interrupted)))
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        let me = self.get_mut();
        me.was_asked = true;
        let Some(body) = &mut me.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            if let Some((since, _)) = me.waiting.take() {
                me.waited += since.elapsed();
            }
            return match frame {
                None => {
                    me.body = None;
                    Poll::Ready(None)
                }
                Some(Err(_)) => me.interrupt(Interrupted::Incomplete),
                Some(Ok(frame)) => {
                    me.arrived += frame.data_ref().map_or(0, Bytes::len);
                    if me.arrived > me.limit {
                        return me.interrupt(Interrupted::TooLarge);
                    }
                    Poll::Ready(Some(Ok(frame)))
                }
            };
        }
        let left = me.left();
        let (_, sleep) =
            me.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        me.interrupt(Interrupted::TooSlow)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A client that is still sending when the connection closes would lose the answer: what its component does
/// not read is read and thrown away, unless the client was to be asked for it first.
impl Drop for Arriving {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|_| self.was_asked) else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(tokio::time::timeout(self.left(), body::throw_away(body)));
        }
    }
}
