//! What guests log and why requests failed, as their tenants are told.

mod backtraces;
mod blame;
mod bounds;
mod command;
mod following;

use reqwest::Method;
use serde_json::Value as Json;
use wharf::{Config, logs};

use crate::support::deploying::with_manifest;
use crate::support::{Ask as _, TestHost, guests};

/// A host whose tenant `acme` has deployed the hostile guest, with settings of its own.
async fn host(change: impl FnOnce(&mut Config)) -> TestHost {
    let host = TestHost::with(|config| {
        config.components = guests::guest("hello");
        change(config);
    })
    .await;
    host.tenant("acme").await;
    deploy(&host, "acme").await;
    host
}

async fn deploy(host: &TestHost, tenant: &str) {
    host.grant(tenant, &["database", "cache"]).await;
    let manifest =
        "group = \"hostile\"\ngrants = [\"database\", \"cache\", \"clock\", \"log\", \"random\"]\n";
    let component = with_manifest(&guests::bare("hostile"), manifest);
    host.deploy(tenant, "hostile", component).await.expect("it is deployed");
}

/// What a tenant answers; its status.
async fn visit(host: &TestHost, tenant: &str, path: &str) -> u16 {
    let request = host.get(path).header("host", format!("{tenant}.localhost"));
    request.answer().await.status.as_u16()
}

fn message(line: &Json) -> &str {
    line["message"].as_str().expect("a message")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_says_when_where_and_in_which_request_it_was_written() {
    let host = host(|_| {}).await;
    let request = host.get("/print").header("host", "acme.localhost");
    let answer = request.answer().await;
    let log = host.log("acme", "").await;
    assert_eq!(log.len(), 1, "{log:?}");
    let line = &log[0];
    assert_eq!(message(line), "printed by the guest");
    assert_eq!(line["at"], host.clock.now() * 1000);
    assert_eq!((&line["level"], &line["tenant"]), (&"info".into(), &"acme".into()));
    assert_eq!(line["group"], "hostile");
    assert_eq!(line["request"], answer.header("x-request-id"));
    let digest = host.revisions("acme", "hostile").await.revisions[0].component.clone();
    assert_eq!(line["revision"], digest[..12]);
    assert!(line.get("blame").is_none() && line.get("backtrace").is_none(), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reads_its_own_lines_alone() {
    let host = host(|_| {}).await;
    host.tenant("other").await;
    deploy(&host, "other").await;
    visit(&host, "acme", "/print").await;
    for (tenant, lines) in [("acme", 1), ("other", 0), ("default", 0)] {
        assert_eq!(host.log(tenant, "").await.len(), lines, "{tenant}");
    }
    let others = host.token("other", &["logs"]).await;
    let ask = async |path: &str| {
        let url = format!("{}/v1/tenants/{path}", host.admin_origin());
        reqwest::Client::new().request(Method::GET, url).bearer_auth(&others).answer().await
    };
    assert_eq!(ask("other/logs").await.status, 200);
    for path in ["acme/logs", "acme/logs?follow=true", "default/logs", "none/logs"] {
        let answer = ask(path).await;
        assert_eq!(answer.status, 404, "{answer:?}");
        assert!(answer.body.contains("there is no tenant"), "{answer:?}");
    }
    // A tenant that comes after one of its name begins with nothing.
    host.delete_tenant("acme").await;
    host.tenant("acme").await;
    assert!(host.log("acme", "").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_chosen_by_group_level_and_number() {
    let host = host(|_| {}).await;
    visit(&host, "acme", "/print").await;
    visit(&host, "acme", "/trap").await;
    visit(&host, "acme", "/print").await;
    let chosen = async |query: &str| {
        let log = host.log("acme", query).await;
        log.iter().map(|line| message(line).to_owned()).collect::<Vec<_>>()
    };
    let all = chosen("").await;
    assert!(all.len() > 3 && all.contains(&"on purpose".to_owned()), "{all:?}");
    assert_eq!(chosen("?last=1").await, ["printed by the guest"]);
    assert_eq!(chosen("?last=3").await, all[all.len() - 3..]);
    assert_eq!(chosen("?level=debug").await, all);
    let errors = chosen("?level=error").await;
    assert!(errors.len() == 1 && errors[0].contains("unreachable"), "{errors:?}");
    assert_eq!(chosen("?level=warn&last=7").await, errors);
    assert!(chosen("?group=other").await.is_empty());
    assert_eq!(chosen("?group=hostile&last=1").await.len(), 1);
    for query in ["?level=loud", "?lines=1", "?last=-1", "?follow=maybe"] {
        let path = format!("tenants/acme/logs{query}");
        let refused = host.operate(Method::GET, &path).answer().await;
        assert_eq!(refused.status, 400, "{query}: {refused:?}");
        assert!(refused.body.contains("wharf logs --help"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_outlives_a_change_of_the_tenant_and_its_next_revision() {
    let host = host(|_| {}).await;
    visit(&host, "acme", "/print").await;
    host.grant("acme", &["blobs"]).await;
    deploy(&host, "acme").await;
    visit(&host, "acme", "/print").await;
    assert_eq!(host.log("acme", "").await.len(), 2);
}
