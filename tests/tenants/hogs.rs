//! A tenant that takes all it can leaves enough for the other.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wharf::admin::Config;

use super::{asks, call, greets, hostile, rivals, token};
use crate::support::raw::{bomb, saying};
use crate::support::socket::{connect, rest};
use crate::support::{Ask as _, TestHost};

/// A connection on which a component is about to be sent.
async fn upload(host: &TestHost, tenant: &str, token: &str) -> TcpStream {
    let admin = host.admin_origin();
    let address = admin.strip_prefix("http://").expect("plain HTTP");
    let mut stream = connect(address.parse().expect("an address")).await;
    let head = format!(
        "POST /v1/tenants/{tenant}/deploys HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-length: 9\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it is open");
    let mut told = [0; 12];
    stream.read_exact(&mut told).await.expect("an answer");
    assert_eq!(&told, b"HTTP/1.1 100");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_one_leave_places_for_the_other() {
    let host = TestHost::with(|config| {
        config.admin = Config { requests: 50, requests_per_tenant: 3, ..config.admin };
    })
    .await;
    let host = rivals(host).await;
    let [acmes, others] = [token(&host, "acme").await, token(&host, "other").await];
    let waiting =
        futures_util::future::join_all((0..3).map(|_| upload(&host, "acme", &acmes))).await;
    // Those that are refused are told so, and hold no places while they go on sending.
    let mut refused = Vec::new();
    for _ in 0..57 {
        refused.push(upload(&host, "acme", &acmes).await);
    }
    assert_eq!(call(&host, &others, Method::GET, "tenants/other").answer().await.status, 200);
    let deploy = call(&host, &others, Method::POST, "tenants/other/deploys?group=greet");
    let deployed = deploy.body(saying("greet", "one", 200)).answer().await;
    assert!(deployed.body.contains("\"deployed\""), "{deployed:?}");
    assert_eq!(host.operate(Method::GET, "tenants/acme").answer().await.status, 200);
    for stream in &mut refused {
        let told = rest(stream).await;
        assert!(told.contains("HTTP/1.1 429") && told.contains("retry-after: 1"), "{told}");
        assert!(told.contains("admin.requests_per_tenant"), "{told}");
    }
    drop(waiting);
    let show = async || call(&host, &acmes, Method::GET, "tenants/acme").answer().await.status;
    let freed = async { while show().await != 200 {} };
    tokio::time::timeout(Duration::from_secs(30), freed).await.expect("the places are free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_has_used_up_the_other_still_has() {
    let host = TestHost::on_sqlite().await;
    let quotas = json!({ "groups": 1, "revisions": 2, "artifact_bytes": 100_000, "deploys_per_hour": 6, "settings_bytes": 100 });
    host.create(json!({ "name": "acme", "quotas": quotas })).await;
    host.tenant("other").await;
    for text in ["one", "two", "three"] {
        greets(&host, "acme", text).await;
    }
    let kept = host.revisions("acme", "greet").await.revisions;
    assert_eq!(kept.iter().map(|revision| revision.number).collect::<Vec<_>>(), [3, 2]);
    let large = {
        let mut component = saying("greet", "large", 200);
        // A custom section of 200,000 bytes, whose name is one byte.
        component.extend([0, 0xc0, 0x9a, 0x0c, 1, b'v']);
        component.extend(vec![0; 200_000 - 2]);
        component
    };
    for (group, component, quota) in
        [("more", saying("more", "one", 200), "groups"), ("greet", large.clone(), "artifact_bytes")]
    {
        let refused = host.deploy("acme", group, component.clone()).await.expect_err(quota);
        assert!(refused.contains(&format!("its quota {quota} is")), "{refused}");
        host.deploy("other", group, component).await.expect("another's quota is another's");
    }
    let long = json!({ "set": { "key": { "value": "x".repeat(200) } } });
    let set = async |tenant: &str| -> Json {
        let path = format!("tenants/{tenant}/groups/greet/settings");
        host.operate(Method::PATCH, &path).json(&long).answer().await.json()
    };
    assert_eq!(set("acme").await["error"]["code"], "quota");
    assert_eq!(set("other").await["deployed"]["revision"], 2);
    greets(&host, "acme", "four").await;
    let often = host.deploy("acme", "greet", saying("greet", "five", 200)).await;
    // Those that were refused count as well: a compiler may have worked for them.
    let often = often.expect_err("one too many");
    assert!(often.contains("has tried to deploy 6 times"), "{often}");
    assert!(often.contains("wharf tenant set acme --quota deploys_per_hour="), "{often}");
    greets(&host, "other", "five").await;
    assert_eq!(asks(&host, "acme", "/greet").await.body, "four");
    assert_eq!(asks(&host, "other", "/greet").await.body, "five");
    host.clock.advance(3_600);
    greets(&host, "acme", "five").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compilers_work_for_everybody_in_turn() {
    let host = TestHost::with(|config| {
        config.compile.processor_seconds = 1;
        config.compile.seconds = 20;
    })
    .await;
    let host = rivals(host).await;
    let ended = Mutex::new(Vec::new());
    let ends = |what: &'static str| ended.lock().expect("nobody panics").push(what);
    // Each is another, so that none is known from before.
    let bombs = (0..4).map(|number| bomb(20_000 + number)).collect::<Vec<_>>();
    let bombs = bombs.into_iter().map(async |component| {
        let refused = host.deploy("acme", "bomb", component).await;
        ends("bomb");
        refused.expect_err("it takes too long to compile")
    });
    // Nobody has compiled this before either.
    let salt = std::process::id();
    let good = async {
        let text = format!("{salt} at {:?}", std::time::SystemTime::now());
        greets(&host, "other", &text.replace('"', "")).await;
        ends("good");
    };
    let (refused, ()) = tokio::join!(futures_util::future::join_all(bombs), good);
    for refused in refused {
        assert!(refused.contains("compil"), "{refused}");
    }
    // One of a tenant's is compiled at a time, so that at most one stands before another tenant's.
    let ended = ended.lock().expect("nobody panics").clone();
    let place = ended.iter().position(|what| *what == "good").expect("it ends");
    assert!(place < 3, "{ended:?}");
    assert_eq!(asks(&host, "other", "/greet").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_components_of_one_leave_time_for_the_other() {
    let host = TestHost::with(|config| config.limits.compute_milliseconds = 300).await;
    let host = rivals(host).await;
    let few = json!({ "quotas": { "concurrency": 4 } });
    let few = host.operate(Method::PATCH, "tenants/acme").json(&few).answer().await;
    assert_eq!(few.status, 200, "{few:?}");
    host.deploy("acme", "hostile", hostile("", "")).await.expect("it is deployed");
    greets(&host, "other", "one").await;
    let slow = async || {
        let mut times = Vec::new();
        for _ in 0..100 {
            let asked = Instant::now();
            assert_eq!(asks(&host, "other", "/greet").await.status, 200);
            times.push(asked.elapsed());
        }
        times.sort();
        times[90]
    };
    slow().await;
    let alone = slow().await;
    let endless = futures_util::future::join_all((0..16).map(|_| asks(&host, "acme", "/loop")));
    let (ended, beside) = tokio::join!(endless, slow());
    for answer in ended {
        assert!([500, 503].contains(&answer.status.as_u16()), "{answer:?}");
    }
    assert!(beside < alone * 20, "alone {alone:?}, beside {beside:?}");
}
