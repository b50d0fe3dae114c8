//! `POST /api/auth/login` and `GET /api/auth/me`.

use serde_json::json;
use wharf::database::Value;

use crate::support::{Ask as _, keys, on_both_databases};

on_both_databases! {
    async fn a_user_signs_in_and_is_told_who_they_are(host: TestHost) {
        host.register("ipsaipsa").await;
        let answer = host.login("ipsaipsa", "secret-1").await;
        assert_eq!(answer.code(), 20001);
        assert_eq!(keys(&answer.data()), ["access_token", "token_type", "expires_in"]);
        assert_eq!((&answer.data()["token_type"], &answer.data()["expires_in"]), (&json!("Bearer"), &json!(60)));
        let me = host.me(answer.data()["access_token"].as_str().expect("a token")).await;
        let expected = json!({
            "id": 3,
            "name": "A Name",
            "username": "ipsaipsa",
            "email": null,
            "email_verified_at": null,
            "phone": null,
            "invitation_code": "welcome",
            "status": 1,
            "avatar": null,
            "created_at": "2023-11-15 06:13:20",
            "updated_at": "2023-11-15 06:13:20",
            "roles": [],
        });
        me.assert_envelope(expected, 20001, "操作成功");
    }

    async fn the_first_admin_has_the_role_and_its_permissions(host: TestHost) {
        let me = host.me(&host.admin().await).await.data();
        assert_eq!((&me["username"], &me["name"], &me["email"]), (&json!("admin"), &json!("Admin"), &json!("admin@admin.com")));
        let role = &me["roles"][0];
        assert_eq!(keys(role), ["id", "name", "guard_name", "created_at", "updated_at", "pivot", "permissions"]);
        assert_eq!(role["pivot"], json!({ "model_id": 1, "role_id": role["id"], "model_type": "App\\Models\\User" }));
        let permissions = role["permissions"].as_array().expect("an array");
        let names: Vec<_> = permissions.iter().map(|permission| permission["name"].as_str().unwrap_or_default()).collect();
        assert_eq!(names, ["add_users", "delete_users", "edit_users", "read_users"]);
        assert_eq!(permissions[0]["pivot"], json!({ "role_id": role["id"], "permission_id": permissions[0]["id"] }));
    }

    async fn an_email_address_or_a_phone_number_will_do(host: TestHost) {
        for login in ["admin", "admin@admin.com", "12312312312"] {
            assert_eq!(host.login(login, crate::support::ADMIN_PASSWORD).await.code(), 20001, "{login}");
        }
    }

    async fn each_rule_has_its_message_in_order(host: TestHost) {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "The username field is required."),
            (&[("username", " ")], "The username field is required."),
            (&[("username[]", "x")], "The username must be a string."),
            (&[("username", "admin")], "The password field is required."),
            (&[("username", "admin"), ("password", "a@b")], "The password may only contain letters, numbers, dashes and underscores."),
            (&[("username", "admin"), ("password", "short")], "The password must be at least 6 characters."),
        ];
        for (inputs, message) in cases {
            let answer = host.post("/api/auth/login").query(inputs).answer().await;
            assert_eq!((answer.code(), answer.message().as_str()), (10001, *message), "{inputs:?}");
        }
    }

    async fn wrong_credentials_are_answered_alike(host: TestHost) {
        for username in ["admin", "nobody-at-all"] {
            let answer = host.login(username, "wrong-password").await;
            answer.assert_envelope(json!({ "username": username }), 10003, "用户名或密码有误");
        }
    }

    async fn hashes_of_the_original_systems_are_accepted_and_replaced(host: TestHost) {
        // bcrypt as PHP writes it, and unsalted md5.
        let bcrypt = bcrypt::hash("secret-1", 4).expect("a hash").replacen("$2b$", "$2y$", 1);
        let old = [("bcrypt", bcrypt), ("md5", md5_of("secret-1"))];
        for (kind, hash) in old {
            let username = format!("{kind}user");
            host.register(&username).await;
            let set = "UPDATE users SET password = $1 WHERE username = $2 RETURNING id";
            host.sql(set, vec![Value::Text(hash), Value::Text(username.clone())]).await;
            assert_eq!(host.login(&username, "wrong-password").await.code(), 10003);
            assert_eq!(host.login(&username, "secret-1").await.code(), 20001);
            let stored = host.sql("SELECT password FROM users WHERE username = $1", vec![Value::Text(username.clone())]).await;
            let Some([Value::Text(stored)]) = stored.rows.first().map(Vec::as_slice) else { panic!("no hash") };
            assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
            assert_eq!(host.login(&username, "secret-1").await.code(), 20001);
        }
    }

    async fn the_disabled_cannot_sign_in(host: TestHost) {
        host.register("ipsaipsa").await;
        host.sql("UPDATE users SET status = -1 WHERE username = 'ipsaipsa' RETURNING id", Vec::new()).await;
        let answer = host.login("ipsaipsa", "secret-1").await;
        answer.assert_envelope(json!({ "username": "ipsaipsa" }), 10003, "用户名或密码有误");
    }

    async fn a_user_who_is_gone_or_disabled_is_nobody(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        host.sql("UPDATE users SET status = -1 WHERE username = 'ipsaipsa' RETURNING id", Vec::new()).await;
        host.me(&token).await.assert_unauthenticated();
        host.sql("DELETE FROM users WHERE username = 'ipsaipsa' RETURNING id", Vec::new()).await;
        host.me(&token).await.assert_unauthenticated();
    }

    async fn a_demotion_counts_at_once(host: TestHost) {
        let admin = host.admin().await;
        host.sql("DELETE FROM user_roles RETURNING user_id", Vec::new()).await;
        let own = host.get("/api/user_info").bearer_auth(&admin).answer().await.data();
        assert_eq!(own.as_array().map(Vec::len), Some(1), "no page of all users: {own}");
        let other = host.delete("/api/user_info/nobody-at-all").bearer_auth(&admin).answer().await;
        assert_eq!(other.code(), 40003);
    }

    async fn the_codes_are_explained(host: TestHost) {
        let answer = host.get("/api/response_code?10001=sed&10003=aut").answer().await;
        assert_eq!(answer.code(), 20001);
        assert_eq!(keys(&answer.data()), ["10001", "10003", "20001", "40001", "40003", "40004", "40005", "50001"]);
        assert_eq!((&answer.data()["40004"], &answer.data()["40005"]), (&json!("查询为空"), &json!("请求过期")));
    }
}

fn md5_of(text: &str) -> String {
    use md5::Digest as _;
    hex::encode(md5::Md5::digest(text))
}
