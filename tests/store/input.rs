//! Where inputs may come from.

use serde_json::json;

use crate::support::{Ask as _, TestHost, keys};

#[tokio::test(flavor = "multi_thread")]
async fn query_json_form_and_multipart_are_all_taken() {
    let host = TestHost::on_sqlite().await;
    let password = crate::support::ADMIN_PASSWORD;
    let pairs = [("username", "admin"), ("password", password)];
    let login = || host.post("/api/auth/login");
    let form =
        || reqwest::multipart::Form::new().text("username", "admin").text("password", password);
    for request in [
        login().query(&pairs),
        login().json(&json!({ "username": "admin", "password": password })),
        login().form(&pairs),
        login().multipart(form()),
        login().query(&pairs[..1]).json(&json!({ "password": password })),
        login()
            .query(&[("username", "somebody-else"), ("password", password)])
            .json(&json!({ "username": "admin" })),
        login().query(&pairs).header("content-type", "application/json"),
        login().query(&pairs).header("content-type", "application/json").body("[object Object]"),
        login()
            .query(&pairs)
            .header("content-type", "application/json; charset=utf-8")
            .body("{\"username\":"),
        login().query(&pairs).header("content-type", "application/json").body("[".repeat(10_000)),
        login().query(&pairs).header("content-type", "application/json").body(format!(
            "{{\"a\":{}{}}}",
            "[".repeat(120),
            "]".repeat(120)
        )),
        login().query(&pairs).header("content-type", "multipart/form-data").body("no boundary"),
        login()
            .query(&pairs)
            .header("content-type", "multipart/form-data; boundary=x")
            .body("--x\r\nunclosed"),
        login().query(&[("username", "  admin\t"), ("password", password)]),
    ] {
        let answer = request.answer().await;
        assert_eq!(answer.code(), 20001, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_echoed_in_order_the_body_first() {
    let host = TestHost::on_sqlite().await;
    let answer = host
        .post("/api/auth/register?a=1&b=2&captcha_key=")
        .header("content-type", "application/json")
        .body(r#"{"z":null,"b":[1,{"c":" x "}],"passwd":"p"}"#)
        .answer()
        .await;
    assert_eq!(keys(&answer.data()), ["z", "b", "a", "captcha_key"]);
    assert_eq!(
        answer.data(),
        json!({ "z": null, "b": [1, { "c": "x" }], "a": "1", "captcha_key": null })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_not_trimmed() {
    let host = TestHost::on_sqlite().await;
    let answer = host
        .post("/api/auth/login")
        .query(&[("username", "admin"), ("password", " spaced-out ")])
        .answer()
        .await;
    assert_eq!(
        answer.message(),
        "The password may only contain letters, numbers, dashes and underscores."
    );
}
