//! Every request that the five documents print, as it stands there, and for the document that prints
//! none a request for each of its routes.

use serde::Deserialize;
use serde_json::Value;
use wharf::database::Value as Column;

use crate::support::{Answer, Ask as _, TestHost, guests, on_both_databases};

/// A request, and what its answer must hold, without a token and with one of the right realm.
#[derive(Deserialize)]
struct Example {
    document: String,
    host: String,
    method: String,
    target: String,
    body: Option<Value>,
    anonymous: (u16, String),
    signed_in: Option<(u16, String)>,
}

impl Example {
    async fn ask(&self, host: &TestHost, token: Option<&str>) -> Answer {
        let method = self.method.parse().expect("a method");
        let mut request = host
            .request(method, &self.target)
            .header("host", &self.host)
            .header("content-type", "application/json")
            .header("accept", "application/json");
        if let Some(token) = token {
            let scheme = if self.document == "003" { "" } else { "Bearer " };
            request = request.header("authorization", format!("{scheme}{token}"));
        }
        if let Some(body) = &self.body {
            request = request.body(body.to_string());
        }
        request.answer().await
    }

    #[track_caller]
    fn assert(&self, answer: &Answer, (status, part): &(u16, String)) {
        assert!(
            answer.status == *status && answer.body.contains(part),
            "{} {} {}: {answer:?}\nexpected {status} {part}",
            self.document,
            self.method,
            self.target
        );
    }
}

fn examples() -> Vec<Example> {
    let file = guests::root().join("tests/clients/examples.json");
    let text = std::fs::read_to_string(file).expect("the examples");
    serde_json::from_str(&text).expect("examples")
}

on_both_databases! {
    async fn every_printed_request_is_answered(host: TestHost) {
        host.register("ipsaipsa").await;
        host.doctor("doctor").await;
        for id in [45, 46, 57] {
            let user = format!("INSERT INTO users (id, realm, name, username, status, password, created_at, updated_at) VALUES ({id}, 'console', '测试用户5', 'user-{id}', -1, 'x', 0, 0) RETURNING id");
            host.sql(&user, Vec::new()).await;
            let side = format!("INSERT INTO console_users (user_id, position) VALUES ({id}, '职位1') RETURNING user_id");
            host.sql(&side, Vec::new()).await;
        }
        for example in examples() {
            example.assert(&example.ask(&host, None).await, &example.anonymous);
            if let Some(expected) = &example.signed_in {
                // A fresh token for each, since some end theirs.
                let token = match example.document.as_str() {
                    "003" => host.console_admin().await,
                    "004" => host.doctor_again("doctor").await,
                    _ => host.sign_in("ipsaipsa", "secret-1").await,
                };
                example.assert(&example.ask(&host, Some(&token)).await, expected);
            }
        }
        let left = host.sql("SELECT id, status FROM users WHERE id IN (45, 46, 57) ORDER BY id", Vec::new()).await;
        assert_eq!(left.rows, [[45, 1], [57, -1]].map(|row| row.map(Column::Integer)), "approved, removed, untouched");
    }
}

/// Every documented route has an example, and every example is of a documented route.
#[test]
fn every_documented_route_has_an_example() {
    let store = [
        "GET /api/response_code",
        "POST /api/captchas",
        "POST /api/auth/register",
        "POST /api/auth/login",
        "DELETE /api/auth/logout",
        "PUT /api/auth/refresh",
        "GET /api/auth/me",
        "GET /api/user_info",
        "PUT /api/user_info/1",
        "DELETE /api/user_info/1",
        "PUT /api/user/password/1",
        "GET /api/user_addresses",
        "POST /api/user_addresses",
        "PUT /api/user_addresses/1",
        "DELETE /api/user_addresses/1",
        "GET /api/user_profiles",
        "PUT /api/user_profiles/1",
        "DELETE /api/user_profiles/1",
    ];
    let second = [0, 1, 2, 3, 4, 5, 6, 11, 12].map(|index| store[index]);
    let third = [0, 3, 4, 5, 6].map(|index| store[index]);
    let console = [
        "PUT /signUp",
        "POST /login",
        "GET /list/user",
        "GET /user/57",
        "PUT /user/45",
        "PUT /audit/user/45",
        "DELETE /user/46",
        "GET /captcha",
    ];
    let clinic = [
        "POST /api/auth/login",
        "POST /api/auth/register",
        "POST /api/auth/logout",
        "POST /api/auth/refresh",
        "POST /api/auth/me",
        "GET /api/doctor/me",
        "GET /api/doctor/certificate",
        "POST /api/doctor/certificate/upload",
    ];
    for (document, routes) in [
        ("000", &store[..]),
        ("001", &second[..]),
        ("002", &third[..]),
        ("003", &console[..]),
        ("004", &clinic[..]),
    ] {
        let shown: Vec<String> = examples()
            .iter()
            .filter(|example| example.document == document)
            .map(|example| {
                let path = example.target.split('?').next().unwrap_or_default();
                format!("{} {path}", example.method)
            })
            .collect();
        assert_eq!(shown, routes, "{document}");
    }
}
