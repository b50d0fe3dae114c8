//! `wasi:http/proxy` 0.2: a component that is mounted on a path, reads its request as it arrives and
//! streams its answer.
//!
//! The instance lives until its answer is sent, and computes while the connection asks for more of it: a
//! client that takes nothing makes it wait, and one that leaves ends it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{self, HeaderMap};
use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView as _};

use super::turns::Counted;
use super::{CallFailed, Limits, log_output, store, took_too_long, within};
use crate::bindings::exports::wharf::plugin::handler::{Access, Route, Throttle};
use crate::bindings::wharf::plugin::http as wit;
use crate::capabilities::{Group, Guest};
use crate::error::Interrupted;
use crate::tenant::manifest::check_mount;

/// A component that is called through `wasi:http/incoming-handler`.
#[derive(Clone)]
pub struct Proxy {
    pre: ProxyPre<Guest>,
    mount: Arc<str>,
    limits: Limits,
}

/// The body of an answer.
pub enum Content {
    /// All of it: the component has ended.
    Whole(Bytes),
    /// What there is of it, and the component that makes the rest.
    Streamed(Box<Streaming>),
}

/// A call that goes on.
type Call = Counted<Pin<Box<dyn Future<Output = Result<(), CallFailed>> + Send>>>;

/// What a component says of its answer's head.
type Head = Result<Response<WasiBody>, types::ErrorCode>;

impl Proxy {
    pub(super) fn new(pre: ProxyPre<Guest>, mount: &str, limits: Limits) -> Result<Self, String> {
        check_mount(mount)?;
        Ok(Proxy { pre, mount: mount.trim_end_matches('/').into(), limits })
    }

    /// Where its paths begin, without the slash behind it; nothing if it answers all paths.
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// A URL as the component sees it: its paths begin where it is mounted. `None` if it is of another's.
    pub fn url(&self, origin: &str, path: &str, query: Option<&str>) -> Option<Uri> {
        let path = path.strip_prefix(self.mount())?;
        let slash = if path.is_empty() { "/" } else { "" };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{origin}{path}{slash}{query}").parse().ok()
    }

    /// Everything below its mount, by every method.
    pub(super) fn routes(&self) -> Vec<Route> {
        let mount = &self.mount;
        let root = if mount.is_empty() { None } else { Some(mount.to_string()) };
        let below = [format!("{mount}/"), format!("{mount}/{{*rest}}")];
        let route = |path| Route {
            method: "*".to_owned(),
            path,
            access: Access::Public,
            throttle: Throttle::Usual,
            tag: "wasi:http".to_owned(),
            summary: String::new(),
            parameters: Vec::new(),
            body_limit: Some(u32::try_from(self.limits.stream_request_bytes).unwrap_or(u32::MAX)),
        };
        root.into_iter().chain(below).map(route).collect()
    }

    /// Has a fresh instance answer a request that is there whole, and tells the status of the answer's head.
    pub(super) async fn status_of(
        &self,
        guest: Guest,
        asked: &wit::Request<'_>,
    ) -> Result<u16, CallFailed> {
        let invalid = |error| CallFailed::guests(format!("the request is none of HTTP: {error}"));
        let query = Some(asked.query).filter(|query| !query.is_empty());
        let url = self.url(asked.origin, asked.path, query);
        let url = url.ok_or_else(|| CallFailed::guests("the request's URL is none of HTTP"))?;
        let mut request = Request::builder().method(asked.method).uri(url);
        for (name, value) in asked.headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(guest.body.clone()).map_err(|never| match never {});
        let answer = self.answer(guest, request.body(body).map_err(invalid)?, ()).await?;
        Ok(answer.status().as_u16())
    }

    /// Has a fresh instance answer a request. `held` is kept for as long as the instance lives.
    ///
    /// # Errors
    /// Why there is no answer, or not even the head of one in time.
    pub async fn answer<B>(
        &self,
        guest: Guest,
        request: Request<B>,
        held: impl Send + 'static,
    ) -> Result<Response<Content>, CallFailed>
    where
        B: Body<Data = Bytes, Error = Interrupted> + Send + 'static,
    {
        let deadline = Instant::now() + Duration::from_millis(self.limits.stream_milliseconds);
        let is_head = request.method() == Method::HEAD;
        let teller =
            Teller { group: Arc::clone(&guest.group), request: Arc::clone(&guest.request) };
        let (sender, mut head) = oneshot::channel();
        let call = call(self.pre.clone(), self.limits, guest, request, sender, held);
        let mut call: Call = Counted::new(Box::pin(call));
        let mut ended = None;
        let answered = poll_fn(|cx| {
            if ended.is_none()
                && let Poll::Ready(outcome) = call.poll_unpin(cx)
            {
                ended = Some(outcome);
            }
            head.poll_unpin(cx)
        });
        let answered = within(self.limits.call_milliseconds, answered).await;
        let answered = answered.map_err(|_| took_too_long(&self.limits))?;
        let is_running = ended.is_none();
        ended.unwrap_or(Ok(()))?;
        let answer = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(code)) => {
                return Err(CallFailed::guests(format!("it answered with an error: {code}")));
            }
            Err(_) => return Err(CallFailed::guests("it gave no answer")),
        };
        let (head, body) = answer.into_parts();
        let mut streaming = Streaming {
            call: is_running.then_some(call),
            ended: None,
            ahead: Vec::new().into_iter(),
            body,
            rest: Rest::of(&head.headers, is_head, head.status),
            left: self.limits.stream_response_bytes,
            deadline,
            timer: None,
            limits: self.limits,
            teller,
        };
        streaming.take(size_of(&head.headers))?;
        let content = if is_running {
            Content::Streamed(Box::new(streaming))
        } else {
            streaming.collect()?
        };
        Ok(Response::from_parts(head, content))
    }
}

/// Runs a call to its end.
async fn call<B>(
    pre: ProxyPre<Guest>,
    limits: Limits,
    guest: Guest,
    request: Request<B>,
    head: oneshot::Sender<Head>,
    held: impl Send + 'static,
) -> Result<(), CallFailed>
where
    B: Body<Data = Bytes, Error = Interrupted> + Send + 'static,
{
    let _held = held;
    let mut store = store(pre.engine(), &limits, guest);
    let done = async {
        let scheme = match request.uri().scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => types::Scheme::Https,
            _ => types::Scheme::Http,
        };
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(scheme, request)?;
        let outparam = http.new_response_outparam(head)?;
        let proxy = pre.instantiate_async(&mut store).await?;
        proxy.wasi_http_incoming_handler().call_handle(&mut store, request, outparam).await
    }
    .await;
    log_output(store.data_mut());
    done.map_err(|error| CallFailed::of(&error, store.data()))
}

/// In the words of `wasi:http/types`.
impl From<Interrupted> for Error {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::TooSlow => Error::ConnectionReadTimeout,
            Interrupted::TooLarge => Error::HttpRequestBodySize(None),
            Interrupted::Incomplete => Error::ConnectionTerminated,
        }
    }
}

/// Bytes of all names and values.
fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// How much of an answer's body is still to come.
enum Rest {
    /// The component says so when it is over.
    Unknown,
    /// So many bytes.
    Bytes(u64),
    /// Nothing that anybody would take.
    Nothing,
}

impl Rest {
    fn of(headers: &HeaderMap, is_head: bool, status: StatusCode) -> Self {
        if is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Rest::Nothing;
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        length.and_then(|length| length.parse().ok()).map_or(Rest::Unknown, Rest::Bytes)
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Rest::Nothing | Rest::Bytes(0))
    }
}

/// The body of an answer that its component still makes, or has made in part.
pub struct Streaming {
    /// The component, until it has ended.
    call: Option<Call>,
    /// How it has ended.
    ended: Option<CallFailed>,
    /// What was taken from the body before it was asked for.
    ahead: std::vec::IntoIter<Frame<Bytes>>,
    body: WasiBody,
    rest: Rest,
    /// Bytes that may still be sent.
    left: usize,
    deadline: Instant,
    /// Wakes the connection at the deadline; made when there is something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
    limits: Limits,
    teller: Teller,
}

impl Streaming {
    /// Looks for all of the body, which is there unless its end has trailers: the component has ended.
    fn collect(mut self) -> Result<Content, CallFailed> {
        let mut frames: Vec<Frame<Bytes>> = Vec::new();
        let is_whole = loop {
            let next = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).now_or_never();
            match next {
                Some(Some(Ok(frame))) => {
                    self.take(frame.data_ref().map_or(0, Bytes::len))?;
                    frames.push(frame);
                }
                Some(Some(Err(error))) => return Err(broken_off(&error)),
                Some(None) => break frames.iter().all(Frame::is_data),
                None => break false,
            }
        };
        if !is_whole {
            self.ahead = frames.into_iter();
            return Ok(Content::Streamed(Box::new(self)));
        }
        let mut pieces = frames.into_iter().filter_map(|frame| frame.into_data().ok());
        let first = pieces.next().unwrap_or_default();
        let rest: Vec<Bytes> = pieces.collect();
        if rest.is_empty() {
            return Ok(Content::Whole(first));
        }
        Ok(Content::Whole([&[first], rest.as_slice()].concat().concat().into()))
    }

    /// Counts bytes towards what may be sent.
    fn take(&mut self, bytes: usize) -> Result<(), CallFailed> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            let most = self.limits.stream_response_bytes;
            CallFailed::guests(format!(
                "it answered with more than {most} bytes (limits.stream_response_bytes)"
            ))
        })?;
        Ok(())
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CallFailed>>> {
        if let Some(frame) = self.ahead.next() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if Instant::now() >= self.deadline {
            return Poll::Ready(Some(Err(stream_took_too_long(&self.limits))));
        }
        if let Some(call) = &mut self.call
            && let Poll::Ready(outcome) = call.poll_unpin(cx)
        {
            (self.call, self.ended) = (None, outcome.err());
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                self.take(size)?;
                if let Rest::Bytes(rest) = &mut self.rest {
                    *rest = rest.saturating_sub(size as u64);
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(broken_off(&error)))),
            Poll::Ready(None) => {
                // A body also ends when the component does that was to go on with it.
                self.rest = Rest::Nothing;
                return Poll::Ready(self.ended.take().map(Err));
            }
            Poll::Pending => {}
        }
        let deadline = self.deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().poll(cx).map(|()| Some(Err(stream_took_too_long(&self.limits))))
    }
}

impl Body for Streaming {
    type Data = Bytes;
    type Error = CallFailed;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallFailed>>> {
        let me = self.get_mut();
        let next = me.next(cx);
        if let Poll::Ready(Some(Err(failed))) = &next {
            me.teller.tell(failed);
            me.call = None;
        }
        next
    }
}

/// What a component still does when its answer is sent is done, within the time that it has.
impl Drop for Streaming {
    fn drop(&mut self) {
        let Some(call) = self.call.take().filter(|_| self.rest.is_nothing()) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let (teller, limits, deadline) = (self.teller.clone(), self.limits, self.deadline);
        runtime.spawn(async move {
            let ended = tokio::time::timeout_at(deadline, call).await;
            if let Err(failed) = ended.unwrap_or_else(|_| Err(stream_took_too_long(&limits))) {
                teller.tell(&failed);
            }
        });
    }
}

fn broken_off(error: &Error) -> CallFailed {
    CallFailed::guests(format!("it broke its answer off: {error}"))
}

fn stream_took_too_long(limits: &Limits) -> CallFailed {
    let most = limits.stream_milliseconds;
    CallFailed::guests(format!(
        "its answer took longer than {most} ms (limits.stream_milliseconds)"
    ))
}

/// Tells the log of what goes wrong when the head of the answer is sent already.
#[derive(Clone)]
struct Teller {
    group: Arc<Group>,
    request: Arc<str>,
}

impl Teller {
    fn tell(&self, failed: &CallFailed) {
        let Group { origin, shared, .. } = &*self.group;
        let what = "a component failed in the middle of its answer";
        shared.journal.failed(origin, &self.request, what, failed.as_failed());
    }
}
