//! More sign-ins than a host can hash: they are bounded in memory and in number, and hold up nobody else.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use wharf::Config;
use wharf::database::Value;

use crate::command_line::folder;
use crate::support::serving::{Serving, serve};
use crate::support::{ADMIN_PASSWORD, Answer, Ask, TestHost, guests};

/// Sign-ins at once.
const CLIENTS: usize = 200;

/// Bytes that one hash takes.
const HASH: u64 = 19 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_sign_ins_at_once_take_bounded_memory_and_hold_up_nobody_else() {
    let folder = folder();
    let settings = folder.path().join("wharf.toml");
    std::fs::write(&settings, "throttle.enabled = false\npasswords.concurrency = 2\n")
        .expect("the folder is writable");
    let mut command = serve(folder.path(), &guests::built_in());
    command.arg("--config").arg(&settings).env("WHARF_ADMIN_PASSWORD", ADMIN_PASSWORD);
    let serving = Serving::start(command);
    let client = reqwest::Client::new();
    let login = |username: String, password: &'static str| {
        let request = client.post(format!("{}/api/auth/login", serving.url));
        let request = request.query(&[("username", username.as_str()), ("password", password)]);
        async move {
            let begun = Instant::now();
            (request.answer().await, begun.elapsed())
        }
    };
    let (welcome, _) = login("admin".into(), ADMIN_PASSWORD).await;
    let token = welcome.data()["access_token"].as_str().expect("a token").to_owned();
    let before = peak_memory(serving.child.id());

    let flood = join_all((0..CLIENTS).map(|number| match number % 4 {
        0 => login("admin".into(), ADMIN_PASSWORD),
        1 => login("admin".into(), "wrong-password"),
        _ => login(format!("nobody-{number}"), "wrong-password"),
    }));
    let others = async {
        let mut times = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            let me = client.get(format!("{}/api/auth/me", serving.url)).bearer_auth(&token);
            assert_eq!(me.answer().await.code(), 20001);
            times.push(begun.elapsed());
        }
        times
    };
    let (logins, mut others) = tokio::join!(flood, others);

    let (answered, refused): (Vec<_>, Vec<_>) =
        logins.into_iter().partition(|(answer, _)| answer.status == 200);
    assert!(answered.len() > CLIENTS / 4, "{} of {CLIENTS} were answered", answered.len());
    for (answer, _) in &refused {
        assert_busy(answer);
    }
    others.sort_unstable();
    let mut logins: Vec<Duration> = answered.into_iter().map(|(_, time)| time).collect();
    logins.sort_unstable();
    let (slow, usual) = (others[98], logins[logins.len() / 2]);
    println!("other routes' p99 {slow:?}, the median sign-in {usual:?}");
    assert!(slow * 3 < usual, "other routes' p99 is {slow:?}, the median sign-in's time {usual:?}");
    // Two hashes, and for each call an instance and its connection; without the bound it would be 200 hashes.
    let grown = peak_memory(serving.child.id()) - before;
    println!("the peak grew by {} MiB", grown >> 20);
    assert!(grown < 12 * HASH, "the peak grew by {} MiB", grown >> 20);
}

/// The most memory that a process has ever had resident, in bytes.
fn peak_memory(process: u32) -> u64 {
    let status =
        std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"))
            .expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// That it is the answer to whoever came when too many passwords were waiting.
#[track_caller]
fn assert_busy(answer: &Answer) {
    let (status, body) = (answer.status.as_u16(), answer.body.as_str());
    assert_eq!((status, body), (503, r#"{"message":"Service Unavailable"}"#));
    assert_eq!(answer.header("retry-after"), "1");
}

/// A host with a user whose password takes a thread for the better part of a second.
async fn host_with_a_slow_user(change: impl FnOnce(&mut Config)) -> TestHost {
    let host = TestHost::with(change).await;
    host.register("slowuser").await;
    let hash = bcrypt::hash("secret-1", 13).expect("a hash");
    let set = "UPDATE users SET password = $1 WHERE username = 'slowuser' RETURNING id";
    host.sql(set, vec![Value::Text(hash)]).await;
    host
}

/// How many of six sign-ins at once are answered; the others are told to come back.
async fn answered(host: &TestHost) -> usize {
    let logins = join_all((0..6).map(|_| host.login("slowuser", "wrong-password"))).await;
    let (answered, refused): (Vec<_>, Vec<_>) =
        logins.into_iter().partition(|answer| answer.status == 200);
    refused.iter().for_each(assert_busy);
    answered.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_are_hashed_and_wait_as_the_operator_says() {
    for (concurrency, queue) in [(1, 0), (1, 2), (3, 0)] {
        let host = host_with_a_slow_user(|config| {
            config.passwords.concurrency = concurrency;
            config.passwords.queue = Some(queue);
        })
        .await;
        assert_eq!(answered(&host).await, concurrency + queue, "{concurrency} and {queue}");
        assert_eq!(host.login("admin", ADMIN_PASSWORD).await.code(), 20001);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_longer_than_the_operator_says() {
    let host = host_with_a_slow_user(|config| {
        config.passwords.concurrency = 1;
        config.passwords.wait_milliseconds = 50;
    })
    .await;
    assert_eq!(answered(&host).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ups_and_changes_of_passwords_are_bounded_as_well() {
    let host = host_with_a_slow_user(|config| {
        config.passwords.concurrency = 1;
        config.passwords.queue = Some(0);
    })
    .await;
    let (admin, inputs) = (host.admin().await, host.registration("newcomer").await);
    let change = [
        ("oldPassword", ADMIN_PASSWORD),
        ("newPassword", "secret-2"),
        ("newPassword_confirmation", "secret-2"),
    ];
    let doctor = serde_json::json!({ "username": "demo", "password": "12345678", "email": "a@example.com", "sex": 0, "age": 24 });
    // They come one after the other: once somebody is refused, one of them has the only thread.
    let slow = async {
        loop {
            host.login("slowuser", "wrong-password").await;
        }
    };
    let refused = async {
        while host.login("admin", ADMIN_PASSWORD).await.status == 200 {}
        let requests = [
            host.post("/api/auth/register").query(&inputs),
            host.post("/api/auth/register").json(&doctor),
            host.put("/api/user/password/admin").query(&change).bearer_auth(&admin),
        ];
        join_all(requests.map(Ask::answer)).await.iter().for_each(assert_busy);
    };
    tokio::select! { () = slow => {} () = refused => {} }
}
