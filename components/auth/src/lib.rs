//! `auth`: signing up, signing in, and the tokens that come of it.

mod store;

use wharf_kit::store::{STORE, done};
use wharf_kit::{Endpoint, Error, Request, Response, json, optional, required};

wharf_kit::export!(ENDPOINTS);

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/response_code", response_code)
        .tag("general")
        .summary("What the codes of the envelope mean.")
        .parameters(&[optional("10001", "Any of the codes; ignored.")]),
    Endpoint::post("/api/auth/register", store::register)
        .tag("auth")
        .summary("Signs a user up.")
        .parameters(&[
            required("name", "The name to be called by."),
            required("username", "At least 6 letters and digits."),
            required("password", "At least 6 letters, digits, dashes and underscores."),
            required("password_confirmation", "The same again."),
            required("invitation_code", "The code of an invitation."),
            required("captcha_key", "The key of a captcha."),
            required("captcha_code", "What its picture shows."),
            optional("email", "An e-mail address."),
            optional("phone", "A phone number."),
            optional("avatar", "The address of a picture."),
        ]),
    Endpoint::post("/api/auth/login", store::login)
        .tag("auth")
        .summary("Signs a user in.")
        .parameters(&[
            required("username", "A username, an e-mail address or a phone number."),
            required("password", "The password."),
        ]),
    Endpoint::delete("/api/auth/logout", store::logout)
        .signed_in(STORE)
        .tag("auth")
        .summary("Ends the token that it is called with."),
    Endpoint::put("/api/auth/refresh", store::refresh)
        .signed_in(STORE)
        .tag("auth")
        .summary("Exchanges the token that it is called with for a new one."),
    Endpoint::get("/api/auth/me", store::me)
        .signed_in(STORE)
        .tag("auth")
        .summary("The caller, with roles and permissions."),
];

fn response_code(_: &Request) -> Result<Response, Error> {
    Ok(done(json!({
        "10001": "参数有误",
        "10003": "数据有误",
        "20001": "操作成功",
        "40001": "禁止访问",
        "40003": "权限不足",
        "40004": "查询为空",
        "40005": "请求过期",
        "50001": "操作失败",
    })))
}
