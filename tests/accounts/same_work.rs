//! A sign-in that fails tells nobody who exists: neither by its words nor by its time.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::json;
use wharf::database::Value;

use crate::support::{Ask as _, TestHost};

/// Sign-ins of each kind at most. The quickest counts, since others had to share the processor.
const ROUNDS: usize = 30;

/// What is stored of the users who are tried; the last of them does not exist.
const KINDS: [&str; 5] = ["today", "bcrypt", "md5", "disabled", "unknown"];

/// Gives the users of a realm hashes of all kinds.
async fn age(host: &TestHost, realm: &str) {
    let bcrypt = bcrypt::hash("12345678", 10).expect("a hash");
    let old = [("bcrypt", bcrypt.as_str()), ("md5", "25d55ad283aa400af464c76d713c07ad")];
    for (kind, hash) in old {
        let set = "UPDATE users SET password = $1 WHERE realm = $2 AND username = $3 RETURNING id";
        let values = [hash, realm, &format!("{kind}user")].map(|text| Value::Text(text.to_owned()));
        assert_eq!(host.sql(set, values.to_vec()).await.rows.len(), 1);
    }
    let set = "UPDATE users SET status = CASE WHEN username = 'disableduser' THEN -1 ELSE 1 END WHERE realm = $1 AND username <> 'admin' RETURNING id";
    host.sql(set, vec![Value::Text(realm.to_owned())]).await;
}

/// That wrong passwords of all kinds of users are answered with one body, in about the same time.
async fn assert_alike(ask: impl AsyncFn(&str) -> RequestBuilder) {
    let mut quickest = [Duration::MAX; KINDS.len()];
    let mut bodies = Vec::new();
    // The host learns from the first round that it has users with old hashes.
    for round in 0..ROUNDS {
        for (kind, quickest) in KINDS.into_iter().zip(&mut quickest) {
            let name = format!("{kind}user");
            let request = ask(&name).await;
            let begun = Instant::now();
            let answer = request.answer().await;
            if round > 0 {
                *quickest = begun.elapsed().min(*quickest);
            }
            bodies.push((answer.status, answer.body.replace(&name, "")));
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        let (least, most) = (quickest.iter().min(), quickest.iter().max());
        if round > 2 && most < least.map(|least| *least * 2).as_ref() {
            return;
        }
    }
    panic!("{KINDS:?} took {quickest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_tells_nobody_who_exists() {
    let host = TestHost::on_sqlite().await;
    for kind in &KINDS[..4] {
        host.register(&format!("{kind}user")).await;
    }
    age(&host, "store").await;
    assert_alike(async |name| {
        let inputs = [("username", name), ("password", "wrong-password")];
        host.post("/api/auth/login").query(&inputs)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clinic_tells_nobody_who_exists() {
    let host = TestHost::on_sqlite().await;
    for kind in &KINDS[..4] {
        host.doctor(&format!("{kind}user")).await;
    }
    age(&host, "clinic").await;
    assert_alike(async |name| {
        let body = json!({ "email": format!("{name}@example.com"), "password": "wrong-password" });
        host.post("/api/auth/login").json(&body)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_tells_nobody_who_exists() {
    let host = TestHost::on_sqlite().await;
    for (number, kind) in KINDS[..4].iter().enumerate() {
        host.console_user(&format!("{kind}user"), &format!("1380000000{number}")).await;
    }
    age(&host, "console").await;
    assert_alike(async |name| {
        let (id, code) = host.console_captcha().await;
        let body = json!({ "nickname": name, "passwd": "wrong-password", "captcha_id": id, "captcha_code": code });
        host.post("/login").json(&body)
    })
    .await;
}
