//! `PUT /api/user/password/{username}`.

use serde_json::Value;
use wharf::database::Value as Column;

use crate::support::{Ask as _, on_both_databases};

const CHANGE: [(&str, &str); 3] = [
    ("oldPassword", "secret-1"),
    ("newPassword", "secret-2"),
    ("newPassword_confirmation", "secret-2"),
];

on_both_databases! {
    async fn a_user_changes_their_password_and_all_tokens_end(host: TestHost) {
        let first = host.user("ipsaipsa").await;
        let second = host.sign_in("ipsaipsa", "secret-1").await;
        let answer = host.put("/api/user/password/ipsaipsa").query(&CHANGE).bearer_auth(&first).answer().await;
        answer.assert_envelope(Value::Null, 20001, "操作成功");
        for ended in [&first, &second] {
            host.me(ended).await.assert_unauthenticated();
        }
        assert_eq!(host.login("ipsaipsa", "secret-1").await.code(), 10003);
        // The clock stands still: a sign-in of the same second counts as later all the same.
        let fresh = host.sign_in("ipsaipsa", "secret-2").await;
        assert_eq!(host.me(&fresh).await.code(), 20001);
    }

    async fn a_sign_in_at_the_same_time_does_not_undo_a_change(host: TestHost) {
        host.register("ipsaipsa").await;
        // The hash of an old system is replaced at the sign-in; one of today's is left as it is.
        let today = host.sql("SELECT password FROM users WHERE username = 'ipsaipsa'", Vec::new()).await.rows.remove(0).remove(0);
        for hash in [Column::Text("5926ed10493e613137208e1d5360d8f3".into()), today].iter().cycle().take(12) {
            let set = "UPDATE users SET password = $1 WHERE username = 'ipsaipsa' RETURNING id";
            host.sql(set, vec![hash.clone()]).await;
            let token = host.sign_in("ipsaipsa", "secret-1").await;
            host.sql(set, vec![hash.clone()]).await;
            let change = host.put("/api/user/password/ipsaipsa").query(&CHANGE).bearer_auth(&token);
            let (login, changed) = tokio::join!(host.login("ipsaipsa", "secret-1"), change.answer());
            assert_eq!(changed.code(), 20001);
            assert_eq!(host.login("ipsaipsa", "secret-1").await.code(), 10003, "the old password");
            assert_eq!(host.login("ipsaipsa", "secret-2").await.code(), 20001, "the new password");
            if let Some(token) = login.data()["access_token"].as_str() {
                host.me(token).await.assert_unauthenticated();
            }
        }
    }

    async fn each_rule_has_its_message_in_order(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "The old password field is required."),
            (&[("oldPassword", "et")], "The new password field is required."),
            (&[("oldPassword", "et"), ("newPassword", "a b")], "The new password may only contain letters, numbers, dashes and underscores."),
            (&[("oldPassword", "et"), ("newPassword", "hic")], "The new password must be at least 6 characters."),
            (&[("oldPassword", "et"), ("newPassword", "hichic")], "The new password confirmation does not match."),
            (&[("oldPassword", "et"), ("newPassword", "hichic"), ("newPassword_confirmation", "id")], "The new password confirmation does not match."),
            (&[("oldPassword", "hichic"), ("newPassword", "hichic"), ("newPassword_confirmation", "hichic")], "新密码不能与旧密码相同"),
            (&[("oldPassword", "et"), ("newPassword", "hichic"), ("newPassword_confirmation", "hichic")], "旧密码错误"),
        ];
        for (inputs, message) in cases {
            let answer = host.put("/api/user/password/ipsaipsa").query(inputs).bearer_auth(&token).answer().await;
            assert_eq!((answer.code(), answer.message().as_str()), (10001, *message), "{inputs:?}");
            assert!(!answer.body.contains("hic"), "no password comes back: {answer:?}");
        }
        assert_eq!(host.me(&token).await.code(), 20001);
    }

    async fn an_admin_needs_the_old_password_too(host: TestHost) {
        host.register("ipsaipsa").await;
        let admin = host.admin().await;
        let mut wrong = CHANGE;
        wrong[0].1 = "not-it";
        let answer = host.put("/api/user/password/ipsaipsa").query(&wrong).bearer_auth(&admin).answer().await;
        answer.assert_envelope(Value::Null, 10001, "旧密码错误");
        let nobody = host.put("/api/user/password/1").query(&CHANGE).bearer_auth(&admin).answer().await;
        nobody.assert_envelope(Value::Null, 10001, "旧密码错误");
        let right = host.put("/api/user/password/ipsaipsa").query(&CHANGE).bearer_auth(&admin).answer().await;
        right.assert_envelope(Value::Null, 20001, "操作成功");
        assert_eq!(host.login("ipsaipsa", "secret-2").await.code(), 20001);
        assert_eq!(host.me(&admin).await.code(), 20001);
    }
}
