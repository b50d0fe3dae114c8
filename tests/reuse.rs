//! Instances that are kept for another request, where a group asks for it: how often, how long, and what they
//! never bring with them.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use wharf::Config;
use wharf::instance::reuse::Reuse;

use crate::support::serving::{Serving, serve};
use crate::support::{Ask as _, TestHost, guests};

/// A host whose hostile guest has its instances kept.
async fn keeping(max_uses: u32, idle_seconds: u64, change: impl FnOnce(&mut Config)) -> TestHost {
    TestHost::with(|config| {
        config.components = guests::guest("hostile");
        config.captcha_reveal = false;
        let group = config.groups.entry("hostile".into()).or_default();
        group.reuse = Some(Reuse { max_uses, idle_seconds });
        change(config);
    })
    .await
}

/// How many requests the instance that answers has answered, this one counted.
async fn uses(host: &TestHost) -> i64 {
    let answer = host.get("/uses").answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_i64().expect("a number")
}

async fn status(host: &TestHost, path: &str) -> StatusCode {
    host.get(path).answer().await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_answers_as_often_as_its_group_asks_for_and_once_by_default() {
    let host = keeping(3, 60, |_| {}).await;
    for expected in [1, 2, 3, 1, 2, 3, 1] {
        assert_eq!(uses(&host).await, expected);
    }
    for host in [keeping(1, 60, |_| {}).await, keeping(3, 60, |config| config.groups.clear()).await]
    {
        for _ in 0..3 {
            assert_eq!(uses(&host).await, 1);
        }
        assert_eq!(host.kept(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_in_which_something_went_wrong_is_thrown_away() {
    let host = keeping(100, 60, |config| {
        config.limits.compute_milliseconds = 300;
        config.limits.call_milliseconds = 1_000;
        config.limits.memory_bytes = 16 * 1024 * 1024;
    })
    .await;
    // A trap, the limits of computing, of the call, of memory and of handles, an answer that is none.
    for path in ["/trap", "/loop", "/sleep", "/grow", "/handles", "/recurse/100000", "/status"] {
        assert_eq!((uses(&host).await, uses(&host).await), (1, 2), "before {path}");
        assert_eq!(host.kept(), 1, "before {path}");
        assert_eq!(status(&host, path).await, 500, "{path}");
        assert_eq!(host.kept(), 0, "after {path}");
    }
    assert_eq!(uses(&host).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_left_open_is_rolled_back_and_its_instance_thrown_away() {
    for path in ["/transaction", "/transaction/trap"] {
        let host = keeping(100, 60, |_| {}).await;
        assert_eq!((uses(&host).await, uses(&host).await), (1, 2));
        status(&host, path).await;
        host.settles().await;
        assert_eq!(host.kept(), 0, "{path}");
        assert_eq!(uses(&host).await, 1, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_may_take_begins_anew_with_each() {
    let host = keeping(1_000, 60, |config| {
        config.limits.host_calls = 60;
        config.sql.request_statements = 2;
    })
    .await;
    let statement = json!({ "sql": "SELECT 1 AS one FROM invitation_codes" });
    for expected in 1..100 {
        let answer = host.post("/statement").json(&statement).answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(uses(&host).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_nobody_asks_goes_after_its_time() {
    let host = keeping(100, 1, |_| {}).await;
    assert_eq!((uses(&host).await, uses(&host).await), (1, 2));
    assert_eq!(host.kept(), 1);
    let gone = async {
        while host.kept() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), gone).await.expect("it goes");
    assert_eq!(uses(&host).await, 1);
    // Whoever clears up comes again.
    assert_eq!(host.kept(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_task_watches_what_is_kept_and_not_one_for_each_request() {
    let host = keeping(1_000, 60, |_| {}).await;
    for expected in 1..=200 {
        assert_eq!(uses(&host).await, expected);
    }
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks < 100, "{tasks} tasks");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_are_kept_as_there_is_room_for() {
    let together = async |host: &TestHost| {
        let asked = (0..20).map(|_| uses(host));
        futures_util::future::join_all(asked).await;
        host.kept()
    };
    let host = keeping(1_000, 60, |config| config.reuse.instances = 1).await;
    assert_eq!(together(&host).await, 1);
    let host = keeping(1_000, 60, |config| config.reuse.instances = 0).await;
    assert_eq!(together(&host).await, 0);
    // The guest begins with more memory than this.
    let host = keeping(1_000, 60, |config| config.reuse.bytes = 64 * 1024).await;
    assert_eq!(together(&host).await, 0);
    let host = keeping(1_000, 60, |config| config.reuse.bytes = 3 * 1024 * 1024).await;
    assert_eq!((uses(&host).await, uses(&host).await, host.kept()), (1, 2, 1));
    // One that has grown does not fit any more.
    assert_eq!(status(&host, "/remember/a-secret-of-somebody").await, 200);
    assert_eq!(status(&host, "/search/ydobemos").await, 200);
    assert_eq!(host.kept(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_in_memory_is_found_by_the_same_group_alone() {
    let secret = "for-our-group-alone";
    let backwards: String = secret.chars().rev().collect();
    let search = format!("/search/{backwards}");
    let found = async |host: &TestHost| host.get(&search).answer().await.json() == json!(true);
    let keeps = keeping(1_000, 60, |_| {}).await;
    let other = keeping(1_000, 60, |_| {}).await;
    let fresh = keeping(1, 60, |_| {}).await;
    for round in 0..50 {
        assert_eq!(status(&keeps, &format!("/remember/{secret}")).await, 200);
        // This is the price of it.
        assert!(found(&keeps).await, "round {round}");
        assert!(!found(&other).await, "round {round}");
        assert!(!found(&fresh).await, "round {round}");
        status(&keeps, "/trap").await;
        assert!(!found(&keeps).await, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_is_logged_once_and_with_its_own_request() {
    let folder = TempDir::new().expect("a temporary folder");
    let settings = folder.path().join("wharf.toml");
    let text =
        "throttle.enabled = false\n[groups.hostile.reuse]\nmax_uses = 5\nidle_seconds = 60\n";
    std::fs::write(&settings, text).expect("a file");
    let mut command = serve(folder.path(), &guests::guest("hostile"));
    command.env("WHARF_CONFIG", &settings);
    let host = Serving::start(command);
    let uses = async || {
        let answer = reqwest::get(format!("{}/uses", host.url)).await.expect("an answer");
        answer.text().await.expect("a body")
    };
    assert_eq!(uses().await, "1");
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = reqwest::get(format!("{}/print", host.url)).await.expect("an answer");
        let id = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
        ids.push(id);
    }
    assert_eq!(uses().await, "2");
    let (code, printed) = host.stop("TERM");
    assert_eq!(code, Some(0), "{printed}");
    let lines: Vec<&str> =
        printed.lines().filter(|line| line.contains("printed by the guest")).collect();
    assert_eq!(lines.len(), 3, "{printed}");
    for (line, id) in lines.iter().zip(&ids) {
        assert!(line.contains(id.as_str()), "{line} is of {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_instances_than_there_is_memory_for_are_no_setting() {
    let config = Config {
        reuse: wharf::instance::reuse::Config { instances: 129, ..Default::default() },
        ..Config::default()
    };
    let refused = config.check().expect_err("it is refused");
    assert!(refused.starts_with("reuse.instances is 129"), "{refused}");
}
