//! `wasi:http`: what a component reads of its request, writes of its answer, and calls of other hosts.
//!
//! The interface is always there; what lies behind `outgoing-handler` is what the group may call.

use std::future::Future;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::Guest;
use crate::outbound::{Failed, Outbound, Patience};

/// Bytes of a body that a guest hands over at once, and that wait in the host until they are taken.
const PIECE: usize = 64 * 1024;

/// The state of `wasi:http` for one request, made when the guest first uses it. Boxed for the same reason
/// as WASI's.
#[derive(Default)]
pub struct Http(Option<Box<Open>>);

struct Open {
    context: WasiHttpCtx,
    calls: Calls,
}

/// The calls of one request to other hosts.
struct Calls {
    outbound: Outbound,
    request: Arc<str>,
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Guest { http: Http(open), wasi, group, log_bytes, request, .. } = self;
        let open = open.get_or_insert_with(|| {
            let calls = Calls { outbound: group.outbound.clone(), request: Arc::clone(request) };
            Box::new(Open { context: WasiHttpCtx::new(), calls })
        });
        let table = wasi.table(group, *log_bytes);
        WasiHttpCtxView { ctx: &mut open.context, hooks: &mut open.calls, table }
    }
}

/// What the answer to a call is handed over as: its head, and what must be run for its body to come.
type Answered = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Calls {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answered, Error>> + Send> {
        let RequestOptions { connect_timeout, first_byte_timeout, between_bytes_timeout } =
            options.unwrap_or_default();
        let patience = Patience {
            connect: connect_timeout,
            first_byte: first_byte_timeout,
            between_bytes: between_bytes_timeout,
        };
        let (outbound, id) = (self.outbound.clone(), Arc::clone(&self.request));
        let host = request.uri().host().unwrap_or_default().to_owned();
        Box::new(async move {
            let sent = outbound.send(request, patience).await;
            let (answer, connection) = sent.map_err(|failed| {
                tracing::debug!(request = &*id, host, %failed, "a component's call failed");
                Error::from(failed)
            })?;
            let answer = answer.map(|body| body.map_err(Error::from).boxed_unsync());
            let running = async move {
                connection.await;
                Ok(())
            };
            Ok::<Answered, Error>((answer, Box::new(running)))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }
}

/// In the words of `wasi:http/types`.
impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NotGranted => Error::HttpRequestDenied,
            Failed::AddressProhibited => Error::DestinationIpProhibited,
            Failed::Uri => Error::HttpRequestUriInvalid,
            Failed::Method => Error::HttpRequestMethodInvalid,
            Failed::TooMany => Error::ConnectionLimitReached,
            Failed::Unknown(_) => Error::DnsError { rcode: None, info_code: None },
            Failed::Connect(error) => match error.kind() {
                std::io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
                _ => Error::DestinationUnavailable,
            },
            Failed::ConnectTimeout => Error::ConnectionTimeout,
            Failed::Certificate(_) => Error::TlsCertificateError,
            Failed::Tls(_) => Error::TlsProtocolError,
            Failed::ResponseTimeout => Error::HttpResponseTimeout,
            Failed::ReadTimeout => Error::ConnectionReadTimeout,
            Failed::TooLarge(most) => Error::HttpResponseBodySize(Some(most)),
            Failed::Protocol(error) if error.is_incomplete_message() => {
                Error::HttpResponseIncomplete
            }
            Failed::Protocol(_) => Error::HttpProtocolError,
        }
    }
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}
