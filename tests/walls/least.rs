//! The manifests of the built-in groups ask for what is used: whatever right is taken away is missed. That
//! they ask for enough is what all other tests show.

use futures_util::StreamExt as _;
use reqwest::RequestBuilder;
use reqwest::multipart::{Form, Part};
use serde_json::{Value as Json, json};
use wharf::database::{Right, Tables, Value};
use wharf::tenant::manifest::Manifest;

use crate::support::{ADMIN_PASSWORD, Ask as _, TestHost, files, guests};

/// The store's, the clinic's and the console's users at work; what is noted is how each request ended.
struct Day<'a> {
    host: &'a TestHost,
    noted: Vec<String>,
    /// How the requests of a usual day end; the day is over with the first one that ends in another way.
    usual: Option<&'a [String]>,
}

impl Day<'_> {
    /// What every group does in its turn, as far as it can.
    async fn spend(mut self) -> Vec<String> {
        self.store().await;
        self.clinic().await;
        self.console().await;
        self.noted
    }

    async fn ask(&mut self, request: RequestBuilder) -> Json {
        if self.usual.is_some_and(|usual| !usual.starts_with(&self.noted)) {
            return Json::Null;
        }
        let answer = request.answer().await;
        let body: Json = serde_json::from_str(&answer.body).unwrap_or_default();
        self.noted.push(format!("{} {} {}", answer.status, body["code"], body["status"]));
        body
    }

    async fn store(&mut self) {
        let host = self.host;
        let inputs = host.registration("somebody").await;
        self.ask(host.post("/api/auth/register").query(&inputs)).await;
        // The hash is of the oldest kind, which the first sign-in replaces.
        let stored = "UPDATE users SET password = $1 WHERE username = 'somebody'";
        let md5 = "5ebe2294ecd0e0f08eab7690d2a6ee69";
        host.sql(stored, vec![Value::Text(md5.into())]).await;
        let login = [("username", "somebody"), ("password", "secret")];
        let token = self.ask(host.post("/api/auth/login").query(&login)).await;
        let token = token["data"]["access_token"].as_str().unwrap_or("none").to_owned();
        let login = [("username", "admin"), ("password", ADMIN_PASSWORD)];
        let admin = self.ask(host.post("/api/auth/login").query(&login)).await;
        let admin = admin["data"]["access_token"].as_str().unwrap_or("none").to_owned();
        self.ask(host.get("/api/auth/me").bearer_auth(&admin)).await;
        let address =
            ["province", "city", "district", "address", "zip", "contact_name", "contact_phone"];
        let address = address.map(|name| (name, "1"));
        for request in [
            host.get("/api/auth/me"),
            host.get("/api/user_info"),
            host.put("/api/user_info/somebody").query(&[("name", "Else")]),
            host.post("/api/user_addresses").query(&address),
            host.get("/api/user_addresses"),
            host.put("/api/user_addresses/1").query(&address),
            host.delete("/api/user_addresses/1"),
            host.get("/api/user_profiles"),
            host.put("/api/user_profiles/1").query(&[("age", "9")]),
            host.delete("/api/user_profiles/1"),
        ] {
            self.ask(request.bearer_auth(&token)).await;
        }
    }

    async fn clinic(&mut self) {
        let host = self.host;
        let doctor = json!({ "username": "doctor", "password": "12345678", "email": "d@example.com", "sex": 0, "age": 24 });
        self.ask(host.post("/api/auth/register").json(&doctor)).await;
        let login = json!({ "email": "d@example.com", "password": "12345678" });
        let token = self.ask(host.post("/api/auth/login").json(&login)).await;
        let token = token["access_token"].as_str().unwrap_or("none").to_owned();
        let certificate = Part::bytes(files::png(8, 8)).file_name("certificate.png");
        for request in [
            host.get("/api/doctor/me"),
            host.get("/api/doctor/certificate"),
            host.post("/api/doctor/certificate/upload")
                .multipart(Form::new().part("certificate", certificate)),
        ] {
            self.ask(request.bearer_auth(&token)).await;
        }
    }

    async fn console(&mut self) {
        let host = self.host;
        let form = TestHost::console_form("user-one", "13800000001");
        self.ask(host.put("/signUp").multipart(form)).await;
        let sql = "SELECT COALESCE(MAX(id), 0) FROM users WHERE realm = 'console'";
        let id = match host.sql(sql, Vec::new()).await.rows[0][0] {
            Value::Integer(id) => id,
            _ => 0,
        };
        let (captcha, code) = host.console_captcha().await;
        let login = json!({ "nickname": "admin", "passwd": ADMIN_PASSWORD, "captcha_id": captcha, "captcha_code": code });
        let token = self.ask(host.post("/login").json(&login)).await;
        let token = token["data"]["token"].as_str().unwrap_or("none").to_owned();
        // Long enough for the sign-in to be prolonged.
        host.clock.advance(24 * 60 * 60);
        for request in [
            host.get("/list/user"),
            host.put(&format!("/user/{id}")).json(&json!({ "name": "other", "position": "other" })),
            host.delete(&format!("/user/{id}")),
        ] {
            self.ask(request.header("authorization", &token)).await;
        }
    }
}

async fn day(usual: Option<&[String]>, change: impl FnOnce(&mut wharf::Config)) -> Vec<String> {
    let host = TestHost::with(change).await;
    Day { host: &host, noted: Vec::new(), usual }.spend().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_right_that_a_built_in_group_asks_for_is_missed_when_it_is_taken_away() {
    let usual = day(None, |_| {}).await;
    assert!(usual.iter().all(|noted| noted.starts_with("200")), "{usual:?}");
    let groups = ["addresses", "auth", "certificates", "profiles", "users"];
    let less: Vec<_> = groups
        .iter()
        .flat_map(|group| one_less(group).into_iter().map(move |less| (group, less)))
        .collect();
    assert!(less.len() > 40, "{}", less.len());
    let usual = usual.as_slice();
    let tried = less.into_iter().map(async |(group, (right, less))| {
        let noted = day(Some(usual), |config| {
            config.groups.entry((*group).into()).or_default().tables = Some(less);
        });
        assert_ne!(noted.await, usual, "{group} does without the right to {right}");
    });
    futures_util::stream::iter(tried).buffer_unordered(4).collect::<Vec<()>>().await;
}

/// What a group asks for, less one right, for each of them.
fn one_less(group: &str) -> Vec<(String, Tables)> {
    let file = guests::built_in().join(format!("{group}.wasm"));
    let (manifest, _) = Manifest::find(&file, group).expect("it can be read").expect("it is there");
    let rights: Vec<(String, Right)> = manifest
        .tables
        .iter()
        .flat_map(|(table, rights)| rights.iter().map(move |right| (table.to_owned(), right)))
        .collect();
    let without = |(table, right): &(String, Right)| {
        let mut tables = toml::Table::new();
        for other in rights.iter().filter(|other| *other != &(table.clone(), *right)) {
            let words = tables.entry(&other.0).or_insert_with(|| Vec::<toml::Value>::new().into());
            words.as_array_mut().expect("a list").push(other.1.name().into());
        }
        (format!("{} {table}", right.name()), tables.try_into().expect("tables"))
    };
    rights.iter().map(without).collect()
}
