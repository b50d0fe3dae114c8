//! Odd input gets the same answer from both databases, never a 5xx, and is stored as it was sent.

mod each_field;

use reqwest::Method;
use serde_json::{Value, json};

use super::authorisation::routes;
use crate::support::{Ask as _, TestHost, on_both_databases};

/// What people and attackers send.
pub(crate) fn odd() -> Vec<String> {
    let mut odd: Vec<String> = [
        "'; DROP TABLE users; --",
        "\" OR 1=1 --",
        "$1",
        "?",
        "%",
        "_",
        "\\",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "' UNION SELECT password FROM users --",
        "x'); ATTACH DATABASE '/tmp/x' AS x; --",
        "$(touch /tmp/x)`id`|id;id",
        "${jndi:ldap://127.0.0.1/x}",
        "*)(uid=*",
        "{\"$ne\":null}",
        "%0d%0aset-cookie:x=y",
        "\u{feff}mark",
        "👩\u{200d}👩\u{200d}👧",
        "{{7*7}}",
        "a\u{0}b",
        "\u{202e}rtl",
        "zero\u{200b}width",
        "e\u{301}",
        "é",
        "🙂",
        "汉字",
        "\u{fffd}",
        "NULL",
        "null",
        "true",
        "-1",
        "0",
        "1e999",
        "9223372036854775808",
        "-9223372036854775809",
        "0x10",
        "NaN",
        "1.5",
        "\r\nx: y",
        "\t",
    ]
    .map(str::to_owned)
    .to_vec();
    odd.push("x".repeat(70_000));
    odd
}

const FIELDS: [&str; 31] = [
    "name",
    "username",
    "password",
    "password_confirmation",
    "invitation_code",
    "captcha_key",
    "captcha_code",
    "email",
    "phone",
    "avatar",
    "oldPassword",
    "newPassword",
    "newPassword_confirmation",
    "province",
    "city",
    "district",
    "address",
    "zip",
    "contact_name",
    "contact_phone",
    "real_name",
    "sex",
    "birthday",
    "age",
    "nickname",
    "passwd",
    "repasswd",
    "position",
    "captcha_id",
    "page",
    "certificate",
];

#[tokio::test(flavor = "multi_thread")]
async fn odd_input_is_answered_alike_and_never_with_a_failure() {
    let sqlite = TestHost::on_sqlite().await;
    let Some(postgres) = TestHost::on_postgres().await else { return };
    let (sqlite_tokens, postgres_tokens) = (Tokens::of(&sqlite).await, Tokens::of(&postgres).await);
    for (method, path, body) in trace() {
        let ask = async |host: &TestHost, tokens: &Tokens| {
            let token = tokens.fit(&path);
            let request = host
                .request(method.clone(), &path)
                .bearer_auth(token)
                .header("content-type", "application/json");
            let answer = request.body(body.clone()).answer().await;
            assert!(answer.status.as_u16() < 500, "{method} {path} {body}: {answer:?}");
            (answer.status, answer.body.replace(&host.origin(), "http://host"))
        };
        let (first, second) =
            (ask(&sqlite, &sqlite_tokens).await, ask(&postgres, &postgres_tokens).await);
        assert_eq!(first, second, "{method} {path} {body}");
    }
}

/// A token of each kind.
struct Tokens {
    user: String,
    admin: String,
    doctor: String,
    console: String,
}

impl Tokens {
    async fn of(host: &TestHost) -> Self {
        let (user, doctor) = (host.user("ipsaipsa").await, host.doctor("demo").await);
        host.console_user("nickname", "13800000001").await;
        Tokens { user, admin: host.admin().await, doctor, console: host.console_admin().await }
    }

    /// The token that a route is for.
    fn fit(&self, path: &str) -> &str {
        match path {
            _ if path.contains("user_info") => &self.admin,
            _ if path.starts_with("/api/doctor") => &self.doctor,
            _ if path.starts_with("/api/") => &self.user,
            _ => &self.console,
        }
    }
}

/// Every odd text in all fields of every route, and bodies that are no JSON objects. Routes that would
/// end the token, or whose answers are drawn at random, are left out.
fn trace() -> Vec<(Method, String, String)> {
    let writes = || {
        let kept = routes()
            .into_iter()
            .filter(|(_, path)| !path.starts_with("/api/auth/") && !path.ends_with("/admin"));
        kept.chain([
            (Method::POST, "/api/auth/register"),
            (Method::POST, "/api/auth/login"),
            (Method::PUT, "/api/user_info/ipsaipsa"),
            (Method::GET, "/api/response_code"),
            (Method::POST, "/api/doctor/certificate/upload"),
            (Method::POST, "/login"),
            (Method::PUT, "/signUp"),
            (Method::GET, "/list/user"),
            (Method::PUT, "/user/5"),
        ])
    };
    let mut trace = Vec::new();
    for text in odd() {
        let all: Value = FIELDS.iter().map(|field| ((*field).to_owned(), json!(text))).collect();
        for (method, path) in writes() {
            trace.push((method, path.to_owned(), all.to_string()));
        }
        let short: String = text.chars().take(300).collect();
        let encoded: String = form_urlencoded::byte_serialize(short.as_bytes())
            .collect::<String>()
            .replace('+', "%20");
        for template in [
            "/api/user_info/",
            "/api/user_addresses/",
            "/api/user_profiles/",
            "/api/user_info?username=",
        ] {
            trace.push((
                if template.ends_with('=') { Method::GET } else { Method::PUT },
                format!("{template}{encoded}"),
                all.to_string(),
            ));
        }
    }
    for value in [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!([]),
        json!([[]]),
        json!({}),
        json!({ "a": { "b": [] } }),
    ] {
        let all: Value = FIELDS.iter().map(|field| ((*field).to_owned(), value.clone())).collect();
        trace.extend(writes().map(|(method, path)| (method, path.to_owned(), all.to_string())));
    }
    for body in [
        r#"{"name":"\ud800"}"#,
        r#"{"name":1,"name":2}"#,
        r#"{"zip":1e999}"#,
        "\u{feff}{}",
        "{",
        "[]",
        "nul",
        &"{\"a\":".repeat(5_000),
    ] {
        trace.extend(writes().map(|(method, path)| (method, path.to_owned(), body.to_owned())));
    }
    for path in [
        "/api/user_info/%FF%FE",
        "/api/user_info/%00",
        "/api/user_info/%",
        "/api/user_info?username=%FF",
        "/api/user_info/..%2Fadmin",
    ] {
        let method = if path.contains('?') { Method::GET } else { Method::PUT };
        trace.push((method, path.to_owned(), "{}".to_owned()));
    }
    trace
}

on_both_databases! {
    async fn text_is_stored_as_it_was_sent(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        for text in odd() {
            let body = json!({ "real_name": text, "age": text });
            let stored = host.put("/api/user_profiles/1").json(&body).bearer_auth(&token).answer().await;
            let expected = text.replace('\0', "");
            let expected = expected.trim_matches([' ', '\t', '\r', '\n']);
            if expected.chars().count() > 255 {
                assert_eq!(stored.code(), 50001, "longer than a column");
                continue;
            }
            assert_eq!(stored.code(), 20001, "{text}");
            let read = host.get("/api/user_profiles").bearer_auth(&token).answer().await.data();
            assert_eq!(read["real_name"].as_str().unwrap_or_default(), expected);
        }
    }
}
