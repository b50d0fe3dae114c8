//! A component arrives, and goes online.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::access::{Holder, Mandate, check_group};
use super::api::{Deploy, Online, Progress, SIGNATURE};
use super::problem::Problem;
use super::{Asked, Core, Place};
use crate::deploy::{Deployed, Upload};
use crate::registry::Bounds;
use crate::registry::tokens::Verb;

/// The longest name of a file that the history takes, in characters.
const LONGEST_FILE: usize = 100;

/// The most days that a canary is watched for.
const LONGEST_WINDOW: i64 = 30 * 24 * 60 * 60;

/// Takes a component and deploys it. The answer is a line of JSON for each step, and a last one that says
/// what became of it.
pub(super) async fn deploy(
    State(core): State<Arc<Core>>,
    Path(tenant): Path<String>,
    holder: Holder,
    query: Result<Query<Deploy>, QueryRejection>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let mandate = holder.may(&core, Verb::Deploy, &tenant).await?;
    let Query(query) = query?;
    if let Some(group) = &query.group {
        check_group(group)?;
    }
    let canary = canary(&query)?;
    let signature = signature(&headers)?;
    let component = read(&core, &headers, body).await?;
    check_digest(&headers, &component)?;
    let source = source(query.file.as_deref(), asked.address);
    let Deploy { group, base, .. } = query;
    let who = mandate.who.clone();
    let upload = Upload { tenant, group, component, signature, base, canary, who, source };
    let (lines, told) = mpsc::unbounded_channel();
    // In a task of its own: a client that goes away does not leave half a deploy behind.
    tokio::spawn(finish(core, mandate, upload, lines, asked.place));
    let lines =
        futures_util::stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
    let lines = lines.map(|line| {
        let mut line: String = line;
        line.push('\n');
        Ok::<_, Infallible>(line)
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

/// Deploys it, and tells how far it is to whoever still listens.
async fn finish(
    core: Arc<Core>,
    mandate: Mandate,
    upload: Upload,
    lines: mpsc::UnboundedSender<String>,
    _place: Arc<Place>,
) {
    let tell = |line: Progress| {
        // Text and numbers always make JSON; nobody may be listening any more.
        let _ = lines.send(serde_json::to_string(&line).unwrap_or_default());
    };
    match core.deployer.deploy(upload, |step| tell(Progress::Step(step))).await {
        Ok(deployed) => {
            mandate.audit("deployed", &deployed.group, Some(deployed.revision));
            tell(Progress::Deployed(online(&core, deployed)));
        }
        Err(refusal) => {
            let (who, tenant) = (&mandate.who, &mandate.tenant);
            tracing::info!(?who, ?tenant, why = ?refusal.message, "a deploy was refused");
            tell(Progress::Error(Problem::from(refusal).told()));
        }
    }
}

/// Where it is reached: the port that is told is the host's own, which a proxy may stand in front of.
pub(super) fn online(core: &Core, deployed: Deployed) -> Online {
    let url = |host: &String| format!("{}://{host}:{}", core.scheme, core.port);
    let urls = deployed.hosts.iter().map(url).collect();
    Online { deployed, urls }
}

/// Reads a body to its end, of so many bytes and in so much time.
async fn read(core: &Core, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let most = core.upload_bytes;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|value| value.parse::<usize>().ok());
    let mut pieces = body.into_data_stream();
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0).min(most));
    let whole = async {
        if announced.is_some_and(|announced| announced > most) {
            return Ok(false);
        }
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| incomplete())?;
            if bytes.len() + piece.len() > most {
                return Ok(false);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(true)
    };
    match tokio::time::timeout(core.upload_time, whole).await {
        Ok(Ok(true)) => Ok(bytes.freeze()),
        Ok(Err(problem)) => Err(problem),
        Ok(Ok(false)) => Err(Problem::new(
            (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            format!("a component may have {most} bytes (admin.upload_bytes)"),
            "build it smaller: optimised, and without debug information; or ask the host's operator",
        )),
        Err(_) => Err(Problem::new(
            (StatusCode::REQUEST_TIMEOUT, "too-slow"),
            format!(
                "the component did not arrive within {} s (admin.upload_seconds)",
                core.upload_time.as_secs()
            ),
            "send it over a faster line, or ask the host's operator",
        )),
    }
}

fn incomplete() -> Problem {
    Problem::invalid("the component did not arrive whole", "send it again")
}

/// Compares what arrived with the digest that was sent along (RFC 9530), if one was.
fn check_digest(headers: &HeaderMap, component: &[u8]) -> Result<(), Problem> {
    let Some(value) = headers.get("content-digest") else { return Ok(()) };
    let value = value.to_str().unwrap_or_default();
    let given = value.split(',').find_map(|member| member.trim().strip_prefix("sha-256="));
    let Some(given) = given else { return Ok(()) };
    let expected = format!(":{}:", STANDARD.encode(Sha256::digest(component)));
    if given == expected {
        return Ok(());
    }
    Err(Problem::invalid(
        "the component is not the one whose content-digest was sent: it was changed on the way",
        "send it again",
    ))
}

fn signature(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(SIGNATURE) else { return Ok(None) };
    let text = STANDARD.decode(value).ok().and_then(|text| String::from_utf8(text).ok());
    let unfit = || {
        Problem::invalid(
            format!("the header {SIGNATURE} is no text in base64"),
            "put the .minisig file into it in base64, or use: wharf deploy --signature FILE",
        )
    };
    text.ok_or_else(unfit).map(Some)
}

/// The share and the bounds of a canary, if one is asked for.
fn canary(query: &Deploy) -> Result<Option<(u8, Bounds)>, Problem> {
    let usual = Bounds::default();
    let bounds = Bounds {
        errors_percent: query.errors_percent.unwrap_or(usual.errors_percent),
        p99_factor: query.p99_factor.unwrap_or(usual.p99_factor),
        requests: query.requests.unwrap_or(usual.requests),
        window_seconds: query.window_seconds.unwrap_or(usual.window_seconds),
        promote: query.promote.unwrap_or(usual.promote),
    };
    let remedy = "look at: wharf deploy --help";
    let Some(percent) = query.percent else {
        if bounds == usual {
            return Ok(None);
        }
        let message = "bounds are for a canary, and no percent is given";
        return Err(Problem::invalid(message, remedy));
    };
    let fits = (1..=99).contains(&percent)
        && (0.0..=100.0).contains(&bounds.errors_percent)
        && (1.0..=1000.0).contains(&bounds.p99_factor)
        && bounds.requests > 0
        && (1..=LONGEST_WINDOW).contains(&bounds.window_seconds);
    if fits {
        return Ok(Some((percent, bounds)));
    }
    Err(Problem::invalid(
        "a canary has 1 to 99 percent, errors_percent of 0 to 100, a p99_factor of 1 to 1000, 1 request or more and a window of 1 s to 30 days",
        remedy,
    ))
}

/// Where a component comes from, on one line.
fn source(file: Option<&str>, address: IpAddr) -> String {
    let file: String = file.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let file: String = file.chars().take(LONGEST_FILE).collect();
    if file.is_empty() { address.to_string() } else { format!("{file} from {address}") }
}
