//! What `wharf-kit` promises, asked over a socket of a group that uses everything of it (`tests/guests/bookmarks`).

use reqwest::header::CONTENT_TYPE;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value as Json, json};

use crate::support::{Answer, Ask as _, TestHost, guests, keys, on_both_databases};

/// Deploys the group beside the built-in ones.
async fn deployed(host: &TestHost) {
    host.grant("default", &["blobs", "database"]).await;
    let component = guests::guest("bookmarks").join("bookmarks.wasm");
    let component = std::fs::read(component).expect("the component");
    host.deploy("default", "bookmarks", component).await.expect("it is deployed");
}

/// A bookmark that may be made.
fn bookmark(url: &str) -> Json {
    json!({ "url": url, "shelf": "later", "weight": 1, "isRead": false })
}

async fn made(host: &TestHost, bookmark: &Json) -> Json {
    let answer = host.post("/bookmarks").json(bookmark).answer().await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

/// That a request is refused with a status and a message.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, message: &str) {
    let expected = json!({ "message": message });
    assert_eq!((answer.status.as_u16(), answer.json()), (status, expected), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
}

#[track_caller]
fn assert_broken(answer: &Answer, fields: &Json) {
    let expected = json!({ "message": "what was sent is not valid", "fields": fields });
    assert_eq!((answer.status.as_u16(), answer.json()), (422, expected), "{answer:?}");
}

fn as_json(request: RequestBuilder, body: impl Into<reqwest::Body>) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/json").body(body)
}

on_both_databases! {
    async fn rows_hold_every_type_and_come_back_as_they_were(host: TestHost) {
        deployed(&host).await;
        let sent = json!({
            "url": "https://example.com/é", "title": "An “example”", "shelf": "kept", "stars": 5, "weight": 0.1, "isRead": true,
        });
        let first = made(&host, &sent).await;
        let id = first["id"].as_i64().expect("an id");
        let expected = json!({
            "id": id, "url": "https://example.com/é", "title": "An “example”", "shelf": "kept", "stars": 5,
            "weight": 0.1, "is_read": true, "added_at": host.clock.now(),
        });
        assert_eq!(first, expected);
        assert_eq!(keys(&first), ["id", "url", "title", "shelf", "stars", "weight", "is_read", "added_at"]);
        assert_eq!(host.get(&format!("/bookmarks/{id}")).answer().await.json(), first);
        // What may be missing is NULL, or what is usual; a whole number is a number.
        let second = made(&host, &bookmark("https://example.org")).await;
        let (title, stars, weight) = (&second["title"], &second["stars"], second["weight"].as_f64());
        assert_eq!((title, stars, weight), (&Json::Null, &json!(0), Some(1.0)));
        let all = host.get("/bookmarks").answer().await;
        assert_eq!((all.status.as_u16(), all.json()), (200, json!([second, first])));
        // Bytes that are no text.
        let icon: Vec<u8> = (0..=255).collect();
        let form = Form::new().part("icon", Part::bytes(icon.clone()).file_name("icon.png"));
        let path = format!("/bookmarks/{id}/icon");
        assert_eq!(host.get(&path).answer().await.status, 404, "a column that is NULL");
        let kept = host.post(&path).multipart(form).answer().await;
        assert_eq!((kept.status.as_u16(), kept.body.as_str()), (204, ""));
        let answer = host.get(&path).send().await.expect("an answer");
        assert_eq!(answer.headers()["content-type"], "application/octet-stream");
        assert_eq!(answer.bytes().await.expect("a body"), icon);
        assert_eq!(host.blobs(), [format!("icons/{id}")]);
    }

    async fn bodies_that_cannot_be_read_are_400_and_name_the_member_and_the_type(host: TestHost) {
        deployed(&host).await;
        let post = async |body: &str| as_json(host.post("/bookmarks"), body.to_owned()).answer().await;
        for (body, message) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("[]", "invalid length 0, expected struct NewBookmark with 6 elements at line 1 column 2"),
            ("null", "invalid type: null, expected struct NewBookmark at line 1 column 4"),
            (r#"{"url":5}"#, "url: invalid type: integer `5`, expected a string at line 1 column 8"),
            (r#"{"url":"a","stars":256}"#, "stars: invalid value: integer `256`, expected u8 at line 1 column 22"),
            (r#"{"shelf":"top"}"#, "shelf: unknown variant `top`, expected `later` or `kept` at line 1 column 14"),
            (
                r#"{"url":"a","shelf":"kept","weight":1}"#,
                "missing field `isRead` at line 1 column 37",
            ),
            (r#"{"url":"a\u0000"}"#, "the body has text with U+0000; leave that character out"),
        ] {
            assert_refused(&post(body).await, 400, message);
        }
        let answer = as_json(host.post("/bookmarks"), &b"{\"url\":\"\xFF\"}"[..]).answer().await;
        assert_eq!(answer.status, 400, "{answer:?}");
        for kind in ["text/plain", "application/x-www-form-urlencoded"] {
            let answer = host.post("/bookmarks").header(CONTENT_TYPE, kind).body("{}").answer().await;
            assert_refused(&answer, 415, "the body must be JSON: send the header content-type: application/json");
        }
        let answer = host.put("/bookmarks/1").json(&json!({})).answer().await;
        let message = "the body must be a form: send the header content-type: application/x-www-form-urlencoded";
        assert_refused(&answer, 415, message);
        let answer = host.post("/bookmarks/import").body(&b"https://\xFF"[..]).answer().await;
        assert_refused(&answer, 400, "the body is no UTF-8 from byte 8 on");
        for (query, message) in [
            ("stars=x", "stars: invalid type: string \"x\", expected u8"),
            ("stars=-1", "stars: invalid value: integer `-1`, expected u8"),
            ("shelf=kept&shelf=top", "shelf[1]: unknown variant `top`, expected `later` or `kept`"),
            ("shelf=%00", "shelf: the text has U+0000; leave that character out"),
        ] {
            assert_refused(&host.get(&format!("/bookmarks?{query}")).answer().await, 400, message);
        }
        assert_eq!(host.get("/bookmarks").answer().await.json(), json!([]), "nothing was made");
    }

    async fn what_breaks_a_rule_is_422_and_all_of_it_is_told(host: TestHost) {
        deployed(&host).await;
        let mut sent = bookmark("http://example.com");
        sent["title"] = "é".repeat(41).into();
        sent["stars"] = 6.into();
        let answer = host.post("/bookmarks").json(&sent).answer().await;
        let fields = json!({
            "url": ["value does not begin with \"https://\""],
            "title": ["length is greater than 40"],
            "stars": ["greater than 5"],
        });
        assert_broken(&answer, &fields);
        let answer = host.get("/bookmarks?stars=6&shelf=kept&shelf=kept&shelf=kept").answer().await;
        assert_broken(&answer, &json!({ "stars": ["greater than 5"], "shelf": ["length is greater than 2"] }));
        let answer = host.put("/bookmarks/1").form(&[("title", "a".repeat(41))]).answer().await;
        assert_broken(&answer, &json!({ "title": ["length is greater than 40"] }));
        let answer = host.get("/odd/broken-rule").answer().await;
        assert_broken(&answer, &json!({ "name": ["is taken", "is short"] }));
        let form = Form::new().text("icon", "no file");
        let answer = host.post("/bookmarks/1/icon").multipart(form).answer().await;
        assert_broken(&answer, &json!({ "icon": ["is required"] }));
        assert_eq!(host.blobs(), Vec::<String>::new());
    }

    async fn paths_are_values_of_their_types_or_lead_nowhere(host: TestHost) {
        deployed(&host).await;
        let id = made(&host, &bookmark("https://example.com/a/b")).await["id"].clone();
        let patch = async |path: &str| host.request(Method::PATCH, path).answer().await;
        let rated = patch(&format!("/bookmarks/{id}/stars/4")).await;
        assert_eq!((rated.status.as_u16(), rated.json()), (202, json!(4)));
        for path in ["x/stars/4", "1/stars/x", "1/stars/-1", "1/stars/256", "1.0/stars/4", "99999999999999999999/stars/4", "%00/stars/4", "77/stars/4"] {
            assert_refused(&patch(&format!("/bookmarks/{path}")).await, 404, "Not Found");
        }
        let shelf = host.get("/shelves/later/example.com/a").answer().await;
        assert_eq!((shelf.status.as_u16(), shelf.body.as_str()), (200, "https://example.com/a/b"));
        assert_eq!(shelf.header("content-type"), "text/plain; charset=utf-8");
        assert_refused(&host.get("/shelves/top/example.com").answer().await, 404, "Not Found");
        let page = host.get("/shelves").answer().await;
        let kind = page.header("content-type").to_owned();
        assert_eq!((kind.as_str(), page.body.as_str()), ("text/html; charset=utf-8", "<p>1 bookmarks"));
        let elsewhere = host.post("/odd/there%20and/back").answer().await;
        assert_refused(&elsewhere, 404, "there and/back");
        assert_eq!(elsewhere.header("x-told"), "there and/back");
    }

    async fn forms_and_merged_inputs_are_typed(host: TestHost) {
        deployed(&host).await;
        let id = made(&host, &bookmark("https://example.com")).await["id"].clone();
        let change = async |form: &[(&str, &str)]| host.put(&format!("/bookmarks/{id}")).form(form).answer().await.json();
        let changed = change(&[("title", "A"), ("is_read", "on")]).await;
        assert_eq!((&changed["title"], &changed["is_read"]), (&json!("A"), &json!(true)));
        // A field that nobody filled in, and a box that is not ticked.
        let changed = change(&[("title", "")]).await;
        assert_eq!((&changed["title"], &changed["is_read"]), (&Json::Null, &json!(false)));
        assert_refused(&host.put("/bookmarks/77").form(&[("title", "A")]).answer().await, 404, "Not Found");
        let search = || host.post("/bookmarks/search");
        for (request, found) in [
            (search(), 1),
            (search().query(&[("stars", "0")]), 1),
            (search().query(&[("stars", "1")]), 0),
            (search().form(&[("stars", " 0 "), ("shelf[]", "later")]), 1),
            (search().json(&json!({ "stars": "0", "shelf": ["kept"] })), 0),
            (search().json(&json!({ "stars": 0, "shelf": "later" })), 1),
            (search().multipart(Form::new().text("stars", "1")), 0),
        ] {
            let answer = request.answer().await;
            assert_eq!((answer.status.as_u16(), answer.json().as_array().map(Vec::len)), (200, Some(found)), "{answer:?}");
        }
        let answer = search().json(&json!({ "stars": {} })).answer().await;
        assert_refused(&answer, 400, "stars: invalid type: map, expected u8");
    }

    async fn a_conflict_is_told_and_a_transaction_is_all_or_nothing(host: TestHost) {
        deployed(&host).await;
        made(&host, &bookmark("https://example.com")).await;
        let again = host.post("/bookmarks").json(&bookmark("https://example.com")).answer().await;
        assert_refused(&again, 409, "there is a bookmark with this address already");
        let import = async |lines: &'static str| host.post("/bookmarks/import").body(lines).answer().await;
        assert_eq!(import("https://a\nhttps://example.com").await.status, 500, "the second is there already");
        let imported = import("https://a\nhttps://b").await;
        assert_eq!(imported.status, 201, "{imported:?}");
        let urls: Vec<Json> = imported.json().as_array().expect("rows").iter().map(|row| row[1].clone()).collect();
        assert_eq!(urls, ["https://example.com", "https://a", "https://b"]);
    }

    async fn a_row_of_another_shape_is_a_500_that_tells_nothing(host: TestHost) {
        deployed(&host).await;
        for path in ["/odd/no-such-column", "/odd/another-type"] {
            assert_eq!(host.get(path).answer().await.json(), json!([]), "there is no row yet");
        }
        made(&host, &bookmark("https://example.com")).await;
        for path in ["/odd/no-such-column", "/odd/another-type"] {
            assert_refused(&host.get(path).answer().await, 500, "Server Error");
        }
    }
}

#[tokio::test]
async fn callers_are_who_the_host_says() {
    let host = TestHost::on_sqlite().await;
    deployed(&host).await;
    let token = host.user("reader").await;
    let asked = async |path: &str, token: Option<&str>| {
        let request = host.get(path);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        let answer = request.answer().await;
        (answer.status.as_u16(), answer.body)
    };
    for (token, whoami, caller) in [
        (None, (203, "nobody"), "anonymous"),
        (Some(token.as_str()), (200, "store"), "identity"),
        (Some("forged"), (203, "nobody"), "rejected"),
    ] {
        assert_eq!(asked("/odd/whoami", token).await, (whoami.0, whoami.1.to_owned()));
        assert_eq!(asked("/odd/caller", token).await, (200, caller.to_owned()));
    }
    let id = made(&host, &bookmark("https://example.com")).await["id"].clone();
    let path = format!("/bookmarks/{id}");
    assert_eq!(host.delete(&path).answer().await.status, 401);
    let removed = host.delete(&path).bearer_auth(&token).answer().await;
    assert_eq!((removed.status.as_u16(), removed.body.as_str()), (204, ""));
    let again = host.delete(&path).bearer_auth(&token).answer().await;
    assert_refused(&again, 404, "there is no such bookmark");
}

#[tokio::test]
async fn bodies_and_headers_come_as_they_were_sent_within_their_limits() {
    let host = TestHost::on_sqlite().await;
    deployed(&host).await;
    let length = host.post("/odd/length").body(&b"\xFF\0\xFF"[..]).answer().await;
    assert_eq!(length.body, "3");
    assert_eq!(host.get("/odd/echo").header("x-echo", "é").answer().await.body, "é");
    assert_eq!(host.get("/odd/echo").answer().await.status, 404);
    let create =
        async |bytes: usize| host.post("/bookmarks").body(vec![b'x'; bytes]).answer().await.status;
    assert_eq!((create(4096).await.as_u16(), create(4097).await.as_u16()), (415, 413));
    let import = async |bytes: usize| {
        host.post("/bookmarks/import").body(vec![0xFF; bytes]).answer().await.status
    };
    assert_eq!((import(102_400).await.as_u16(), import(102_401).await.as_u16()), (400, 413));
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep = as_json(host.post("/odd/deep"), nested(32)).answer().await;
    assert_eq!((deep.status.as_u16(), deep.body), (200, nested(32)));
    for levels in [33, 100_000] {
        let answer = as_json(host.post("/odd/deep"), nested(levels)).answer().await;
        assert_refused(&answer, 400, "the body has more than 32 levels or 10000 values");
    }
}

#[tokio::test]
async fn routes_are_what_the_attributes_say() {
    let host = TestHost::on_sqlite().await;
    deployed(&host).await;
    let routes: Vec<String> = host
        .routes()
        .into_iter()
        .filter(|route| route.group == "bookmarks")
        .map(|route| format!("{} {} {}", route.method, route.path, route.realm.unwrap_or_default()))
        .collect();
    for route in [
        "GET /bookmarks ",
        "POST /bookmarks ",
        "PUT /bookmarks/{id} ",
        "DELETE /bookmarks/{id} store",
        "PATCH /bookmarks/{id}/stars/{stars} ",
        "GET /shelves/{shelf}/{*prefix} ",
        "* /odd/{*rest} ",
    ] {
        assert!(routes.iter().any(|listed| listed == route), "{route} is not among {routes:?}");
    }
    assert_eq!(routes.len(), 21);
}
