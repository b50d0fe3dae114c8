//! The requests that the documents of the store's API print, as a client sends them: inputs in the
//! query, `content-type: application/json`, and no body.

use reqwest::Method;

use crate::support::{Ask as _, on_both_databases};

/// What an example's answer must be, for the state that the test makes.
enum Expect {
    /// The envelope with this code and message.
    Envelope(i64, &'static str),
    /// The 401.
    Unauthenticated,
}
use Expect::{Envelope, Unauthenticated};

/// Whose token goes along.
#[derive(Clone, Copy, PartialEq)]
enum As {
    Nobody,
    User,
    Admin,
}

const DONE: Expect = Envelope(20001, "操作成功");

/// Method, path and query as printed; who asks; what is answered.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn examples() -> Vec<(&'static str, &'static str, As, Expect)> {
    let failed = || Envelope(50001, "操作失败");
    let denied = || Envelope(40003, "权限不足");
    vec![
        (
            "GET",
            "/api/response_code?10001=sed&10003=aut&20001=eveniet&40001=ipsam&40003=inventore&40004=est&40005=recusandae&50001=totam",
            As::Nobody,
            DONE,
        ),
        ("POST", "/api/captchas?username=velit", As::Nobody, DONE),
        (
            "POST",
            "/api/auth/register?name=quod&username=ipsa&password=aut&password_confirmation=aut&invitation_code=possimus&captcha_key=provident&captcha_code=recusandae",
            As::Nobody,
            Envelope(10001, "The username must be at least 6 characters."),
        ),
        (
            "POST",
            "/api/auth/login?username=ratione&password=blanditiis",
            As::Nobody,
            Envelope(10003, "用户名或密码有误"),
        ),
        ("POST", "/api/auth/login", As::Nobody, Envelope(10001, "The username field is required.")),
        ("DELETE", "/api/auth/logout", As::Nobody, Unauthenticated),
        ("PUT", "/api/auth/refresh", As::Nobody, Unauthenticated),
        ("GET", "/api/auth/me", As::Nobody, Unauthenticated),
        ("GET", "/api/auth/me", As::User, DONE),
        (
            "GET",
            "/api/user_info?username=cum&page=quia&page_limit=vero",
            As::Nobody,
            Unauthenticated,
        ),
        ("GET", "/api/user_info?username=cum&page=quia&page_limit=vero", As::User, DONE),
        ("GET", "/api/user_info?username=cum&page=quia&page_limit=vero", As::Admin, DONE),
        (
            "PUT",
            "/api/user_info/1?name=autem&email=nisi&phone=distinctio&avatar=commodi",
            As::User,
            denied(),
        ),
        (
            "PUT",
            "/api/user_info/1?name=autem&email=nisi&phone=distinctio&avatar=commodi",
            As::Admin,
            DONE,
        ),
        ("DELETE", "/api/user_info/1", As::User, denied()),
        ("DELETE", "/api/user_info/1", As::Admin, DONE),
        (
            "PUT",
            "/api/user/password/1?oldPassword=et&newPassword=hic&newPassword_confirmation=id",
            As::User,
            Envelope(10001, "The new password must be at least 6 characters."),
        ),
        ("GET", "/api/user_addresses", As::Nobody, Unauthenticated),
        ("GET", "/api/user_addresses", As::User, DONE),
        (
            "POST",
            "/api/user_addresses?province=consequatur&city=possimus&district=at&address=eligendi&zip=et&contact_name=cupiditate&contact_phone=voluptatem",
            As::User,
            DONE,
        ),
        (
            "PUT",
            "/api/user_addresses/1?address_id=possimus&province=doloribus&city=repellat&district=itaque&address=quas&zip=aut&contact_name=quia&contact_phone=dolorem",
            As::User,
            DONE,
        ),
        ("DELETE", "/api/user_addresses/1?address_id=explicabo", As::User, DONE),
        ("DELETE", "/api/user_addresses/1?address_id=explicabo", As::User, failed()),
        ("GET", "/api/user_profiles", As::User, DONE),
        ("GET", "/api/user_profiles", As::Admin, DONE),
        ("PUT", "/api/user_profiles/1?profile_id=neque", As::User, DONE),
        ("DELETE", "/api/user_profiles/1?profile_id=eligendi", As::User, DONE),
        (
            "GET",
            "/api/response_code?10001=ducimus&10003=quo&20001=dolore&40001=id&40003=sunt&40004=molestias&40005=vel&50001=libero",
            As::Nobody,
            DONE,
        ),
        ("POST", "/api/captchas?username=repellat", As::Nobody, DONE),
        (
            "POST",
            "/api/auth/register?name=fugit&username=magnam&password=maxime&password_confirmation=cumque&invitation_code=eum&captcha_key=soluta&captcha_code=et",
            As::Nobody,
            Envelope(10001, "The password confirmation does not match."),
        ),
        (
            "POST",
            "/api/user_addresses?province=possimus&city=aut&district=sunt&address=inventore&zip=ad&contact_name=et&contact_phone=occaecati",
            As::User,
            DONE,
        ),
        (
            "GET",
            "/api/response_code?10001=ex&10003=quis&20001=qui&40001=aut&40003=est&40004=quam&40005=velit&50001=quia",
            As::Nobody,
            DONE,
        ),
        ("PUT", "/api/auth/refresh", As::Admin, DONE),
        ("DELETE", "/api/auth/logout", As::User, Envelope(20001, "注销成功")),
    ]
}

on_both_databases! {
    async fn every_printed_request_is_answered(host: TestHost) {
        let (user, admin) = (host.user("ipsaipsa").await, host.admin().await);
        for (method, target, caller, expect) in examples() {
            let mut request = host
                .request(method.parse::<Method>().expect("a method"), target)
                .header("content-type", "application/json")
                .header("accept", "application/json");
            if caller != As::Nobody {
                request = request.bearer_auth(if caller == As::User { &user } else { &admin });
            }
            let answer = request.answer().await;
            match expect {
                Envelope(code, message) => assert_eq!((answer.code(), answer.message().as_str()), (code, message), "{method} {target}"),
                Unauthenticated => answer.assert_unauthenticated(),
            }
        }
    }
}
