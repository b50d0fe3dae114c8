//! Bind, accept, speak HTTP/1.1 or HTTP/2, and drain.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use ipnet::IpNet;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use crate::app::App;
use crate::request;

/// What clients may take, in `[http]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seconds in which a request's head must arrive.
    pub header_seconds: u64,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Seconds in which a request's body must arrive.
    pub body_seconds: u64,
    /// Bytes of a request's body, where a route does not say otherwise.
    pub body_bytes: usize,
    /// Networks of the proxies in front, whose `x-forwarded-for` is believed.
    pub proxies: Vec<IpNet>,
    /// Seconds that requests in flight get to finish when the host stops.
    pub drain_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            header_seconds: 10,
            header_bytes: 64 * 1024,
            body_seconds: 30,
            body_bytes: 1024 * 1024,
            proxies: Vec::new(),
            drain_seconds: 30,
        }
    }
}

/// Accepts connections until `stop` changes, then lets those that are open finish.
pub async fn serve(app: Arc<App>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let server = server(&app.http);
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    // Answers are written whole: waiting for more to send would only delay them.
                    let _ = stream.set_nodelay(true);
                    let app = Arc::clone(&app);
                    let asked = Arc::new(Notify::new());
                    let silent = silence(Arc::clone(&asked), app.http.header_seconds);
                    let service = service_fn(move |request| {
                        asked.notify_one();
                        let app = Arc::clone(&app);
                        async move { Ok::<_, Infallible>(request::answer(&app, client, request).await) }
                    });
                    let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
                    let connection = connections.watch(connection);
                    tokio::spawn(async move {
                        tokio::select! {
                            biased;
                            done = connection => if let Err(error) = done {
                                tracing::debug!(%client, error, "a connection broke");
                            },
                            () = silent => tracing::debug!(%client, "a connection asked for nothing (http.header_seconds)"),
                        }
                    });
                }
                // Out of descriptors, or the client is gone already: accepting at once again would spin.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    let drained =
        tokio::time::timeout(Duration::from_secs(app.http.drain_seconds), connections.shutdown());
    if drained.await.is_err() {
        tracing::warn!(
            seconds = app.http.drain_seconds,
            "requests in flight were cut off (http.drain_seconds)"
        );
    }
}

/// Ends when a connection has not brought a whole head in time; never once it has. Hyper's own time
/// begins with the first byte of HTTP/1 alone.
async fn silence(asked: Arc<Notify>, seconds: u64) {
    if tokio::time::timeout(Duration::from_secs(seconds), asked.notified()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

fn server(config: &Config) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(config.header_seconds))
        .max_buf_size(config.header_bytes.max(8192));
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(config.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(100)
        .keep_alive_interval(Duration::from_secs(30));
    server
}
