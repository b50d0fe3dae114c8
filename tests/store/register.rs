//! `POST /api/auth/register`.

use serde_json::{Value, json};

use crate::support::{Ask as _, TestHost, keys, on_both_databases};

on_both_databases! {
    async fn a_user_signs_up_and_gets_what_was_sent_without_passwords(host: TestHost) {
        let inputs = host.registration("ipsaipsa").await;
        let answer = host.post("/api/auth/register").query(&inputs).answer().await;
        let data = json!({
            "name": "A Name",
            "username": "ipsaipsa",
            "invitation_code": "welcome",
            "captcha_key": inputs[5].1,
            "captcha_code": inputs[6].1,
        });
        answer.assert_envelope(data, 20001, "操作成功");
        let token = host.sign_in("ipsaipsa", "secret-1").await;
        let profile = host.get("/api/user_profiles").bearer_auth(&token).answer().await;
        assert_eq!((profile.data()["user_id"].as_i64(), profile.data()["sex"].as_i64()), (Some(3), Some(1)));
    }

    async fn each_rule_has_its_message_in_order(host: TestHost) {
        let mut sent: Vec<(&str, &str)> = Vec::new();
        // Each step sends one input more or mends one, and the next rule speaks.
        let steps: &[(&str, &str, &str)] = &[
            ("", "", "The name field is required."),
            ("name", "quod", "The username field is required."),
            ("username", "ipsa", "The username must be at least 6 characters."),
            ("username", "ipsa-ipsa", "The username format is invalid."),
            ("username", "ipsaipsa", "The password field is required."),
            ("password", "a b", "The password may only contain letters, numbers, dashes and underscores."),
            ("password", "aut", "The password must be at least 6 characters."),
            ("password", "密码密码_-1", "The password confirmation does not match."),
            ("password_confirmation", "other", "The password confirmation does not match."),
            ("password_confirmation", "密码密码_-1", "The invitation code field is required."),
            ("invitation_code", "possimus", "The captcha key field is required."),
            ("captcha_key", "provident", "The captcha code field is required."),
        ];
        for (name, value, message) in steps {
            sent.retain(|(sent, _)| sent != name);
            if !name.is_empty() {
                sent.push((name, value));
            }
            let answer = host.post("/api/auth/register").query(&sent).answer().await;
            assert_eq!((answer.code(), answer.message().as_str()), (10001, *message), "{sent:?}");
            assert!(keys(&answer.data()).iter().all(|key| !key.starts_with("password")), "{answer:?}");
        }
        sent.push(("captcha_code", "recusandae"));
        let answer = host.post("/api/auth/register").query(&sent).answer().await;
        answer.assert_envelope(json!("recusandae"), 10003, "验证码无效");
    }

    async fn no_input_at_all_is_an_empty_array(host: TestHost) {
        let answer = host.post("/api/auth/register").answer().await;
        answer.assert_envelope(json!([]), 10001, "The name field is required.");
    }

    async fn texts_must_be_texts(host: TestHost) {
        for (field, label) in [("invitation_code", "invitation code"), ("captcha_key", "captcha key"), ("captcha_code", "captcha code")] {
            let mut body: Value = host.registration("ipsaipsa").await.into_iter().collect::<std::collections::BTreeMap<_, _>>().into_iter().collect();
            body[field] = json!(7);
            let answer = host.post("/api/auth/register").json(&body).answer().await;
            assert_eq!((answer.code(), answer.message()), (10001, format!("The {label} must be a string.")));
        }
    }

    async fn a_taken_username_is_told_and_the_captcha_is_gone(host: TestHost) {
        host.register("ipsaipsa").await;
        let inputs = host.registration("ipsaipsa").await;
        let answer = host.post("/api/auth/register").query(&inputs).answer().await;
        answer.assert_envelope(json!("ipsaipsa"), 40001, "用户已存在");
        let again = host.post("/api/auth/register").query(&inputs).answer().await;
        assert_eq!(again.message(), "验证码无效");
    }

    async fn of_ten_at_once_one_gets_the_username(host: TestHost) {
        let mut attempts = Vec::new();
        for _ in 0..10 {
            let inputs = host.registration("ipsaipsa").await;
            attempts.push(host.post("/api/auth/register").query(&inputs).answer());
        }
        let codes: Vec<i64> = futures_util::future::join_all(attempts).await.iter().map(crate::support::Answer::code).collect();
        assert_eq!(codes.iter().filter(|code| **code == 20001).count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| **code == 40001).count(), 9, "{codes:?}");
    }

    async fn an_email_or_phone_of_somebody_else_is_a_failure(host: TestHost) {
        for (field, value) in [("email", "admin@admin.com"), ("phone", "12312312312")] {
            let mut inputs = host.registration("ipsaipsa").await;
            inputs.push((field.into(), value.into()));
            let answer = host.post("/api/auth/register").query(&inputs).answer().await;
            answer.assert_envelope(Value::Null, 50001, "操作失败");
        }
        host.register("ipsaipsa").await;
    }

    async fn optional_columns_are_stored(host: TestHost) {
        let mut inputs = host.registration("ipsaipsa").await;
        for (name, value) in [("email", "a@b.c"), ("phone", "13800000000"), ("avatar", "/a.png"), ("status", "7"), ("id", "99")] {
            inputs.push((name.into(), value.into()));
        }
        assert_eq!(host.post("/api/auth/register").query(&inputs).answer().await.code(), 20001);
        let me = host.me(&host.sign_in("ipsaipsa", "secret-1").await).await.data();
        assert_eq!((&me["email"], &me["phone"], &me["avatar"]), (&json!("a@b.c"), &json!("13800000000"), &json!("/a.png")));
        // What nobody may choose for themselves is ignored.
        assert_eq!((&me["status"], &me["id"]), (&json!(1), &json!(3)));
    }

    async fn the_use_of_an_invitation_is_counted(host: TestHost) {
        host.sql("INSERT INTO invitation_codes (code) VALUES ('welcome') RETURNING code", Vec::new()).await;
        host.register("firstuser").await;
        host.register("seconduser").await;
        let uses = host.sql("SELECT usage_times FROM invitation_codes WHERE code = 'welcome'", Vec::new()).await;
        assert_eq!(uses.rows, [[wharf::database::Value::Integer(2)]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_can_be_required() {
    let host = TestHost::with(|config| {
        let store = config.realms.entry("store".into()).or_default();
        store.invitations = Some(wharf::tenant::Invitations::Required);
    })
    .await;
    let inputs = host.registration("ipsaipsa").await;
    let answer = host.post("/api/auth/register").query(&inputs).answer().await;
    answer.assert_envelope(json!("welcome"), 10003, "邀请码无效");
    host.sql(
        "INSERT INTO invitation_codes (code, usage_limit) VALUES ('welcome', 1) RETURNING code",
        Vec::new(),
    )
    .await;
    host.register("ipsaipsa").await;
    let inputs = host.registration("quodquod").await;
    let used_up = host.post("/api/auth/register").query(&inputs).answer().await;
    used_up.assert_envelope(json!("welcome"), 10003, "邀请码无效");
}
