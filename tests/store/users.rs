//! `/api/user_info`.

use serde_json::{Value, json};

use crate::support::{Ask as _, keys, on_both_databases};

pub(super) const PAGE: [&str; 12] = [
    "current_page",
    "data",
    "first_page_url",
    "from",
    "last_page",
    "last_page_url",
    "next_page_url",
    "path",
    "per_page",
    "prev_page_url",
    "to",
    "total",
];
const USER: [&str; 11] = [
    "id",
    "name",
    "username",
    "email",
    "email_verified_at",
    "phone",
    "invitation_code",
    "status",
    "avatar",
    "created_at",
    "updated_at",
];

on_both_databases! {
    async fn an_admin_reads_pages_of_all_users(host: TestHost) {
        for number in 1..=4 {
            host.register(&format!("username{number}")).await;
        }
        let admin = host.admin().await;
        let page = host.get("/api/user_info?page=2&page_limit=2").bearer_auth(&admin).answer().await;
        assert_eq!(page.code(), 20001);
        let data = page.data();
        assert_eq!(keys(&data), PAGE);
        assert_eq!(keys(&data["data"][0]), USER);
        let path = format!("{}/api/user_info", host.origin());
        let rest: Value = data.as_object().expect("an object").iter().filter(|(key, _)| *key != "data").map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(rest, json!({
            "current_page": 2, "first_page_url": format!("{path}?page=1"), "from": 3, "last_page": 3,
            "last_page_url": format!("{path}?page=3"), "next_page_url": format!("{path}?page=3"), "path": path,
            "per_page": 2, "prev_page_url": format!("{path}?page=1"), "to": 4, "total": 5,
        }));
        assert_eq!(data["data"][0]["username"], "username2");
    }

    async fn strange_pages_are_the_usual_ones(host: TestHost) {
        let admin = host.admin().await;
        for (query, page, rows) in [
            ("page=quia&page_limit=vero", 1, 20), ("page=0", 1, 20), ("page=-3&page_limit=-1", 1, 20), ("page_limit=0", 1, 15),
            ("page=7", 7, 20), ("page=9223372036854775807", i64::MAX, 20), ("page=99999999999999999999", 1, 20),
            ("page_limit=1000000", 1, 1000), ("page[]=2", 1, 20), ("page=1.5", 1, 20),
        ] {
            let data = host.get(&format!("/api/user_info?{query}")).bearer_auth(&admin).answer().await.data();
            assert_eq!((data["current_page"].as_i64(), data["per_page"].as_i64()), (Some(page), Some(rows)), "{query}");
            if page > 1 {
                assert_eq!((&data["data"], &data["from"], &data["to"], &data["total"]), (&json!([]), &Value::Null, &Value::Null, &json!(1)));
            }
        }
    }

    async fn an_admin_may_ask_for_one(host: TestHost) {
        host.register("ipsaipsa").await;
        let admin = host.admin().await;
        let found = host.get("/api/user_info?username=ipsaipsa").bearer_auth(&admin).answer().await.data();
        assert_eq!((&found["total"], &found["data"][0]["username"]), (&json!(1), &json!("ipsaipsa")));
        let none = host.get("/api/user_info?username=cum").bearer_auth(&admin).answer().await.data();
        assert_eq!((&none["total"], &none["data"], &none["last_page"]), (&json!(0), &json!([]), &json!(1)));
    }

    async fn others_see_themselves(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let data = host.get("/api/user_info?username=admin&page=9").bearer_auth(&token).answer().await.data();
        assert_eq!(data.as_array().map(Vec::len), Some(1));
        assert_eq!((keys(&data[0]), &data[0]["username"]), (USER.to_vec(), &json!("ipsaipsa")));
    }

    async fn what_is_sent_is_changed(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        host.clock.advance(60);
        let inputs = [("name", "autem"), ("email", "nisi"), ("phone", "distinctio"), ("avatar", "commodi"), ("status", "-1"), ("username", "other")];
        let answer = host.put("/api/user_info/ipsaipsa").query(&inputs).bearer_auth(&token).answer().await;
        assert_eq!(answer.code(), 20001);
        let user = &answer.data()[0];
        assert_eq!(keys(user), USER);
        assert_eq!((&user["name"], &user["email"], &user["phone"], &user["avatar"]), (&json!("autem"), &json!("nisi"), &json!("distinctio"), &json!("commodi")));
        assert_eq!((&user["status"], &user["username"]), (&json!(1), &json!("ipsaipsa")));
        assert_eq!((&user["created_at"], &user["updated_at"]), (&json!("2023-11-15 06:13:20"), &json!("2023-11-15 06:14:20")));
        let cleared = host.put("/api/user_info/ipsaipsa?email=&name=only").bearer_auth(&token).answer().await.data();
        assert_eq!((&cleared[0]["email"], &cleared[0]["name"], &cleared[0]["phone"]), (&Value::Null, &json!("only"), &json!("distinctio")));
    }

    async fn what_the_database_refuses_is_sent_back(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let taken = host.put("/api/user_info/ipsaipsa?email=admin@admin.com&x=y").bearer_auth(&token).answer().await;
        taken.assert_envelope(json!({ "email": "admin@admin.com" }), 50001, "操作失败");
        let nameless = host.put("/api/user_info/ipsaipsa?name=").bearer_auth(&token).answer().await;
        nameless.assert_envelope(json!({ "name": null }), 50001, "操作失败");
        let list = host.put("/api/user_info/ipsaipsa").json(&json!({ "phone": ["1"] })).bearer_auth(&token).answer().await;
        list.assert_envelope(json!({ "phone": ["1"] }), 50001, "操作失败");
    }

    async fn an_admin_changes_anybody_and_nobody(host: TestHost) {
        host.register("ipsaipsa").await;
        let admin = host.admin().await;
        let answer = host.put("/api/user_info/ipsaipsa?name=autem").bearer_auth(&admin).answer().await;
        assert_eq!(answer.data()[0]["name"], "autem");
        let nobody = host.put("/api/user_info/1?name=autem").bearer_auth(&admin).answer().await;
        nobody.assert_envelope(json!([]), 20001, "操作成功");
    }

    async fn deleting_disables_and_ends_all_tokens(host: TestHost) {
        let first = host.user("ipsaipsa").await;
        let second = host.sign_in("ipsaipsa", "secret-1").await;
        let admin = host.admin().await;
        let answer = host.delete("/api/user_info/ipsaipsa").bearer_auth(&admin).answer().await;
        answer.assert_envelope(Value::Null, 20001, "操作成功");
        host.me(&first).await.assert_unauthenticated();
        host.get("/api/user_addresses").bearer_auth(&second).answer().await.assert_unauthenticated();
        assert_eq!(host.login("ipsaipsa", "secret-1").await.code(), 10003);
        let left = host.get("/api/user_info?username=ipsaipsa").bearer_auth(&admin).answer().await.data();
        assert_eq!(left["data"][0]["status"], -1);
        let nobody = host.delete("/api/user_info/1").bearer_auth(&admin).answer().await;
        nobody.assert_envelope(Value::Null, 20001, "操作成功");
    }
}
