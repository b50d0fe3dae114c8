//! A sign-in and the tokens that descend from it: what ends all of them, and what does not.

use futures_util::future::join_all;
use serde_json::{Value, json};
use wharf::database::Value as Column;

use super::{altered, signed};
use crate::support::{Answer, Ask as _, TestHost, claims, on_both_databases};

/// Exchanges a store's token.
async fn refresh(host: &TestHost, token: &str) -> Answer {
    host.put("/api/auth/refresh").bearer_auth(token).answer().await
}

/// The token that comes of exchanging one.
async fn exchanged(host: &TestHost, token: &str) -> String {
    let answer = refresh(host, token).await;
    answer.data()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

on_both_databases! {
    async fn a_token_that_comes_again_to_be_exchanged_ends_all_of_its_sign_in(host: TestHost) {
        let first = host.user("ipsaipsa").await;
        let other = host.sign_in("ipsaipsa", "secret-1").await;
        let second = exchanged(&host, &first).await;
        let third = exchanged(&host, &second).await;
        host.clock.advance(10);
        // Used for anything else, an old token is refused and no more: a page may have sent it before.
        for old in [&first, &second] {
            host.me(old).await.assert_unauthenticated();
        }
        assert_eq!(host.me(&third).await.code(), 20001);
        refresh(&host, &first).await.assert_unauthenticated();
        for ended in [&first, &second, &third] {
            host.me(ended).await.assert_unauthenticated();
            refresh(&host, ended).await.assert_unauthenticated();
        }
        assert_eq!(host.me(&other).await.code(), 20001, "another sign-in of the user goes on");
        host.restart().await;
        host.me(&third).await.assert_unauthenticated();
        assert_eq!(host.me(&other).await.code(), 20001);
    }

    async fn of_twenty_exchanges_at_once_one_has_a_child_that_lives(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let answers = join_all((0..20).map(|_| refresh(&host, &token))).await;
        let children: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
        let [child] = children.as_slice() else { panic!("{answers:?}") };
        let child = child.data()["access_token"].as_str().expect("a token").to_owned();
        assert_eq!(host.me(&child).await.code(), 20001);
        host.clock.advance(9);
        refresh(&host, &token).await.assert_unauthenticated();
        assert_eq!(host.me(&child).await.code(), 20001, "its holder may have sent it late");
    }

    async fn a_doctors_token_has_a_family_as_well(host: TestHost) {
        let first = host.doctor("demo").await;
        let refresh = async |token: &str| host.post("/api/auth/refresh").bearer_auth(token).answer().await;
        let me = async |token: &str| host.post("/api/auth/me").bearer_auth(token).answer().await.status;
        let second = refresh(&first).await.json()["access_token"].as_str().expect("a token").to_owned();
        host.clock.advance(10);
        assert_eq!(me(&second).await, 200);
        refresh(&first).await.assert_unauthenticated();
        assert_eq!(me(&second).await, 401);
    }

    async fn signing_out_ends_what_the_token_was_exchanged_for(host: TestHost) {
        let first = host.user("ipsaipsa").await;
        let (second, other) = (exchanged(&host, &first).await, host.sign_in("ipsaipsa", "secret-1").await);
        assert_eq!(host.delete("/api/auth/logout").bearer_auth(&second).answer().await.code(), 20001);
        host.me(&second).await.assert_unauthenticated();
        refresh(&host, &second).await.assert_unauthenticated();
        assert_eq!(host.me(&other).await.code(), 20001);
    }

    async fn of_an_exchange_and_a_change_of_the_password_at_once_no_token_is_left(host: TestHost) {
        host.register("ipsaipsa").await;
        let mut passwords = ["secret-1", "secret-2"];
        for _ in 0..6 {
            let token = host.sign_in("ipsaipsa", passwords[0]).await;
            let change = [("oldPassword", passwords[0]), ("newPassword", passwords[1]), ("newPassword_confirmation", passwords[1])];
            let change = host.put("/api/user/password/ipsaipsa").query(&change).bearer_auth(&token);
            let (changed, answer) = tokio::join!(change.answer(), refresh(&host, &token));
            if answer.status == 200 {
                let child = answer.data()["access_token"].as_str().expect("a token").to_owned();
                if changed.status == 200 {
                    host.me(&child).await.assert_unauthenticated();
                }
            }
            if changed.status == 200 {
                passwords.swap(0, 1);
            }
        }
    }

    async fn a_new_token_says_who_the_user_is_by_now(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        assert_eq!((&claims(&token)["name"], &claims(&token)["roles"]), (&json!("ipsaipsa"), &json!([])));
        host.sql("UPDATE users SET username = 'renamed' WHERE username = 'ipsaipsa' RETURNING id", Vec::new()).await;
        let promote = "INSERT INTO user_roles (user_id, role_id) SELECT users.id, roles.id FROM users, roles WHERE users.username = 'renamed' RETURNING role_id";
        host.sql(promote, Vec::new()).await;
        let token = exchanged(&host, &token).await;
        assert_eq!((&claims(&token)["name"], &claims(&token)["roles"]), (&json!("renamed"), &json!(["admin"])));
        host.sql("DELETE FROM user_roles RETURNING role_id", Vec::new()).await;
        assert_eq!(claims(&exchanged(&host, &token).await)["roles"], json!([]));
    }

    /// Tokens of a host that knew of no families, signed with its key.
    async fn a_token_without_a_family_is_the_first_of_its_own(host: TestHost) {
        host.register("ipsaipsa").await;
        let sign_in = async || {
            let token = host.sign_in("ipsaipsa", "secret-1").await;
            signed(&host, &altered(&token, |claims| claims["generation"] = json!(0)))
        };
        let (first, other) = (sign_in().await, sign_in().await);
        let second = exchanged(&host, &first).await;
        assert_eq!(claims(&second)["family"], claims(&first)["jti"]);
        host.me(&first).await.assert_unauthenticated();
        assert_eq!((host.me(&second).await.code(), host.me(&other).await.code()), (20001, 20001));
        assert_eq!(host.delete("/api/user_info/ipsaipsa").bearer_auth(&second).answer().await.code(), 20001);
        host.sql("UPDATE users SET status = 1 WHERE username = 'ipsaipsa' RETURNING id", Vec::new()).await;
        for ended in [&first, &second, &other] {
            host.me(ended).await.assert_unauthenticated();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_soon_a_token_may_come_again_is_a_setting() {
    let host = TestHost::with(|config| config.tokens.reuse_seconds = 0).await;
    let first = host.user("ipsaipsa").await;
    let second = exchanged(&host, &first).await;
    refresh(&host, &first).await.assert_unauthenticated();
    host.me(&second).await.assert_unauthenticated();
}

/// How many sign-ins, and users whose tokens were ended, the database remembers.
async fn remembered(host: &TestHost) -> [i64; 2] {
    let mut counts = [0; 2];
    for (count, table) in counts.iter_mut().zip(["token_families", "user_generations"]) {
        let rows = host.host_sql(&format!("SELECT COUNT(*) FROM {table}"), Vec::new()).await;
        let Column::Integer(number) = rows.rows[0][0] else { panic!("no number") };
        *count = number;
    }
    counts
}

on_both_databases! {
    async fn what_is_remembered_does_not_grow_with_exchanges_and_is_forgotten_in_time(host: TestHost) {
        let mut token = host.user("ipsaipsa").await;
        for _ in 0..50 {
            token = exchanged(&host, &token).await;
        }
        assert_eq!(remembered(&host).await, [1, 0]);
        host.delete("/api/auth/logout").bearer_auth(&token).answer().await;
        let leaving = host.user("quodquod").await;
        host.delete("/api/user_info/quodquod").bearer_auth(&leaving).answer().await;
        assert_eq!(remembered(&host).await, [1, 1]);
        // All those tokens have expired by themselves: the next one that is ended is alone.
        host.clock.advance(3600);
        let token = host.sign_in("ipsaipsa", "secret-1").await;
        host.delete("/api/auth/logout").bearer_auth(&token).answer().await;
        // Whoever hears of it first clears up, which may be a moment after the answer.
        let cleared = async {
            while remembered(&host).await != [1, 0] {
                tokio::task::yield_now().await;
            }
        };
        let cleared = tokio::time::timeout(std::time::Duration::from_mins(1), cleared).await;
        assert!(cleared.is_ok(), "{:?}", remembered(&host).await);
        host.me(&token).await.assert_unauthenticated();
        host.me(&leaving).await.assert_unauthenticated();
    }
}

/// A host that keeps three entries in memory, with ten sign-ins and two users ended.
async fn ended_beyond_memory(database: Option<String>) -> (TestHost, Vec<String>, Vec<String>) {
    let host = TestHost::with(|config| {
        config.tokens.remembered = 3;
        config.database = database;
    })
    .await;
    let (mut ended, mut alive) = (Vec::new(), Vec::new());
    host.register("ipsaipsa").await;
    for number in 0..10 {
        let token = host.sign_in("ipsaipsa", "secret-1").await;
        if number % 2 == 0 {
            host.delete("/api/auth/logout").bearer_auth(&token).answer().await;
        } else {
            alive.push(exchanged(&host, &token).await);
        }
        ended.push(token);
    }
    for name in ["quodquod", "autemaut"] {
        let token = host.user(name).await;
        host.delete(&format!("/api/user_info/{name}")).bearer_auth(&token).answer().await;
        host.sql(
            &format!("UPDATE users SET status = 1 WHERE username = '{name}' RETURNING id"),
            Vec::new(),
        )
        .await;
        ended.push(token);
        alive.push(host.sign_in(name, "secret-1").await);
    }
    (host, ended, alive)
}

async fn assert_nothing_forgotten(host: &TestHost, ended: &[String], alive: &[String]) {
    for token in ended {
        host.me(token).await.assert_unauthenticated();
    }
    for token in alive {
        assert_eq!(host.me(token).await.code(), 20001);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_memory_does_not_hold_is_not_forgotten() {
    for database in [None, crate::support::postgres::fresh_database().await] {
        let (mut host, ended, alive) = ended_beyond_memory(database).await;
        assert_nothing_forgotten(&host, &ended, &alive).await;
        host.restart().await;
        assert_nothing_forgotten(&host, &ended, &alive).await;
        // What was ended first has expired; memory holds the rest again, whoever asks.
        host.clock.advance(3600);
        let token = host.sign_in("ipsaipsa", "secret-1").await;
        let last = exchanged(&host, &token).await;
        assert_nothing_forgotten(&host, &[token], &[last]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_told_from_the_revoked_is_asked_to_come_back() {
    let (host, _, alive) = ended_beyond_memory(None).await;
    host.host_schema("ALTER TABLE token_families RENAME TO elsewhere").await;
    let answer = host.me(&alive[0]).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
    host.host_schema("ALTER TABLE elsewhere RENAME TO token_families").await;
    assert_eq!(host.me(&alive[0]).await.code(), 20001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_lifetime_counts_for_tokens_that_are_out() {
    let mut host = TestHost::on_sqlite().await;
    let token = host.user("ipsaipsa").await;
    host.reconfigure(|config| config.tokens.lifetime_seconds = 60).await;
    host.clock.advance(59);
    assert_eq!(host.me(&token).await.code(), 20001);
    host.clock.advance(1);
    assert_eq!(host.me(&token).await.json(), json!({ "message": "Unauthenticated." }));
    assert_eq!(claims(&token)["family"], Value::Null);
}
