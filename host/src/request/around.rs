//! The groups that wrap another: they see its requests before and its answers after it.

use hyper::header::{HeaderName, HeaderValue};

use crate::bindings::wharf::plugin::http::{Request, Response};
use crate::capabilities::{Guest, Left};
use crate::instance::CallFailed;
use crate::instance::middleware::{Action, Changes};
use crate::tenant::Served;
use crate::tenant::serving::Serving;

/// Whose component failed, and why.
pub(super) type Failed<'a> = (&'a Served, CallFailed);

/// Headers, as they are handed to the next component.
type Headers = Vec<(String, Vec<u8>)>;

/// Has everybody answer who has to do with a request, from the outermost to the group itself and back. `guest`
/// makes what a component's instance can reach.
pub(super) async fn handle<'a>(
    serving: &'a Serving,
    served: &'a Served,
    request: Request<'_>,
    guest: impl Fn(&Served) -> Guest,
) -> Result<(Response, Left), Failed<'a>> {
    let mut headers: Headers =
        request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
    let (mut around, mut early) = (Vec::new(), None);
    for name in &served.middleware {
        let wrapping = serving.wrapping(name).ok_or_else(|| {
            let why = format!("it is wrapped by {name}, which is no group that wraps others");
            (served, CallFailed::guests(why))
        })?;
        let view = view(&headers);
        let request = Request { headers: &view, ..request.clone() };
        let seen = wrapping.revision.before(guest(wrapping), request).await;
        let (action, instance) = seen.map_err(|failed| (&**wrapping, failed))?;
        match action {
            Action::Respond(response) => {
                early = Some((response, instance.end()));
                break;
            }
            Action::Next(changes) => {
                change(&mut headers, changes)
                    .map_err(|why| (&**wrapping, CallFailed::guests(why)))?;
                around.push((wrapping, instance));
            }
        }
    }
    let (mut response, mut left) = if let Some(answered) = early {
        answered
    } else {
        let view = view(&headers);
        let request = Request { headers: &view, ..request };
        let answered = served.revision.handle(guest(served), request).await;
        answered.map_err(|failed| (served, failed))?
    };
    for (wrapping, instance) in around.into_iter().rev() {
        if left.blob.is_some() {
            response.body = Vec::new();
        }
        let seen = instance.after(response).await;
        let (next, own) = seen.map_err(|failed| (&**wrapping, failed))?;
        response = next;
        left = Left {
            attempt: own.attempt.or(left.attempt),
            blob: own.blob.or(left.blob),
            fuel: own.fuel.zip(left.fuel).map(|(own, fuel)| own + fuel),
        };
    }
    Ok((response, left))
}

fn view(headers: &Headers) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (&**name, &**value)).collect()
}

/// Makes a component's changes.
///
/// # Errors
/// Which header cannot be, for the log.
fn change(headers: &mut Headers, changes: Changes) -> Result<(), String> {
    let Changes { remove, set, add } = changes;
    for name in &remove {
        let name = valid(name, b"")?;
        headers.retain(|(other, _)| name.as_str() != other);
    }
    for (name, value) in &set {
        let name = valid(name, value)?;
        headers.retain(|(other, _)| name.as_str() != other);
    }
    for (name, value) in set.into_iter().chain(add) {
        headers.push((valid(&name, &value)?.as_str().to_owned(), value));
    }
    Ok(())
}

/// The name of a header that HTTP can carry and that a component may set.
fn valid(name: &str, value: &[u8]) -> Result<HeaderName, String> {
    let refused = |why: &str| format!("its header {:?} {why}", name.escape_debug().to_string());
    let valid = HeaderName::from_bytes(name.as_bytes());
    let valid = valid.map_err(|_| refused("is not valid in HTTP"))?;
    HeaderValue::from_bytes(value).map_err(|_| refused("is not valid in HTTP"))?;
    if super::SECRET.contains(&valid) {
        return Err(refused("is hidden from components, and none may set it"));
    }
    Ok(valid)
}
