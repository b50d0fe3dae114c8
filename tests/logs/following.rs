//! Whoever follows a log is told what comes, as long as they may, and holds nobody up.

use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::Value as Json;
use wharf::admin;

use super::{host, logs, message, visit};
use crate::support::socket::PATIENCE;
use crate::support::{Ask as _, TestHost};

/// Somebody who follows acme's log.
struct Follower {
    answer: Response,
    rest: Vec<u8>,
}

impl Follower {
    async fn of(host: &TestHost, token: &str, query: &str) -> Self {
        Follower::through(reqwest::Client::new(), host, token, query).await
    }

    async fn through(client: Client, host: &TestHost, token: &str, query: &str) -> Self {
        let url = format!("{}/v1/tenants/acme/logs?follow=true{query}", host.admin_origin());
        let answer = client.get(url).bearer_auth(token).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200);
        Follower { answer, rest: Vec::new() }
    }

    /// The next line; `None` at the end.
    async fn next(&mut self) -> Option<Json> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("JSON"));
            }
            let piece = tokio::time::timeout(PATIENCE, self.answer.chunk()).await;
            self.rest
                .extend(piece.expect("the host says something").expect("the answer is whole")?);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_told_as_they_come() {
    let host = host(|_| {}).await;
    visit(&host, "acme", "/print").await;
    let mut all = Follower::of(&host, &host.operator_token(), "").await;
    let mut errors = Follower::of(&host, &host.operator_token(), "&level=error&last=0").await;
    assert_eq!(message(&all.next().await.expect("what is there")), "printed by the guest");
    for _ in 0..3 {
        visit(&host, "acme", "/print").await;
        assert_eq!(message(&all.next().await.expect("what comes")), "printed by the guest");
    }
    visit(&host, "acme", "/trap").await;
    let first = errors.next().await.expect("the error");
    assert!(message(&first).contains("unreachable"), "{first}");
}

/// A client that is told nothing for a while is not one that takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_follows_is_kept_while_nothing_is_said() {
    let host = host(|config| {
        (config.http.write_seconds, config.http.idle_seconds) = (1, 1);
    })
    .await;
    let second = Client::builder().http2_prior_knowledge().build().expect("a client");
    let mut followers = [
        Follower::of(&host, &host.operator_token(), "").await,
        Follower::through(second, &host, &host.operator_token(), "").await,
    ];
    // Longer than both of these take, to the half second that they may be late.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    visit(&host, "acme", "/print").await;
    for follower in &mut followers {
        let line = follower.next().await.expect("it is told");
        assert_eq!(message(&line), "printed by the guest");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_slow_is_told_how_much_was_missed() {
    let host =
        host(|config| config.logs = logs::Config { lines: 4, ..logs::Config::default() }).await;
    let mut follower = Follower::of(&host, &host.operator_token(), "").await;
    // Thousands of lines within a request, of which three are kept.
    assert_eq!(visit(&host, "acme", "/log").await, 200);
    let (mut told, mut missed) = (0, 0);
    loop {
        let line = follower.next().await.expect("more");
        if let Some(more) = line["missed"].as_u64() {
            missed += more;
            continue;
        }
        if message(&line).contains("limits.log_bytes") {
            break;
        }
        // Each line says which it is: none is lost without being counted.
        let number = message(&line).split(['\n', ' ']).nth(1).expect("a number");
        assert_eq!(number.parse(), Ok(told + missed), "{line}");
        told += 1;
    }
    assert!(missed > 0 && told > 0, "{told} told, {missed} missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_follow_than_may_and_who_leaves_makes_room() {
    let host = host(|config| {
        config.logs = logs::Config { followers: 1, ..logs::Config::default() };
        // Who follows holds none of these.
        config.admin = admin::Config { requests: 1, ..config.admin };
    })
    .await;
    let first = Follower::of(&host, &host.operator_token(), "").await;
    let ask = async || host.operate(Method::GET, "tenants/acme/logs?follow=true").send().await;
    let refused = ask().await.expect("an answer");
    assert_eq!(refused.status(), 429);
    let text = refused.text().await.expect("a body");
    assert!(text.contains("logs.followers") && text.contains("--follow"), "{text}");
    // Those who only look are no followers, and another tenant's do not count.
    assert!(host.log("acme", "").await.is_empty());
    let other = host.operate(Method::GET, "tenants/default/logs?follow=true").send().await;
    assert_eq!(other.expect("an answer").status(), 200);
    drop(first);
    let freed = async {
        while ask().await.expect("an answer").status() != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("the place is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_shows_nothing_any_more() {
    let host = host(|_| {}).await;
    let (revoked, expires) =
        (host.token("acme", &["logs"]).await, host.token("acme", &["logs"]).await);
    let mut first = Follower::of(&host, &revoked, "").await;
    let mut second = Follower::of(&host, &expires, "").await;
    visit(&host, "acme", "/print").await;
    assert!(first.next().await.is_some() && second.next().await.is_some());
    let id = revoked.split('_').nth(1).expect("an id");
    let gone = host.operate(Method::DELETE, &format!("tokens/{id}")).answer().await;
    assert_eq!(gone.status, 200, "{gone:?}");
    host.clock.advance(1);
    visit(&host, "acme", "/print").await;
    assert_eq!(first.next().await, None);
    assert!(second.next().await.is_some());
    host.clock.advance(3600);
    visit(&host, "acme", "/print").await;
    assert_eq!(second.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_ends_with_its_tenant_and_with_the_host() {
    let mut host = host(|config| config.http.drain_seconds = 3600).await;
    let mut of_acme = Follower::of(&host, &host.operator_token(), "").await;
    host.delete_tenant("acme").await;
    assert_eq!(of_acme.next().await, None);
    host.tenant("acme").await;
    let mut follower = Follower::of(&host, &host.operator_token(), "").await;
    // A host that stops waits for answers, but for none that would go on for ever.
    tokio::time::timeout(PATIENCE, host.restart()).await.expect("it stops");
    assert_eq!(follower.next().await, None);
}
