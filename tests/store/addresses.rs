//! `/api/user_addresses`.

use serde_json::{Value, json};

use crate::support::{Ask as _, keys, on_both_databases};

pub(super) const ADDRESS: [(&str, &str); 7] = [
    ("province", "consequatur"),
    ("city", "possimus"),
    ("district", "at"),
    ("address", "eligendi"),
    ("zip", "et"),
    ("contact_name", "cupiditate"),
    ("contact_phone", "voluptatem"),
];
const STORED: [&str; 12] = [
    "id",
    "user_id",
    "province",
    "city",
    "district",
    "address",
    "zip",
    "contact_name",
    "contact_phone",
    "last_used_at",
    "created_at",
    "updated_at",
];

on_both_databases! {
    async fn an_address_lives_and_goes(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let made = host.post("/api/user_addresses").query(&ADDRESS).bearer_auth(&token).answer().await;
        let expected = json!({
            "province": "consequatur", "city": "possimus", "district": "at", "address": "eligendi", "zip": "et",
            "contact_name": "cupiditate", "contact_phone": "voluptatem", "user_id": 3,
            "updated_at": "2023-11-15 06:13:20", "created_at": "2023-11-15 06:13:20", "id": 1,
        });
        made.assert_envelope(expected, 20001, "操作成功");
        let list = host.get("/api/user_addresses").bearer_auth(&token).answer().await.data();
        assert_eq!((list["total"].as_i64(), keys(&list["data"][0])), (Some(1), STORED.to_vec()));
        host.clock.advance(1);
        let mut changed = ADDRESS;
        changed[4].1 = "0200001";
        let updated = host.put("/api/user_addresses/1?address_id=77").query(&changed).bearer_auth(&token).answer().await.data();
        assert_eq!((keys(&updated), &updated["zip"], &updated["last_used_at"]), (STORED.to_vec(), &json!(200_001), &Value::Null));
        assert_eq!((&updated["created_at"], &updated["updated_at"]), (&json!("2023-11-15 06:13:20"), &json!("2023-11-15 06:13:21")));
        let deleted = host.delete("/api/user_addresses/1?address_id=77").bearer_auth(&token).answer().await;
        deleted.assert_envelope(json!("1"), 20001, "操作成功");
        let again = host.delete("/api/user_addresses/1").bearer_auth(&token).answer().await;
        again.assert_envelope(Value::Null, 50001, "操作失败");
        let empty = host.get("/api/user_addresses").bearer_auth(&token).answer().await.data();
        assert_eq!((&empty["data"], &empty["last_page"], &empty["from"]), (&json!([]), &json!(1), &Value::Null));
    }

    async fn each_field_is_required_in_order(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let labels = ["省", "城市", "地区", "详细地址", "邮编", "姓名", "电话"];
        for (count, label) in labels.iter().enumerate() {
            for request in [host.post("/api/user_addresses"), host.put("/api/user_addresses/1")] {
                let answer = request.query(&ADDRESS[..count]).bearer_auth(&token).answer().await;
                let echo = if count == 0 { json!([]) } else { ADDRESS[..count].iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect() };
                answer.assert_envelope(echo, 10001, &format!("The {label} field is required."));
            }
        }
    }

    async fn others_addresses_are_out_of_reach_but_not_for_admins(host: TestHost) {
        let owner = host.user("firstuser").await;
        let other = host.user("seconduser").await;
        let admin = host.admin().await;
        host.post("/api/user_addresses").query(&ADDRESS).bearer_auth(&owner).answer().await;
        let sent: Value = ADDRESS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        for id in ["1", "99", "x", "-1", "99999999999999999999", "1%00"] {
            if id != "1%00" {
                let updated = host.put(&format!("/api/user_addresses/{id}")).query(&ADDRESS).bearer_auth(&other).answer().await;
                updated.assert_envelope(sent.clone(), 50001, "操作失败");
            }
            let deleted = host.delete(&format!("/api/user_addresses/{id}")).bearer_auth(&other).answer().await;
            deleted.assert_envelope(Value::Null, 50001, "操作失败");
        }
        assert_eq!(host.get("/api/user_addresses").bearer_auth(&other).answer().await.data()["total"], 0);
        assert_eq!(host.get("/api/user_addresses").bearer_auth(&admin).answer().await.data()["total"], 1);
        assert_eq!(host.put("/api/user_addresses/1").query(&ADDRESS).bearer_auth(&admin).answer().await.data()["user_id"], 3);
        assert_eq!(host.delete("/api/user_addresses/1").bearer_auth(&admin).answer().await.code(), 20001);
    }

    async fn numbers_in_json_are_stored_and_lists_are_refused(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let mut body: Value = ADDRESS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        body["zip"] = json!(200_000);
        body["contact_phone"] = json!(13_800_000_000_i64);
        let made = host.post("/api/user_addresses").json(&body).bearer_auth(&token).answer().await.data();
        assert_eq!((&made["zip"], &made["contact_phone"]), (&json!(200_000), &json!(13_800_000_000_i64)));
        body["city"] = json!(["a"]);
        let refused = host.post("/api/user_addresses").json(&body).bearer_auth(&token).answer().await;
        refused.assert_envelope(body.clone(), 50001, "操作失败");
    }
}
