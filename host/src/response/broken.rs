//! What a group answers whose newest sources do not serve: what is wrong with them, for programs and for people.

use std::sync::LazyLock;

use ansi_to_html::Esc;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Answer, insert, json_answer};
use crate::tenant::broken::Broken;

/// Says that an answer is one of these, and changes when something else is wrong.
const BROKEN: HeaderName = HeaderName::from_static("x-wharf-broken");

/// How long a page waits before it asks again, and asks without calling any component while nothing has changed.
const SCRIPT: &str = r#"
const shown = document.documentElement.dataset.mark;
setInterval(async () => {
  try {
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store", headers: { accept: "text/html" } });
    if (answer.headers.get("x-wharf-broken") !== shown) location.reload();
  } catch { /* The host is being started anew. */ }
}, 1000);
"#;

const STYLE: &str = "
:root { color-scheme: dark; --red: #ff6b6b; --bright-red: #ff6b6b; --green: #7bd88f; --bright-green: #7bd88f;
  --yellow: #ffd866; --bright-yellow: #ffd866; --blue: #7aa2f7; --bright-blue: #7aa2f7; --cyan: #78dce8;
  --bright-cyan: #78dce8; --magenta: #c792ea; --bright-magenta: #c792ea; }
body { margin: 0; padding: 2rem; background: #16181d; color: #e6e6e6; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.25rem; color: #ff6b6b; }
pre { padding: 1rem; overflow-x: auto; background: #0d0f12; border-left: 4px solid #ff6b6b;
  font: 14px/1.45 ui-monospace, monospace; }
p { color: #a0a0a0; }
";

/// What a page may do: run this one script and ask this host.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let script = STANDARD.encode(Sha256::digest(SCRIPT));
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'; connect-src 'self'"
    );
    HeaderValue::from_str(&policy).expect("a constant in ASCII")
});

/// Whether these headers are a browser's that shows a page, which asks for HTML by name (RFC 9110, section 12.5.1).
pub(super) fn is_for_people(asked: &HeaderMap) -> bool {
    let mut accepted = asked.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|accepted| {
        let types = || accepted.split(',').map(str::trim);
        let position = |name: &str| types().position(|one| one.split(';').next() == Some(name));
        // Whoever names both prefers what comes first: no browser gives HTML a lower weight.
        match (position("text/html"), position("application/json")) {
            (Some(html), Some(json)) => html < json,
            (html, _) => html.is_some(),
        }
    })
}

/// The answer for programs.
pub(super) fn answer(broken: &Broken) -> Answer {
    let Broken { group, message, said, .. } = broken;
    let diagnostics = anstream::adapter::strip_str(said).to_string();
    let body = json!({ "message": message, "group": group, "diagnostics": diagnostics });
    marked(json_answer(StatusCode::INTERNAL_SERVER_ERROR, &body), broken)
}

/// The answer for people: a page that is loaded anew by itself when something has changed, unless that would send
/// something again.
pub(super) fn page(broken: &Broken, asked: &Method) -> Answer {
    let Broken { group, message, said, mark } = broken;
    let plain = || Esc(anstream::adapter::strip_str(said).to_string()).to_string();
    let said = ansi_to_html::convert(said).unwrap_or_else(|_| plain());
    let said = if said.is_empty() { said } else { format!("<pre>{said}</pre>") };
    let (group, message) = (Esc(group), Esc(message));
    let script = match *asked {
        Method::GET => format!("<script>{SCRIPT}</script>"),
        _ => String::new(),
    };
    let page = format!(
        r#"<!doctype html>
<html lang="en" data-mark="{mark}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{group} is broken</title>
<style>{STYLE}</style>
<h1>{message}</h1>
{said}
<p>Once it is mended, this page is loaded again. Until then, the last good revision answers requests with the header
<code>x-wharf-revision: last-good</code>.</p>
{script}
</html>
"#
    );
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(page))));
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let headers = answer.headers_mut();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, html);
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    marked(answer, broken)
}

fn marked(mut answer: Answer, broken: &Broken) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    insert(headers, BROKEN, &broken.mark);
    answer
}
