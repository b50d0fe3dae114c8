//! Several hosts on one database: what one ends is over on all.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Row as _};

use crate::support::{Ask as _, TestHost};

/// That a host refuses a token as soon as word of it arrives.
async fn assert_ends(host: &TestHost, token: &str) {
    let ended = async { while host.me(token).await.status != 401 {} };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("word of it arrives");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_on_one_host_ends_on_the_other() {
    let Some((first, second, _)) = TestHost::two().await else { return };
    let signed_out = first.user("ipsaipsa").await;
    assert_eq!(second.me(&signed_out).await.code(), 20001);
    first.delete("/api/auth/logout").bearer_auth(&signed_out).answer().await;
    assert_ends(&second, &signed_out).await;

    let exchanged = second.sign_in("ipsaipsa", "secret-1").await;
    let fresh = second.put("/api/auth/refresh").bearer_auth(&exchanged).answer().await.data();
    let fresh = fresh["access_token"].as_str().expect("a token").to_owned();
    assert_ends(&first, &exchanged).await;
    assert_eq!(first.me(&fresh).await.code(), 20001);
    // The other host finds the reuse.
    first.clock.advance(10);
    second.clock.advance(10);
    first.put("/api/auth/refresh").bearer_auth(&exchanged).answer().await.assert_unauthenticated();
    assert_ends(&second, &fresh).await;

    let changed = first.sign_in("ipsaipsa", "secret-1").await;
    let inputs = [
        ("oldPassword", "secret-1"),
        ("newPassword", "secret-2"),
        ("newPassword_confirmation", "secret-2"),
    ];
    let change = first.put("/api/user/password/ipsaipsa").query(&inputs).bearer_auth(&changed);
    assert_eq!(change.answer().await.code(), 20001);
    assert_ends(&second, &changed).await;
    let alive = first.sign_in("ipsaipsa", "secret-2").await;
    assert_eq!(second.me(&alive).await.code(), 20001);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_exchanges_on_two_hosts_one_has_a_child() {
    let Some((first, second, _)) = TestHost::two().await else { return };
    let token = first.user("ipsaipsa").await;
    let answers = futures_util::future::join_all((0..20).map(|number| {
        let host = if number % 2 == 0 { &first } else { &second };
        host.put("/api/auth/refresh").bearer_auth(&token).answer()
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_while_nobody_listened_is_known_when_the_connection_is_back() {
    let Some((first, second, url)) = TestHost::two().await else { return };
    let mut admin = PgConnection::connect(&url).await.expect("the database");
    for name in ["ipsaipsa", "quodquod", "autemaut"] {
        let token = first.user(name).await;
        assert_eq!(second.me(&token).await.code(), 20001);
        let listening = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1') AND pid <> pg_backend_pid()";
        let killed = sqlx::query(listening).fetch_one(&mut admin).await.expect("killed");
        assert!(killed.get::<i64, _>(0) >= 2, "both hosts listened");
        first.delete("/api/auth/logout").bearer_auth(&token).answer().await;
        assert_ends(&second, &token).await;
    }
}
