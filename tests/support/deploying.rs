//! Tenants of a test's, and what they deploy, through the admin API.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use wharf::admin::api::{Deploy, Failed, Progress, Revisions, Rollback};
use wharf::deploy::Deployed;
use wharf::registry::Event;
use wharf::tenant::package::Package;

use super::{Answer, Ask as _, TestHost};

impl TestHost {
    /// Makes a tenant, which begins empty.
    pub async fn tenant(&self, name: &str) {
        self.create(json!({ "name": name })).await;
    }

    /// Makes a tenant, of the admin API's JSON.
    pub async fn create(&self, tenant: Json) {
        let answer = self.operate(Method::POST, "tenants").json(&tenant).answer().await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Deletes a tenant.
    pub async fn delete_tenant(&self, name: &str) {
        let answer = self.operate(Method::DELETE, &format!("tenants/{name}")).answer().await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// Grants a tenant something.
    pub async fn grant(&self, tenant: &str, grants: &[&str]) {
        let request = self.operate(Method::POST, &format!("tenants/{tenant}/grants"));
        let answer = request.json(&json!({ "add": grants })).answer().await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// Sets a setting of a group's.
    pub async fn set(&self, tenant: &str, group: &str, name: &str, value: &str) {
        let request = self.of_group(Method::PATCH, tenant, group, "/settings");
        let answer = request.json(&json!({ "set": { name: { "value": value } } })).answer().await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// Deploys a component as the one of a group, or says why it was refused.
    pub async fn deploy(
        &self,
        tenant: &str,
        group: &str,
        component: Vec<u8>,
    ) -> Result<Deployed, String> {
        let group = Some(group.to_owned());
        self.deploy_as(tenant, &Deploy { group, ..Deploy::default() }, component).await
    }

    /// The same, with all that may be said about it.
    pub async fn deploy_as(
        &self,
        tenant: &str,
        how: &Deploy,
        component: Vec<u8>,
    ) -> Result<Deployed, String> {
        let request = self.operate(Method::POST, &format!("tenants/{tenant}/deploys"));
        let answer = request.query(how).body(component).answer().await;
        if answer.status != 200 {
            return Err(failed(&answer));
        }
        let last = answer.body.lines().last().expect("a line");
        match serde_json::from_str(last).expect("JSON") {
            Progress::Deployed(online) => Ok(online.deployed),
            Progress::Error(problem) => Err(problem.to_string()),
            Progress::Step(step) => panic!("it ends with {step:?}"),
        }
    }

    /// Has an earlier revision answer again: the one before, or one by its number.
    pub async fn rollback(
        &self,
        tenant: &str,
        group: &str,
        to: Option<i64>,
    ) -> Result<Deployed, String> {
        let request = self.of_group(Method::POST, tenant, group, "/rollback");
        told(&request.json(&Rollback { to }).answer().await)
    }

    /// Has the revision on trial answer everybody.
    pub async fn promote(&self, tenant: &str, group: &str) -> Result<Deployed, String> {
        told(&self.of_group(Method::POST, tenant, group, "/promote").answer().await)
    }

    /// Takes a group offline.
    pub async fn remove(&self, tenant: &str, group: &str) {
        let answer = self.of_group(Method::DELETE, tenant, group, "").answer().await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// The revisions of a group that are kept.
    pub async fn revisions(&self, tenant: &str, group: &str) -> Revisions {
        let answer = self.of_group(Method::GET, tenant, group, "/revisions").answer().await;
        told(&answer).expect("the revisions")
    }

    /// What became of a group last.
    pub async fn last_event(&self, tenant: &str, group: &str) -> Event {
        self.revisions(tenant, group).await.history.swap_remove(0)
    }

    /// Makes a token for a tenant.
    pub async fn token(&self, tenant: &str, verbs: &[&str]) -> String {
        let new = json!({ "name": "ci", "verbs": verbs, "expires_seconds": 3600 });
        let made = self.operate(Method::POST, &format!("tenants/{tenant}/tokens")).json(&new);
        let made = made.answer().await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["secret"].as_str().expect("a token").to_owned()
    }

    /// What a tenant's log says, for a query of the admin API's.
    pub async fn log(&self, tenant: &str, query: &str) -> Vec<Json> {
        let path = format!("tenants/{tenant}/logs{query}");
        let answer = self.operate(Method::GET, &path).answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/x-ndjson");
        answer.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn of_group(
        &self,
        method: Method,
        tenant: &str,
        group: &str,
        what: &str,
    ) -> reqwest::RequestBuilder {
        self.operate(method, &format!("tenants/{tenant}/groups/{group}{what}"))
    }
}

/// What the admin API says in success, or why not.
fn told<T: DeserializeOwned>(answer: &Answer) -> Result<T, String> {
    if answer.status.is_success() {
        return Ok(serde_json::from_str(&answer.body).expect("JSON"));
    }
    Err(failed(answer))
}

fn failed(answer: &Answer) -> String {
    let failed: Failed = serde_json::from_str(&answer.body).expect("a problem");
    failed.error.to_string()
}

/// A component with a manifest in it.
pub fn with_manifest(component: &[u8], manifest: &str) -> Vec<u8> {
    let package = Package { manifest: manifest.to_owned(), migrations: Vec::new() };
    package.put_into(component).expect("it is a component")
}
