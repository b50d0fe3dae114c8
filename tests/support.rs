//! What tests share: hosts of their own, on databases of their own, and how to ask them.

mod answer;
pub mod deploying;
pub mod files;
pub mod frames;
pub mod guests;
pub mod languages;
pub mod postgres;
pub mod raw;
pub mod serving;
pub mod socket;
pub mod tools;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value as Json, json};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tempfile::TempDir;
use wharf::database::{Database, Location, Migrations, Rows, Value};
use wharf::router::Listed;
use wharf::{Clock, Config, Host, admin};

pub use answer::{Answer, Ask};

/// The time at which tests begin, in unix seconds: 2023-11-14T22:13:20Z.
pub const START: i64 = 1_700_000_000;

/// A port that is free, on this machine alone.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The password of the first admin.
pub const ADMIN_PASSWORD: &str = "admins-password";

/// Runs each test on SQLite and, where it is installed, on PostgreSQL.
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($host:ident: TestHost) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn run(#[allow(unused_mut)] mut $host: $crate::support::TestHost) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::support::TestHost::on_sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(host) = $crate::support::TestHost::on_postgres().await {
                    run(host).await;
                }
            }
        }
    )*};
}
pub(crate) use on_both_databases;

/// Settings of a host of one test's own: with its data in a folder, and on ports that nobody else has.
pub fn settings(folder: &Path, components: PathBuf) -> Config {
    Config {
        listen: ANY_PORT,
        data: folder.join("data"),
        cache: Some(guests::cache()),
        components,
        program: guests::program(),
        admin: admin::Config { listen: Some(ANY_PORT), ..admin::Config::default() },
        admin_password: Some(ADMIN_PASSWORD.into()),
        captcha_reveal: true,
        ..Config::default()
    }
}

/// A host of one test's own.
pub struct TestHost {
    host: Option<Host>,
    config: Config,
    /// The host's clock, which stands still until it is advanced.
    pub clock: Clock,
    client: reqwest::Client,
    /// Removed with the host.
    folder: TempDir,
}

impl TestHost {
    /// A host on a SQLite file.
    pub async fn on_sqlite() -> Self {
        TestHost::with(|_| {}).await
    }

    /// A host on a PostgreSQL database; `None`, loudly, where PostgreSQL is missing.
    pub async fn on_postgres() -> Option<Self> {
        let url = postgres::fresh_database().await?;
        Some(TestHost::with(|config| config.database = Some(url)).await)
    }

    /// A host with settings of its own, on SQLite unless they say otherwise.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = settings(folder.path(), guests::built_in());
        change(&mut config);
        let clock = Clock::manual(START);
        let host = Host::start(config.clone(), clock.clone()).await.expect("the host starts");
        let client =
            reqwest::Client::builder().timeout(Duration::from_mins(1)).build().expect("a client");
        TestHost { host: Some(host), config, clock, client, folder }
    }

    /// Two hosts on one PostgreSQL database, with the same key, and its URL; `None`, loudly, where PostgreSQL is
    /// missing.
    pub async fn two() -> Option<(Self, Self, String)> {
        let url = postgres::fresh_database().await?;
        let first = TestHost::with(|config| config.database = Some(url.clone())).await;
        let key = first.folder().join("data/keys/tokens.key");
        let second = TestHost::with(|config| {
            (config.database, config.key_file) = (Some(url.clone()), Some(key));
        })
        .await;
        Some((first, second, url))
    }

    /// Stops the host and starts it anew on the same data.
    pub async fn restart(&mut self) {
        if let Some(host) = self.host.take() {
            host.shutdown().await;
        }
        self.host = Some(
            Host::start(self.config.clone(), self.clock.clone())
                .await
                .expect("the host starts again"),
        );
    }

    /// All routes that it serves.
    pub fn routes(&self) -> Vec<Listed> {
        self.host.as_ref().expect("the host runs").routes()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.host.as_ref().expect("the host runs").address()
    }

    /// Requests that are in components now.
    pub fn in_components(&self) -> usize {
        self.host.as_ref().expect("the host runs").figures().requests
    }

    /// Waits until no connection to the tenant's data is in use. They are given back a moment after the
    /// answer.
    pub async fn settles(&self) {
        let host = self.host.as_ref().expect("the host runs");
        let idle = async {
            while host.figures().connections > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let settled = tokio::time::timeout(Duration::from_mins(1), idle).await;
        settled.expect("all connections are given back");
    }

    /// Instances that wait for another request.
    pub fn kept(&self) -> usize {
        self.host.as_ref().expect("the host runs").figures().kept
    }

    /// `http://127.0.0.1:port`
    pub fn origin(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where its admin API is reached: `http://127.0.0.1:port`
    pub fn admin_origin(&self) -> String {
        let host = self.host.as_ref().expect("the host runs");
        host.admin_origin().expect("an admin API")
    }

    /// The token of its operator.
    pub fn operator_token(&self) -> String {
        admin::operator::read(&self.config.data).expect("the operator's token")
    }

    /// A call of its admin API, with its operator's token.
    pub fn operate(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/v1/{path}", self.admin_origin());
        self.client.request(method, url).bearer_auth(self.operator_token())
    }

    /// The URL of its PostgreSQL database, if it has one.
    pub fn postgres(&self) -> Option<&str> {
        self.config.database.as_deref()
    }

    /// The folder that goes with the host.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The host's data folder.
    pub fn data(&self) -> &Path {
        &self.config.data
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    pub fn put(&self, path: &str) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.origin()))
    }

    /// Asks for a captcha and returns its key and what it shows.
    pub async fn captcha(&self) -> (String, String) {
        let answer = self.post("/api/captchas").answer().await;
        (
            answer.data()["captcha_key"].as_str().expect("a key").to_owned(),
            answer.header("x-captcha-code").to_owned(),
        )
    }

    /// The inputs of a registration that succeeds, with a fresh captcha.
    pub async fn registration(&self, username: &str) -> Vec<(String, String)> {
        let (key, code) = self.captcha().await;
        [
            ("name", "A Name"),
            ("username", username),
            ("password", "secret-1"),
            ("password_confirmation", "secret-1"),
            ("invitation_code", "welcome"),
            ("captcha_key", &key),
            ("captcha_code", &code),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Signs a user up with the password `secret-1`.
    pub async fn register(&self, username: &str) {
        let inputs = self.registration(username).await;
        let answer = self.post("/api/auth/register").query(&inputs).answer().await;
        assert_eq!(answer.code(), 20001, "{answer:?}");
    }

    /// Signs in and returns the token.
    pub async fn sign_in(&self, username: &str, password: &str) -> String {
        let answer = self.login(username, password).await;
        answer.data()["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("no token: {answer:?}"))
            .to_owned()
    }

    /// Tries to sign in.
    pub async fn login(&self, username: &str, password: &str) -> Answer {
        self.post("/api/auth/login")
            .query(&[("username", username), ("password", password)])
            .answer()
            .await
    }

    /// Signs a user up and in.
    pub async fn user(&self, username: &str) -> String {
        self.register(username).await;
        self.sign_in(username, "secret-1").await
    }

    /// Signs the admin in.
    pub async fn admin(&self) -> String {
        self.sign_in("admin", ADMIN_PASSWORD).await
    }

    /// Signs a doctor up with the password `12345678`, and in; returns the token.
    pub async fn doctor(&self, username: &str) -> String {
        let email = format!("{username}@example.com");
        let body = json!({ "username": username, "password": "12345678", "email": email, "sex": 0, "age": 24 });
        let answer = self.post("/api/auth/register").json(&body).answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.doctor_again(username).await
    }

    /// Signs a doctor in who has signed up before, and returns the token.
    pub async fn doctor_again(&self, username: &str) -> String {
        let answer = self.doctor_login(username).await;
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    /// Tries to sign a doctor in.
    pub async fn doctor_login(&self, username: &str) -> Answer {
        let email = format!("{username}@example.com");
        let body = json!({ "email": email, "password": "12345678" });
        self.post("/api/auth/login").json(&body).answer().await
    }

    /// Asks for a captcha of the console and returns its id and what it shows.
    pub async fn console_captcha(&self) -> (String, String) {
        let answer = self.get("/captcha").answer().await;
        let id = answer.data()["id"].as_str().expect("an id").to_owned();
        (id, answer.header("x-captcha-code").to_owned())
    }

    /// Tries to sign in to the console.
    pub async fn console_login(&self, nickname: &str, password: &str) -> Answer {
        let captcha = self.console_captcha().await;
        self.console_login_with(captcha, nickname, password).await
    }

    /// Tries to sign in to the console with a captcha that was asked for before.
    pub async fn console_login_with(
        &self,
        (id, code): (String, String),
        nickname: &str,
        password: &str,
    ) -> Answer {
        let body = json!({ "nickname": nickname, "passwd": password, "captcha_id": id, "captcha_code": code });
        self.post("/login").json(&body).answer().await
    }

    /// Signs in to the console and returns the token.
    pub async fn console_sign_in(&self, nickname: &str, password: &str) -> String {
        let answer = self.console_login(nickname, password).await;
        answer.data()["token"].as_str().unwrap_or_else(|| panic!("no token: {answer:?}")).to_owned()
    }

    /// Signs the console's admin in.
    pub async fn console_admin(&self) -> String {
        self.console_sign_in("admin", ADMIN_PASSWORD).await
    }

    /// A form that signs a user up to the console with the password `secret-1`.
    pub fn console_form(nickname: &str, phone: &str) -> Form {
        let portrait = Part::bytes(files::png(8, 8)).file_name("portrait.png");
        Form::new()
            .part("avatar", portrait)
            .text("nickname", nickname.to_owned())
            .text("phone", phone.to_owned())
            .text("passwd", "secret-1")
            .text("repasswd", "secret-1")
            .text("name", "测试用户5")
            .text("position", "职位1")
            .text("email", format!("{phone}@example.com"))
    }

    /// Signs a user up to the console, who waits for approval, and returns the user's id.
    pub async fn console_user(&self, nickname: &str, phone: &str) -> i64 {
        let form = TestHost::console_form(nickname, phone);
        let answer = self.put("/signUp").multipart(form).answer().await;
        assert_eq!(answer.json()["status"], true, "{answer:?}");
        let sql = "SELECT id FROM users WHERE realm = 'console' AND username = $1";
        match self.sql(sql, vec![Value::Text(nickname.to_owned())]).await.rows[0][0] {
            Value::Integer(id) => id,
            _ => panic!("no user {nickname}"),
        }
    }

    /// The keys of all blobs that are stored.
    pub fn blobs(&self) -> Vec<String> {
        let base = self.config.data.join("tenants/default/blobs");
        let (mut keys, mut folders) = (Vec::new(), vec![base.clone()]);
        while let Some(folder) = folders.pop() {
            // There is no folder before there is a blob.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    let path = entry.path();
                    let key = path.strip_prefix(&base).expect("a path below");
                    keys.push(key.to_string_lossy().into_owned());
                }
            }
        }
        keys
    }

    /// What the token's user is told about themselves.
    pub async fn me(&self, token: &str) -> Answer {
        self.get("/api/auth/me").bearer_auth(token).answer().await
    }

    /// The real program, at work on this host's data.
    pub fn wharf(&self, arguments: &[&str]) -> Command {
        let mut command = guests::wharf();
        command.args(arguments).arg("--data").arg(&self.config.data);
        if let Some(url) = &self.config.database {
            command.arg("--database").arg(url);
        }
        command
    }

    /// Changes the tenant's tables behind the host's back, as no statement of a guest's may.
    pub async fn change_schema(&self, statement: &'static str) {
        change_schema(self.config.database.as_deref(), &self.config.data, statement).await;
    }

    /// Stops the host and starts it anew on the same data with other settings.
    pub async fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.restart().await;
    }

    /// The key that signs its tokens.
    pub fn key(&self) -> String {
        let own = self.config.data.join("keys/tokens.key");
        std::fs::read_to_string(self.config.key_file.as_ref().unwrap_or(&own)).expect("the key")
    }

    /// Reads the host's own data.
    pub async fn host_sql(&self, statement: &str, parameters: Vec<Value>) -> Rows {
        let location = match &self.config.database {
            Some(url) => Location::Postgres { url: url.clone(), schema: "wharf".into() },
            None => Location::Sqlite(self.config.data.join("host.db")),
        };
        let migrations = Migrations::host();
        let database = Database::open(&location, self.config.sql.limits(), &migrations);
        let database = database.await.expect("the database");
        let rows = database.query(statement, parameters).await.expect("the statement runs");
        database.close().await;
        rows
    }

    /// Changes the host's own tables on SQLite.
    pub async fn host_schema(&self, statement: &'static str) {
        let file = self.config.data.join("host.db");
        let mut connection =
            SqliteConnection::connect(file.to_str().expect("UTF-8")).await.expect("the database");
        connection.execute(statement).await.expect("the statement runs");
    }

    /// The tenant's data, as the host itself opens it.
    pub async fn database(&self) -> Database {
        let location = match &self.config.database {
            Some(url) => Location::Postgres { url: url.clone(), schema: "tenant_default".into() },
            None => Location::Sqlite(self.config.data.join("tenants/default.db")),
        };
        let migrations = Migrations::api();
        let database = Database::open(&location, self.config.sql.limits(), &migrations);
        database.await.expect("the database")
    }

    /// Changes the tenant's data behind the host's back.
    pub async fn sql(&self, statement: &str, parameters: Vec<Value>) -> Rows {
        let database = self.database().await;
        let rows = database.query(statement, parameters).await.expect("the statement runs");
        database.close().await;
        rows
    }
}

/// The claims of a token.
pub fn claims(token: &str) -> Json {
    let part = token.split('.').nth(1).expect("three parts");
    let text = URL_SAFE_NO_PAD.decode(part).expect("base64");
    serde_json::from_slice(&text).expect("JSON")
}

/// Runs a statement that no component may send, on the tenant's data in a PostgreSQL database or a folder.
pub async fn change_schema(database: Option<&str>, data: &Path, statement: &'static str) {
    if let Some(url) = database {
        let url = format!("{url}&options=-csearch_path%3Dtenant_default");
        let mut connection = PgConnection::connect(&url).await.expect("the database");
        connection.execute(statement).await.expect("the statement runs");
    } else {
        let file = data.join("tenants/default.db");
        let file = file.to_str().expect("a path in UTF-8");
        let mut connection = SqliteConnection::connect(file).await.expect("the database");
        connection.execute(statement).await.expect("the statement runs");
    }
}

/// The keys of an object, in their order.
pub fn keys(object: &Json) -> Vec<&str> {
    object.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}
