//! The realm `clinic`, as its clients know it, on both databases.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::store::same_answers::odd;
use crate::support::{Answer, Ask as _, TestHost, on_both_databases};

/// Asks for something as the owner of a token.
async fn ask(host: &TestHost, method: &str, path: &str, token: &str) -> Answer {
    host.request(method.parse().expect("a method"), path).bearer_auth(token).answer().await
}

/// What a token says.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("three parts");
    let text = URL_SAFE_NO_PAD.decode(part).expect("base64");
    serde_json::from_slice(&text).expect("JSON")
}

/// A registration that succeeds, with some of its inputs changed.
fn registration(changes: &Value) -> Value {
    let mut body = json!({ "username": "demo", "password": "12345678", "email": "me@example.com", "sex": 0, "age": 24 });
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

on_both_databases! {
    async fn a_doctor_lives(host: TestHost) {
        let registered = host.post("/api/auth/register").json(&registration(&json!({}))).answer().await;
        assert_eq!((registered.status.as_u16(), registered.body.as_str()), (200, r#"{"message":"注册成功"}"#));
        let body = json!({ "email": "me@example.com", "password": "12345678" });
        let login = host.post("/api/auth/login").json(&body).answer().await;
        let token = login.json()["access_token"].as_str().expect("a token").to_owned();
        assert_eq!(login.body, format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":3600}}"#));

        let claims = claims(&token);
        assert_eq!((&claims["type"], &claims["username"], &claims["sub"]), (&json!(0), &json!("demo"), &json!("3")));

        let me = ask(&host, "POST", "/api/auth/me", &token).await;
        assert_eq!(me.body, r#"{"id":3,"created_at":null,"updated_at":null,"type":0,"username":"demo","sex":0,"age":24,"head_portrait":null,"clinic":null,"mobile":null,"email":"me@example.com","fixphonenumber":null,"certificat":null,"certificat_checked":null,"wechat":null,"intro":null,"school":null,"major":null,"fix_phone_number":null,"certificate":null,"certificate_checked":null}"#);
        assert_eq!(ask(&host, "GET", "/api/doctor/me", &token).await.body, me.body);
        assert_eq!(ask(&host, "GET", "/api/doctor/certificate", &token).await.body, "null");

        let refreshed = ask(&host, "POST", "/api/auth/refresh", &token).await;
        ask(&host, "POST", "/api/auth/me", &token).await.assert_unauthenticated();
        let token = refreshed.json()["access_token"].as_str().expect("a token").to_owned();
        assert!(crate::clinic::claims(&token).get("type").is_none());
        assert_eq!((&refreshed.json()["token_type"], &refreshed.json()["expires_in"]), (&json!("bearer"), &json!(3600)));
        let logout = ask(&host, "POST", "/api/auth/logout", &token).await;
        assert_eq!((logout.status.as_u16(), logout.body.as_str()), (200, r#"{"message":"登出成功"}"#));
        ask(&host, "POST", "/api/auth/me", &token).await.assert_unauthenticated();
    }

    async fn every_broken_rule_is_told(host: TestHost) {
        host.doctor("taken").await;
        for (changes, errors) in [
            (json!({ "username": "ab" }), json!({ "username": ["用户名 至少为 3 个字符。"] })),
            (json!({ "username": "a".repeat(17) }), json!({ "username": ["用户名 不能大于 16 个字符。"] })),
            (json!({ "username": "taken" }), json!({ "username": ["用户名 已经存在。"] })),
            (json!({ "password": "1234567" }), json!({ "password": ["密码 至少为 8 个字符。"] })),
            (json!({ "password": "1".repeat(21) }), json!({ "password": ["密码 不能大于 20 个字符。"] })),
            (json!({ "email": "nobody" }), json!({ "email": ["邮箱 不是一个合法的邮箱。"] })),
            (json!({ "email": "taken@example.com" }), json!({ "email": ["邮箱 已经存在。"] })),
            (json!({ "sex": 3 }), json!({ "sex": ["性别 必须介于 0 - 2 之间。"] })),
            (json!({ "sex": "abc" }), json!({ "sex": ["性别 必须是整数。", "性别 必须介于 0 - 2 之间。"] })),
            (json!({ "age": 151 }), json!({ "age": ["年龄 必须介于 0 - 150 之间。"] })),
            (json!({ "age": -1 }), json!({ "age": ["年龄 必须介于 0 - 150 之间。"] })),
            (json!({ "age": 1.5 }), json!({ "age": ["年龄 必须是整数。"] })),
            (json!({ "username": null, "age": "" }), json!({ "username": ["用户名 不能为空。"], "age": ["年龄 不能为空。"] })),
            (json!({ "username": ["a", "b", "c"], "password": [1, 1, 1, 1, 1, 1, 1, 1] }), json!({ "username": ["用户名 必须是一个字符串。"], "password": ["密码 必须是一个字符串。"] })),
            (json!({ "username": { "a": 1 }, "email": { "a": 1 } }), json!({ "username": ["用户名 必须是一个字符串。", "用户名 至少为 3 个字符。"], "email": ["邮箱 不是一个合法的邮箱。"] })),
            (json!({ "email": "Me <me@example.com>" }), json!({ "email": ["邮箱 不是一个合法的邮箱。"] })),
        ] {
            let answer = host.post("/api/auth/register").json(&registration(&changes)).answer().await;
            let expected = json!({ "message": "The given data was invalid.", "errors": errors });
            assert_eq!((answer.status.as_u16(), answer.json()), (422, expected), "{changes}");
        }
        let nothing = host.post("/api/auth/register").header("content-type", "application/json").body("[object Object]").answer().await;
        assert_eq!(nothing.body, r#"{"message":"The given data was invalid.","errors":{"username":["用户名 不能为空。"],"password":["密码 不能为空。"],"email":["邮箱 不能为空。"],"sex":["性别 不能为空。"],"age":["年龄 不能为空。"]}}"#);
        // Nobody of them was made.
        let count = host.sql("SELECT COUNT(*) FROM users WHERE realm = 'clinic'", Vec::new()).await;
        assert_eq!(count.rows, [[wharf::database::Value::Integer(1)]]);
    }

    async fn numbers_may_be_text(host: TestHost) {
        let body = registration(&json!({ "sex": "2", "age": "150" }));
        assert_eq!(host.post("/api/auth/register").json(&body).answer().await.status, 200);
        let body = json!({ "email": "me@example.com", "password": "12345678" });
        let login = host.post("/api/auth/login").form(&body).answer().await;
        let me = ask(&host, "POST", "/api/auth/me", login.json()["access_token"].as_str().expect("a token")).await.json();
        assert_eq!((&me["sex"], &me["age"]), (&json!(2), &json!(150)));
    }

    async fn a_sign_in_fails_alike_for_unknown_users_and_wrong_passwords(host: TestHost) {
        host.doctor("demo").await;
        for (email, password) in [("demo@example.com", "wrong-one"), ("nobody@example.com", "12345678")] {
            let answer = host.post("/api/auth/login").json(&json!({ "email": email, "password": password })).answer().await;
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (401, r#"{"message":"登录验证失败"}"#));
        }
        for (body, errors) in [
            (json!({ "email": "demo@example.com" }), json!({ "password": ["密码 不能为空。"] })),
            (json!({ "email": "demo", "password": "12345678" }), json!({ "email": ["邮箱 不是一个合法的邮箱。"] })),
            (json!({ "email": "" }), json!({ "email": ["邮箱 不能为空。"], "password": ["密码 不能为空。"] })),
        ] {
            let answer = host.post("/api/auth/login").json(&body).answer().await;
            assert_eq!((answer.status.as_u16(), &answer.json()["errors"]), (422, &errors), "{body}");
        }
        host.sql("UPDATE users SET status = -1 WHERE realm = 'clinic' RETURNING id", Vec::new()).await;
        let body = json!({ "email": "demo@example.com", "password": "12345678" });
        assert_eq!(host.post("/api/auth/login").json(&body).answer().await.status, 401);
    }

    async fn odd_text_is_refused_or_stored_but_never_a_failure(host: TestHost) {
        let token = host.doctor("doctor").await;
        for text in odd() {
            for field in ["username", "password", "email", "sex", "age"] {
                let body = registration(&json!({ field: text }));
                let answer = host.post("/api/auth/register").json(&body).answer().await;
                assert!([200, 413, 422].contains(&answer.status.as_u16()), "{field}: {answer:?}");
                host.sql("DELETE FROM users WHERE realm = 'clinic' AND username <> 'doctor' RETURNING id", Vec::new()).await;
            }
            let answer = host.post("/api/auth/login").json(&json!({ "email": text, "password": text })).answer().await;
            assert!([401, 413, 422].contains(&answer.status.as_u16()), "{answer:?}");
            let upload = host.post("/api/doctor/certificate/upload").json(&json!({ "certificate": text })).bearer_auth(&token);
            assert_eq!(upload.answer().await.status, 422);
        }
    }

    async fn only_doctors_reach_the_doctors_routes(host: TestHost) {
        let token = host.doctor("demo").await;
        host.sql("UPDATE clinic_users SET type = 1 RETURNING user_id", Vec::new()).await;
        assert_eq!(ask(&host, "POST", "/api/auth/me", &token).await.json()["type"], 1);
        for (method, path) in [("GET", "/api/doctor/me"), ("GET", "/api/doctor/certificate"), ("POST", "/api/doctor/certificate/upload")] {
            let answer = ask(&host, method, path, &token).await;
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (403, r#"{"message":"没有访问权限"}"#), "{path}");
        }
    }

    async fn tokens_of_other_realms_and_of_users_who_are_gone_are_nothing(host: TestHost) {
        let (doctor, store, console) = (host.doctor("demo").await, host.admin().await, host.console_admin().await);
        for (method, path) in [
            ("POST", "/api/auth/me"), ("POST", "/api/auth/refresh"), ("POST", "/api/auth/logout"),
            ("GET", "/api/doctor/me"), ("GET", "/api/doctor/certificate"), ("POST", "/api/doctor/certificate/upload"),
        ] {
            for token in [&store, &console] {
                ask(&host, method, path, token).await.assert_unauthenticated();
            }
            host.request(method.parse().expect("a method"), path).answer().await.assert_unauthenticated();
        }
        ask(&host, "GET", "/api/auth/me", &doctor).await.assert_unauthenticated();
        ask(&host, "PUT", "/api/auth/refresh", &doctor).await.assert_unauthenticated();
        ask(&host, "GET", "/api/user_info", &doctor).await.assert_unauthenticated();
        assert_eq!(host.me(&store).await.code(), 20001);
        let preflight = host.request(reqwest::Method::OPTIONS, "/api/doctor/certificate/upload").header("origin", "https://clinic.example")
            .header("access-control-request-method", "POST").header("access-control-request-headers", "authorization").answer().await;
        assert_eq!((preflight.status.as_u16(), preflight.header("access-control-allow-origin")), (204, "*"));
        host.sql("UPDATE users SET status = -1 WHERE realm = 'clinic' RETURNING id", Vec::new()).await;
        ask(&host, "GET", "/api/doctor/me", &doctor).await.assert_unauthenticated();
        host.sql("UPDATE users SET status = 1 WHERE realm = 'clinic' RETURNING id", Vec::new()).await;
        assert_eq!(ask(&host, "GET", "/api/doctor/me", &doctor).await.status, 200);
        host.sql("DELETE FROM users WHERE realm = 'clinic' RETURNING id", Vec::new()).await;
        ask(&host, "GET", "/api/doctor/me", &doctor).await.assert_unauthenticated();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_registrations_at_once_one_succeeds() {
    let host = TestHost::on_sqlite().await;
    let register = || host.post("/api/auth/register").json(&registration(&json!({}))).answer();
    let answers = futures_util::future::join_all((0..12).map(|_| register())).await;
    let made = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(made, 1, "{answers:?}");
    assert!(
        answers.iter().all(|answer| [200, 422].contains(&answer.status.as_u16())),
        "{answers:?}"
    );
}
