//! What the host itself reads of a request: the token, and who sent it. Inputs are the handlers' business.

use std::borrow::Cow;
use std::net::IpAddr;

use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;
use serde::Deserialize;

use crate::listener::{self, Peer};

/// The paths whose clients send tokens in more places than the header, as the original systems took them.
const MANY_PLACES: &str = "/api/";

/// Looks for a token: in the header and, below `/api`, then in the query, the body and a cookie.
/// Elsewhere the header may hold the token without a scheme.
pub(super) fn token<'a>(head: &'a Parts, body: &'a [u8]) -> Option<Cow<'a, str>> {
    if !head.uri.path().starts_with(MANY_PLACES) {
        return bearer(&head.headers).or_else(|| bare(&head.headers)).map(Cow::Borrowed);
    }
    let query = || form_field(head.uri.query().unwrap_or_default().as_bytes());
    bearer(&head.headers)
        .map(Cow::Borrowed)
        .or_else(query)
        .or_else(|| body_field(&head.headers, body))
        .or_else(|| cookie(&head.headers).map(Cow::Borrowed))
}

/// Whether a token may stand in the body: where no other place holds one that comes before it, and the
/// body's kind is one that is looked into.
pub(super) fn is_token_in_body(head: &Parts) -> bool {
    head.uri.path().starts_with(MANY_PLACES)
        && bearer(&head.headers).is_none()
        && form_field(head.uri.query().unwrap_or_default().as_bytes()).is_none()
        && kind_of_body(&head.headers).is_some()
}

/// The client's address: the sender's or, where that is a proxy that the operator trusts, the last one
/// of `x-forwarded-for` that is none.
pub(super) fn client(sender: IpAddr, headers: &HeaderMap, http: &listener::Config) -> IpAddr {
    if http.proxies.is_empty() {
        return sender.to_canonical();
    }
    let mut client = sender.to_canonical();
    let told = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let told: Vec<&str> = told.flat_map(|value| value.split(',')).collect();
    for address in told.iter().rev() {
        if !http.is_proxy(client) {
            break;
        }
        let Ok(address) = address.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    client
}

/// Whether the client speaks TLS: with this host or, where the sender is a proxy that the operator
/// trusts, with that proxy, by the last word of `x-forwarded-proto`.
pub(super) fn is_secure(peer: &Peer, headers: &HeaderMap, http: &listener::Config) -> bool {
    if http.proxies.is_empty() || !http.is_proxy(peer.address.ip().to_canonical()) {
        return peer.is_secure;
    }
    let told = headers.get_all("x-forwarded-proto").iter().next_back();
    match told.and_then(|value| value.to_str().ok()?.rsplit(',').next()) {
        Some(scheme) => scheme.trim().eq_ignore_ascii_case("https"),
        None => peer.is_secure,
    }
}

/// `Authorization: Bearer …` (RFC 6750, section 2.1), the scheme in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// `Authorization: …` with nothing but a token.
fn bare(headers: &HeaderMap) -> Option<&str> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    (!token.is_empty() && !token.contains(' ')).then_some(token)
}

fn form_field(form: &[u8]) -> Option<Cow<'_, str>> {
    form_urlencoded::parse(form)
        .find(|(name, value)| name == "token" && !value.is_empty())
        .map(|(_, value)| value)
}

/// The kinds of bodies that are looked into.
enum Kind {
    Json,
    Form,
}

fn kind_of_body(headers: &HeaderMap) -> Option<Kind> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.trim().to_ascii_lowercase();
    if kind.contains("json") {
        return Some(Kind::Json);
    }
    kind.starts_with("application/x-www-form-urlencoded").then_some(Kind::Form)
}

fn body_field<'a>(headers: &HeaderMap, body: &'a [u8]) -> Option<Cow<'a, str>> {
    /// All else is passed over without being kept: whoever sent it has not been counted yet.
    #[derive(Deserialize)]
    struct Body {
        token: Option<String>,
    }
    match kind_of_body(headers)? {
        Kind::Json => serde_json::from_slice::<Body>(body).ok()?.token.map(Cow::Owned),
        Kind::Form => form_field(body),
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix("token="))
}
