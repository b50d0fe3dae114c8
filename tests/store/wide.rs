//! Rows as wide as they can be, in pages as long as they can be: no list may fail for what it holds.

use serde_json::{Value, json};
use wharf::database::Value as Column;

use crate::store::addresses::ADDRESS;
use crate::support::{Ask as _, on_both_databases};

/// Text that takes the most bytes in the database, and text that takes the most in JSON.
fn widest() -> [String; 2] {
    ["\u{10FFFF}".repeat(255), "\u{1}".repeat(255)]
}

/// Thousand rows of an address that is there.
const MULTIPLY: &str = "INSERT INTO user_addresses (user_id, province, city, district, address, zip, contact_name, contact_phone, created_at, updated_at)
    WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 999)
    SELECT user_id, province, city, district, address, zip, contact_name, contact_phone, created_at, updated_at
    FROM user_addresses, numbers";

on_both_databases! {
    async fn the_longest_page_of_the_widest_rows_is_answered(host: TestHost) {
        let (token, admin) = (host.user("ipsaipsa").await, host.admin().await);
        for text in widest() {
            let address: Value = ADDRESS.iter().map(|(name, _)| ((*name).to_owned(), json!(text))).collect();
            let made = host.post("/api/user_addresses").json(&address).bearer_auth(&token).answer().await;
            assert_eq!(made.code(), 20001);
            host.sql(MULTIPLY, Vec::new()).await;
            for caller in [&token, &admin] {
                let list = host.get("/api/user_addresses?page_limit=99999").bearer_auth(caller).answer().await;
                assert_eq!((list.code(), list.data()["data"].as_array().map(Vec::len)), (20001, Some(1000)));
                assert_eq!(list.data()["data"][999]["zip"], text);
            }
            host.sql("DELETE FROM user_addresses WHERE user_id = $1 RETURNING id", vec![Column::Integer(3)]).await;
        }
    }

    async fn text_that_is_longer_than_a_column_is_not_stored(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let long = "\u{1}".repeat(256);
        for (column, _) in ADDRESS {
            let mut address: Value = ADDRESS.iter().map(|(name, _)| ((*name).to_owned(), json!("et"))).collect();
            address[column] = json!(long);
            let refused = host.post("/api/user_addresses").json(&address).bearer_auth(&token).answer().await;
            assert_eq!(refused.code(), 50001, "{column}");
        }
        for column in ["name", "email", "phone", "avatar"] {
            let refused = host.put("/api/user_info/ipsaipsa").json(&json!({ column: long })).bearer_auth(&token).answer().await;
            assert_eq!(refused.code(), 50001, "{column}");
        }
        for column in ["real_name", "age"] {
            let refused = host.put("/api/user_profiles/1").json(&json!({ column: long })).bearer_auth(&token).answer().await;
            assert_eq!(refused.code(), 50001, "{column}");
        }
    }

    async fn a_birthday_is_a_day_of_the_calendar(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        for day in ["2024-+2-+3", "2023-02-29", "2024-1-1"] {
            let refused = host.put("/api/user_profiles/1").query(&[("birthday", day)]).bearer_auth(&token).answer().await;
            assert_eq!(refused.code(), 50001, "{day}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_values_are_no_input_and_no_failure() {
    let host = crate::support::TestHost::on_sqlite().await;
    let doctor = host.doctor("doctor").await;
    let json = format!(r#"{{"name":1,"a":[{}0]}}"#, "[0],".repeat(250_000));
    let form = "name=1&".repeat(140_000);
    for path in [
        "/api/auth/register",
        "/api/auth/login",
        "/login",
        "/signUp",
        "/api/doctor/certificate/upload",
    ] {
        for (kind, body) in
            [("application/json", &json), ("application/x-www-form-urlencoded", &form)]
        {
            let request = host.post(path).bearer_auth(&doctor).header("content-type", kind);
            let answer = request.body(body.clone()).answer().await;
            assert!(answer.status.as_u16() < 500, "{path} {kind}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn media_types_have_no_case() {
    let host = crate::support::TestHost::on_sqlite().await;
    let body =
        json!({ "username": "admin", "password": crate::support::ADMIN_PASSWORD }).to_string();
    let login = host.post("/api/auth/login").header("content-type", "Application/JSON").body(body);
    let token = login.answer().await.data()["access_token"].as_str().expect("a token").to_owned();
    // The host looks for a token in bodies as well.
    let me = host.get("/api/auth/me").header("content-type", "Application/JSON");
    let me = me.body(json!({ "token": token }).to_string()).answer().await;
    assert_eq!(me.code(), 20001);
}
