//! `/api/user_profiles`.

use serde_json::{Value, json};

use crate::support::{Ask as _, keys, on_both_databases};

const PROFILE: [&str; 8] =
    ["id", "user_id", "real_name", "sex", "birthday", "age", "created_at", "updated_at"];

on_both_databases! {
    async fn a_profile_lives_and_goes(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let own = host.get("/api/user_profiles").bearer_auth(&token).answer().await.data();
        assert_eq!(keys(&own), PROFILE);
        let inputs = [("real_name", "李四"), ("sex", "0"), ("birthday", "2000-02-29"), ("age", "二十"), ("user_id", "1")];
        let changed = host.put("/api/user_profiles/1?profile_id=9").query(&inputs).bearer_auth(&token).answer().await.data();
        assert_eq!((&changed["real_name"], &changed["sex"], &changed["birthday"], &changed["age"], &changed["user_id"]), (&json!("李四"), &json!(0), &json!("2000-02-29"), &json!("二十"), &json!(3)));
        let deleted = host.delete("/api/user_profiles/1?profile_id=9").bearer_auth(&token).answer().await;
        deleted.assert_envelope(json!("1"), 20001, "操作成功");
        let gone = host.get("/api/user_profiles").bearer_auth(&token).answer().await;
        gone.assert_envelope(Value::Null, 20001, "操作成功");
        let again = host.delete("/api/user_profiles/1").bearer_auth(&token).answer().await;
        again.assert_envelope(Value::Null, 50001, "操作失败");
    }

    async fn what_the_columns_do_not_take_is_sent_back(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        for (name, value) in [("sex", json!("male")), ("sex", Value::Null), ("sex", json!(1.5)), ("birthday", json!("2023-02-29")), ("birthday", json!("yesterday")), ("real_name", json!({ "a": 1 }))] {
            let sent = Value::Object([(name.to_owned(), value)].into_iter().collect());
            let answer = host.put("/api/user_profiles/1").json(&sent).bearer_auth(&token).answer().await;
            answer.assert_envelope(sent, 50001, "操作失败");
        }
        let nothing = host.put("/api/user_profiles/1").bearer_auth(&token).answer().await;
        assert_eq!((nothing.code(), nothing.data()["sex"].as_i64()), (20001, Some(1)));
    }

    async fn others_profiles_are_out_of_reach_but_not_for_admins(host: TestHost) {
        host.register("firstuser").await;
        let other = host.user("seconduser").await;
        let admin = host.admin().await;
        for id in ["1", "99", "x"] {
            let updated = host.put(&format!("/api/user_profiles/{id}?age=9")).bearer_auth(&other).answer().await;
            updated.assert_envelope(json!({ "age": "9" }), 50001, "操作失败");
            let deleted = host.delete(&format!("/api/user_profiles/{id}")).bearer_auth(&other).answer().await;
            deleted.assert_envelope(Value::Null, 50001, "操作失败");
        }
        let all = host.get("/api/user_profiles?page_limit=1").bearer_auth(&admin).answer().await.data();
        assert_eq!((&all["total"], &all["last_page"], keys(&all["data"][0])), (&json!(2), &json!(2), PROFILE.to_vec()));
        assert_eq!(host.put("/api/user_profiles/1?age=9").bearer_auth(&admin).answer().await.data()["age"], "9");
        assert_eq!(host.delete("/api/user_profiles/1").bearer_auth(&admin).answer().await.code(), 20001);
    }
}
