//! The request that a revision has to answer before anybody else's reaches it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use bytes::Bytes;

use super::refusal::{Kind, Refusal};
use crate::bindings::wharf::plugin::http as wit;
use crate::identity::Caller;
use crate::router::Router;
use crate::tenant::manifest::Smoke;
use crate::tenant::serving::Loaded;

/// Sends the request that the manifest names, as somebody who is not signed in.
pub(super) async fn check(smoke: &Smoke, group: &str, loaded: &Loaded) -> Result<(), Refusal> {
    let Smoke { method, path, headers, body, status } = smoke;
    let refused = |why: String| {
        Refusal::new(
            Kind::Unfit,
            format!("the smoke request {method} {path} {why}"),
            "correct the component, or [smoke] in wharf-plugin.toml",
        )
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let alone = BTreeMap::from([(group.to_owned(), loaded.clone())]);
    let router = Router::new(&alone).map_err(|why| Refusal::unroutable("", group, why))?;
    let found = router.find(method, path);
    let found = found.map_err(|_| refused("is for none of its routes".into()))?;
    let answered = if found.route.realm.is_some() {
        401
    } else {
        let parameters: Vec<(&str, &str)> =
            found.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (&**name, value.as_bytes())).collect();
        let nobody = Ipv6Addr::UNSPECIFIED;
        let request = wit::Request {
            method,
            origin: "http://localhost",
            path,
            query,
            route: found.route.index,
            path_parameters: &parameters,
            headers: &headers,
            body: body.as_bytes(),
            client_address: "::",
            request_id: "smoke",
            caller: wit::Caller::Anonymous,
        };
        let body = Bytes::copy_from_slice(body.as_bytes());
        let served = &found.route.served;
        let guest = served.guest(Caller::Anonymous, nobody.into(), "smoke".into(), body);
        let status = served.revision.status_of(guest, request).await;
        status.map_err(|failed| refused(format!("failed: {failed}")))?
    };
    let expected = status.map_or_else(|| (200..300).contains(&answered), |one| one == answered);
    if expected {
        return Ok(());
    }
    let wanted = status.map_or_else(|| "200 to 299".to_owned(), |status| status.to_string());
    Err(refused(format!("was answered with status {answered}, and {wanted} was expected")))
}
