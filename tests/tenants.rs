//! Two tenants that attack each other find no door.

mod accounts;
mod bases;
mod calls;
mod connections;
mod data;
mod hogs;
mod hosts;
mod logs;
mod nodes;

use reqwest::{Method, RequestBuilder};

use crate::support::deploying::with_manifest;
use crate::support::raw::saying;
use crate::support::{Answer, Ask as _, TestHost, guests};

/// Two tenants on one host, each of which would do the other harm.
const TENANTS: [&str; 2] = ["acme", "other"];

/// A host with two tenants that may keep data.
async fn rivals(host: TestHost) -> TestHost {
    for tenant in TENANTS {
        host.tenant(tenant).await;
        host.grant(tenant, &["blobs", "cache", "database"]).await;
    }
    host
}

/// A request to a tenant's host name.
fn to(host: &TestHost, tenant: &str, method: Method, path: &str) -> RequestBuilder {
    host.request(method, path).header("host", format!("{tenant}.localhost"))
}

/// What a tenant answers to a path.
async fn asks(host: &TestHost, tenant: &str, path: &str) -> Answer {
    to(host, tenant, Method::GET, path).answer().await
}

/// Makes a token for a tenant, with all verbs.
async fn token(host: &TestHost, tenant: &str) -> String {
    host.token(tenant, &["deploy", "rollback", "read", "settings", "logs"]).await
}

/// A call of the admin API with a token.
fn call(host: &TestHost, token: &str, method: Method, path: &str) -> RequestBuilder {
    let url = format!("{}/v1/{path}", host.admin_origin());
    reqwest::Client::new().request(method, url).bearer_auth(token)
}

/// The group `greet` of a tenant, which answers `GET /greet` with this text.
async fn greets(host: &TestHost, tenant: &str, text: &str) {
    host.deploy(tenant, "greet", saying("greet", text, 200)).await.expect("it is deployed");
}

/// The hostile guest, without tables of its own but with these, and more of a manifest.
fn hostile(tables: &str, more: &str) -> Vec<u8> {
    let manifest = format!(
        "group = \"hostile\"\ngrants = [\"database\", \"cache\", \"clock\", \"log\", \"random\"]\n[tables]\n{tables}\n{more}"
    );
    with_manifest(&guests::bare("hostile"), &manifest)
}
