//! A request's body: read whole, within its limit and in time, and within what all bodies may take together.

use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header;
use hyper::http::request::Parts;
use tokio::time::Instant;

use crate::admission::shares::Share;
use crate::app::App;
use crate::error::{Error, Refusal};

/// Bytes of a body that are read and thrown away once it is known that it will not be taken: a client
/// that is still sending when the connection closes would lose the answer that tells it why.
const LINGER: usize = 16 * 1024 * 1024;

/// Reads the whole body of a client's. One that `refused` says will not be taken, or that turns out to be
/// too large or one too many, is thrown away as it comes.
pub(super) async fn read(
    app: &App,
    limit: usize,
    client: IpAddr,
    head: &Parts,
    body: Incoming,
    refused: Option<Error>,
) -> Result<(Bytes, Share), Error> {
    let room = app.bodies.of(Some(client));
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let refused = refused.or((announced > limit).then_some(Error::BodyTooLarge));
    if body.is_end_stream() {
        return refused.map_or(Ok((Bytes::new(), room)), Err);
    }
    match refused {
        // A client that asks first is not told to go on.
        Some(refused) if head.headers.contains_key(header::EXPECT) => Err(refused),
        refused => Reading { room, limit, whole: BytesMut::new(), refused }.all(app, body).await,
    }
}

/// Reads what is left of a body that is not taken, as far as that is worth the while.
pub(super) async fn throw_away(mut body: Incoming) {
    let mut thrown = 0;
    while let Some(Ok(frame)) = body.frame().await {
        thrown += frame.data_ref().map_or(0, Bytes::len);
        if thrown > LINGER {
            return;
        }
    }
}

/// A body that is on its way.
struct Reading {
    room: Share,
    limit: usize,
    whole: BytesMut,
    /// Why it will not be taken, once that is known.
    refused: Option<Error>,
}

impl Reading {
    async fn all(mut self, app: &App, mut body: Incoming) -> Result<(Bytes, Share), Error> {
        let (began, http) = (Instant::now(), &app.http);
        let rate = http.body_bytes_per_second.max(1);
        let mut arrived = 0;
        loop {
            // Whoever sends steadily may send for as long as that takes.
            let earned = Duration::from_millis((arrived as u64).saturating_mul(1000) / rate);
            let due = began + Duration::from_secs(http.body_seconds) + earned;
            let frame = tokio::time::timeout_at(due, body.frame()).await;
            let Some(frame) = frame.map_err(|_| Error::Refused(Refusal::TooSlow))? else { break };
            let Ok(piece) = frame.map_err(|_| Error::BodyIncomplete)?.into_data() else { continue };
            arrived += piece.len();
            if arrived > self.limit.saturating_add(LINGER) {
                break;
            }
            self.take(&piece, arrived, &body);
        }
        match self.refused {
            Some(refused) => Err(refused),
            None => Ok((self.whole.freeze(), self.room)),
        }
    }

    fn take(&mut self, piece: &Bytes, arrived: usize, body: &Incoming) {
        if self.refused.is_some() {
            return;
        }
        let taken = if arrived > self.limit {
            Err(Error::BodyTooLarge)
        } else if self.room.take(piece.len()) {
            Ok(())
        } else {
            Err(Error::Overloaded)
        };
        if let Err(refused) = taken {
            self.refused = Some(refused);
            self.whole = BytesMut::new();
            self.room.clear();
            return;
        }
        if self.whole.is_empty() {
            // One buffer, as large as the client announces: pieces that are joined at the end would be
            // in memory twice. Pages of it that nothing was written to take none.
            let rest = usize::try_from(body.size_hint().lower()).unwrap_or(0);
            self.whole.reserve(piece.len().saturating_add(rest).min(self.limit));
        }
        self.whole.extend_from_slice(piece);
    }
}
