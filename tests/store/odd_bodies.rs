//! Bodies and names of inputs that no client should send, on every route: never a 5xx.

use reqwest::Method;

use super::authorisation::routes;
use crate::support::{Ask as _, TestHost};

/// Content types with bodies that fit them badly.
pub(crate) fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let part = |disposition: &str| {
        format!("--x\r\ncontent-disposition: {disposition}\r\n\r\n1\r\n").into_bytes()
    };
    let closed = |parts: Vec<u8>| [parts, b"--x--\r\n".to_vec()].concat();
    let multipart = "multipart/form-data; boundary=x";
    vec![
        ("application/json", b"\xff\xfe".to_vec()),
        ("application/json", b"{\"name\":\"\xff\"}".to_vec()),
        ("application/json", b"{\"name\":\"a\0b\"}".to_vec()),
        ("application/json", br#"{"name":1,"name":[2]}"#.to_vec()),
        (
            "application/json",
            br#"{"name":"\ud800","username":"\udc00\ud800","nickname":"a\ud800b"}"#.to_vec(),
        ),
        (
            "application/json",
            br#"{"name":1e999,"age":-1e999,"page":1e-999,"sex":123456789012345678901234567890}"#
                .to_vec(),
        ),
        ("application/json", format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes()),
        (
            "application/json",
            format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)).into_bytes(),
        ),
        ("application/json", "{\"a\":\"".repeat(10_000).into_bytes()),
        ("application/x-www-form-urlencoded", b"%zz=%&=&==&&&name=%ff%fe&%00=%00".to_vec()),
        (
            "application/x-www-form-urlencoded",
            b"name[]=a&name[b]=c&name[d][e]=f&[]=g&[h]=i&name[=j&name]=k".to_vec(),
        ),
        ("application/x-www-form-urlencoded", "a=b&".repeat(50_000).into_bytes()),
        ("multipart/form-data", b"--x".to_vec()),
        ("multipart/form-data; boundary=", b"--\r\n".to_vec()),
        (multipart, Vec::new()),
        (multipart, b"--x--".to_vec()),
        (multipart, part("form-data; name=\"name\"")),
        (multipart, closed(part("form-data"))),
        (multipart, closed(part("form-data; name=\"name\"; filename=\"../../etc/passwd\""))),
        (multipart, closed(part("form-data; name=\"\u{e9}\u{202e}\"; filename=\"\""))),
        (multipart, closed(part("form-data; name=\"name\"").repeat(10_000))),
        ("text/plain; charset=\"", b"name=x".to_vec()),
        ("", b"name=x".to_vec()),
    ]
}

/// Queries with names of inputs that mean something else, or nothing.
pub(crate) const QUERIES: [&str; 8] = [
    "name[]=a&name[]=b&username[]=c&page[]=1",
    "name[a][b]=c&username[x]=y&page_limit[]=2",
    "=&==&&[]=a&[=b&]=c",
    "%00=%00&name=%00&username=%00",
    "name=%ff%fe&username=%c3%28&%ff=1",
    "name=%zz&username=%&page=%2",
    "page=1e3&page_limit=1e3&id=1%20OR%201=1",
    "name=1&name=2&name[]=3&page=9&page=1",
];

#[tokio::test(flavor = "multi_thread")]
async fn odd_bodies_and_names_are_never_a_failure() {
    let hosts = [Some(TestHost::on_sqlite().await), TestHost::on_postgres().await];
    for host in hosts.into_iter().flatten() {
        let token = host.user("ipsaipsa").await;
        let ends_the_token = ["/api/auth/logout", "/api/auth/refresh"];
        let public = [
            (Method::POST, "/api/captchas"),
            (Method::POST, "/api/auth/register?captcha_key=provident"),
            (Method::POST, "/api/auth/login?username=ipsaipsa"),
            (Method::GET, "/api/response_code"),
        ];
        for (method, path) in
            routes().into_iter().chain(public).filter(|(_, path)| !ends_the_token.contains(path))
        {
            let separator = if path.contains('?') { '&' } else { '?' };
            let ask = || host.request(method.clone(), path).bearer_auth(&token);
            for (kind, body) in bodies() {
                let answer = ask().header("content-type", kind).body(body).answer().await;
                assert_eq!(answer.status, 200, "{method} {path} {kind}: {answer:?}");
            }
            for query in QUERIES {
                let answer = host
                    .request(method.clone(), &format!("{path}{separator}{query}"))
                    .bearer_auth(&token)
                    .answer()
                    .await;
                assert_eq!(answer.status, 200, "{method} {path}?{query}: {answer:?}");
            }
        }
    }
}
