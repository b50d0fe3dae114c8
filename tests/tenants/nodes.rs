//! Two hosts on one database: what is done at one, the other serves.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use wharf::admin::api::Deploy;

use super::{asks, call, greets, token};
use crate::support::raw::saying;
use crate::support::{Ask as _, TestHost};

/// Waits until a tenant answers `GET /greet` with this status and text, which comes a moment after the notice.
async fn serves(host: &TestHost, tenant: &str, status: u16, text: &str) {
    let begun = Instant::now();
    loop {
        let answer = asks(host, tenant, "/greet").await;
        if answer.status == status && answer.body.contains(text) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{tenant}, {status} {text}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_at_one_host_is_served_by_the_other() {
    let Some((first, second, _)) = TestHost::two().await else { return };
    first.tenant("acme").await;
    greets(&first, "acme", "one").await;
    serves(&second, "acme", 200, "one").await;
    greets(&second, "acme", "two").await;
    serves(&first, "acme", 200, "two").await;
    first.rollback("acme", "greet", None).await.expect("it goes back");
    serves(&second, "acme", 200, "one").await;
    // A trial of nearly all callers: the only one here is among them, or is not, on both alike.
    let how = Deploy { group: Some("greet".to_owned()), percent: Some(99), ..Deploy::default() };
    let trial = saying("greet", "three", 200);
    first.deploy_as("acme", &how, trial).await.expect("it is deployed");
    let seen = asks(&first, "acme", "/greet").await.body;
    serves(&second, "acme", 200, &seen).await;
    second.promote("acme", "greet").await.expect("it is promoted");
    for host in [&first, &second] {
        serves(host, "acme", 200, "three").await;
        assert_eq!(host.revisions("acme", "greet").await.pointer.active, Some(3));
    }
    second.remove("acme", "greet").await;
    serves(&first, "acme", 404, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_that_come_change_and_go_at_one_host_do_so_at_the_other() {
    let Some((first, second, _)) = TestHost::two().await else { return };
    first.tenant("acme").await;
    greets(&first, "acme", "acme").await;
    serves(&second, "acme", 200, "acme").await;
    let renamed = json!({ "hosts": ["moved.localhost"] });
    let renamed = second.operate(Method::PATCH, "tenants/acme").json(&renamed).answer().await;
    assert_eq!(renamed.status, 200, "{renamed:?}");
    for host in [&first, &second] {
        serves(host, "moved", 200, "acme").await;
        serves(host, "acme", 404, "").await;
    }
    let made = token(&first, "acme").await;
    let show = async |host: &TestHost| {
        call(host, &made, Method::GET, "tenants/acme").answer().await.status.as_u16()
    };
    assert_eq!((show(&first).await, show(&second).await), (200, 200));
    let id = made.split('_').nth(1).expect("an id");
    let revoked = second.operate(Method::DELETE, &format!("tokens/{id}")).answer().await;
    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!((show(&first).await, show(&second).await), (401, 401));
    // The host name is free for somebody else as soon as it is given up, at either host.
    first.delete_tenant("acme").await;
    serves(&second, "moved", 404, "").await;
    second.create(json!({ "name": "other", "hosts": ["moved.localhost"] })).await;
    greets(&second, "other", "other").await;
    serves(&first, "moved", 200, "other").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_deploys_at_two_hosts_at_once_one_wins_and_the_other_is_told() {
    let Some((first, second, _)) = TestHost::two().await else { return };
    first.tenant("acme").await;
    greets(&first, "acme", "old").await;
    serves(&second, "acme", 200, "old").await;
    for round in 0..5 {
        let base = Some(first.revisions("acme", "greet").await.pointer.changes);
        let how = Deploy { group: Some("greet".to_owned()), base, ..Deploy::default() };
        let texts = [format!("first {round}"), format!("second {round}")];
        let [one, other] = texts.each_ref().map(|text| saying("greet", text, 200));
        let done =
            tokio::join!(first.deploy_as("acme", &how, one), second.deploy_as("acme", &how, other));
        let (won, lost) = match done {
            (Ok(_), Err(lost)) => (&texts[0], lost),
            (Err(lost), Ok(_)) => (&texts[1], lost),
            done => panic!("{done:?}"),
        };
        assert!(lost.contains("changed"), "{lost}");
        for host in [&first, &second] {
            serves(host, "acme", 200, won).await;
        }
    }
}
