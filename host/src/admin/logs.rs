//! What a tenant's guests have logged, and why requests failed.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::watch;

use super::Core;
use super::access::Holder;
use super::api::{LogLine, Logged, Logs};
use super::problem::Problem;
use crate::logs::{Reader, Told, Wanted};
use crate::registry::tokens::Verb;

/// Answers with a line of JSON for each line of the log, without end if somebody follows.
pub(super) async fn read(
    State(core): State<Arc<Core>>,
    Path(tenant): Path<String>,
    holder: Holder,
    query: Result<Query<Logs>, QueryRejection>,
) -> Result<Response, Problem> {
    holder.may(&core, Verb::Logs, &tenant).await?;
    let unfit =
        |told: QueryRejection| Problem::invalid(told.body_text(), "look at: wharf logs --help");
    let Query(Logs { group, level, last, follow }) = query.map_err(unfit)?;
    let Some(serving) = core.deployer.tenants().named(&tenant) else {
        return Err(Problem::no_tenant(&tenant));
    };
    let reader = serving.shared.journal.read(Wanted { group, level, last }, follow);
    let reader = reader.ok_or_else(|| {
        Problem::new(
            (StatusCode::TOO_MANY_REQUESTS, "too-many"),
            format!("as many follow the log of tenant {tenant} as may (logs.followers)"),
            "try again when one of them has ended, or look without --follow",
        )
    })?;
    let stop = core.stop.clone();
    let checked = core.clock.now();
    let listening = Listening { core, holder, reader, stop, checked };
    let lines = futures_util::stream::unfold(listening, Listening::next);
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

/// Somebody who is told lines.
struct Listening {
    core: Arc<Core>,
    holder: Holder,
    reader: Reader,
    /// Says when the host stops, which waits for answers to end.
    stop: watch::Receiver<bool>,
    /// The second in which the token was last looked at.
    checked: i64,
}

impl Listening {
    async fn next(mut self) -> Option<(Result<String, Infallible>, Self)> {
        let told = tokio::select! {
            told = self.reader.next() => told?,
            // A host that is gone has stopped.
            _ = self.stop.wait_for(|stop| *stop) => return None,
        };
        let now = self.core.clock.now();
        // A token that ended meanwhile shows nothing any more.
        if now != self.checked && !self.holder.still_holds(&self.core).await {
            return None;
        }
        self.checked = now;
        let lines = told.iter().map(|told| {
            let logged = match told {
                Told::Line(line) => Logged::Line(LogLine::of(line)),
                Told::Missed(missed) => Logged::Missed { missed: *missed },
            };
            // Text and numbers always make JSON.
            serde_json::to_string(&logged).unwrap_or_default() + "\n"
        });
        Some((Ok(lines.collect()), self))
    }
}
