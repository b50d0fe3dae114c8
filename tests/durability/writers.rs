//! Clients that write until the host is gone, and remember what they were told is done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::Answer;

/// Clients that add addresses; one more each changes one, and makes users.
const ADDING: usize = 3;

/// What clients were told is done.
#[derive(Default)]
pub struct Acknowledged {
    pub users: Vec<String>,
    pub streets: Vec<String>,
    /// Tokens that were signed out.
    pub ended: Vec<String>,
    /// The last change of the address that is changed.
    pub changed: Option<u32>,
}

impl Acknowledged {
    pub fn add(&mut self, more: Acknowledged) {
        self.users.extend(more.users);
        self.streets.extend(more.streets);
        self.ended.extend(more.ended);
        self.changed = self.changed.max(more.changed);
    }
}

pub struct Writers {
    url: String,
    client: Client,
    token: String,
    /// The address that one of them changes.
    address: i64,
    /// Writes that were acknowledged since the host started.
    count: AtomicUsize,
    counted: Notify,
}

impl Writers {
    /// Signs a user up who owns the addresses.
    pub async fn new(url: &str) -> Self {
        let mut writers = Writers {
            url: url.to_owned(),
            client: Client::new(),
            token: String::new(),
            address: 0,
            count: AtomicUsize::default(),
            counted: Notify::new(),
        };
        writers.register("customer").await.expect("the host is there");
        writers.token = writers.sign_in("customer").await.expect("the host is there");
        let made = writers.address("POST", "", "changed-0").await.expect("the host is there");
        writers.address = made.data()["id"].as_i64().expect("an id");
        writers
    }

    /// The host is elsewhere now.
    pub fn go_to(&mut self, url: &str) {
        url.clone_into(&mut self.url);
        self.count.store(0, Ordering::Relaxed);
    }

    /// Reads once.
    pub async fn read(&self) {
        let asked = self.client.get(format!("{}/api/auth/me", self.url));
        let answer = ask(asked.bearer_auth(&self.token)).await.expect("the host is there");
        assert_eq!(answer.code(), 20001);
    }

    /// That tokens that were signed out stay so.
    pub async fn assert_ended(&self, tokens: &[String]) {
        for token in tokens.iter().rev().take(20) {
            let asked = self.client.get(format!("{}/api/auth/me", self.url));
            ask(asked.bearer_auth(token))
                .await
                .expect("the host is there")
                .assert_unauthenticated();
        }
    }

    /// Waits until so many writes have been acknowledged since the host started.
    pub async fn until_acknowledged(&self, enough: usize) {
        let reached = async {
            while self.count.load(Ordering::Relaxed) < enough {
                self.counted.notified().await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_mins(1), reached).await;
        reached.expect("the host answers clients");
    }

    /// Has all clients write until the host is gone.
    pub async fn write(&self, round: u32) -> Acknowledged {
        let adding = join_all((0..ADDING).map(|writer| self.add_addresses(round, writer)));
        let (streets, changed, (users, ended)) =
            tokio::join!(adding, self.change_address(round), self.come_and_go(round));
        Acknowledged { users, streets: streets.concat(), ended, changed }
    }

    async fn add_addresses(&self, round: u32, writer: usize) -> Vec<String> {
        let mut told = Vec::new();
        for number in 0.. {
            let street = format!("{round}-{writer}-{number}");
            if self.address("POST", "", &street).await.is_none() {
                break;
            }
            told.push(street);
        }
        told
    }

    async fn change_address(&self, round: u32) -> Option<u32> {
        let mut told = None;
        for number in 1.. {
            let change = round * 1_000_000 + number;
            let path = format!("/{}", self.address);
            if self.address("PUT", &path, &format!("changed-{change}")).await.is_none() {
                break;
            }
            told = Some(change);
        }
        told
    }

    /// Users who sign up, in and out.
    async fn come_and_go(&self, round: u32) -> (Vec<String>, Vec<String>) {
        let (mut users, mut ended) = (Vec::new(), Vec::new());
        for number in 0.. {
            let username = format!("round{round}x{number}");
            if self.register(&username).await.is_none() {
                break;
            }
            users.push(username.clone());
            let Some(token) = self.sign_in(&username).await else { break };
            let asked = self.client.delete(format!("{}/api/auth/logout", self.url));
            if self.acknowledged(asked.bearer_auth(&token)).await.is_none() {
                break;
            }
            ended.push(token);
        }
        (users, ended)
    }

    /// Writes an address whose parts are all the same, so that a change that is half done shows.
    async fn address(&self, method: &str, path: &str, part: &str) -> Option<Answer> {
        let inputs = json!({
            "province": part, "city": part, "district": part, "address": part,
            "zip": "1", "contact_name": part, "contact_phone": part,
        });
        let method = method.parse().expect("a method");
        let asked = self.client.request(method, format!("{}/api/user_addresses{path}", self.url));
        self.acknowledged(asked.bearer_auth(&self.token).json(&inputs)).await
    }

    async fn register(&self, username: &str) -> Option<()> {
        let captcha = ask(self.client.post(format!("{}/api/captchas", self.url))).await?;
        let inputs = json!({
            "name": "A Name", "username": username, "password": "secret-1",
            "password_confirmation": "secret-1", "invitation_code": "welcome",
            "captcha_key": captcha.data()["captcha_key"], "captcha_code": captcha.header("x-captcha-code"),
        });
        let asked = self.client.post(format!("{}/api/auth/register", self.url)).json(&inputs);
        self.acknowledged(asked).await.map(drop)
    }

    async fn sign_in(&self, username: &str) -> Option<String> {
        let inputs = json!({ "username": username, "password": "secret-1" });
        let asked = self.client.post(format!("{}/api/auth/login", self.url)).json(&inputs);
        let answer = ask(asked).await?;
        Some(answer.data()["access_token"].as_str().expect("a token").to_owned())
    }

    /// The answer that it is done; `None` when the host is gone.
    async fn acknowledged(&self, asked: RequestBuilder) -> Option<Answer> {
        let answer = ask(asked).await?;
        assert_eq!(answer.code(), 20001, "{answer:?}");
        self.count.fetch_add(1, Ordering::Relaxed);
        self.counted.notify_one();
        Some(answer)
    }
}

/// An answer read whole; `None` when there is none, or not all of it.
async fn ask(asked: RequestBuilder) -> Option<Answer> {
    let response = asked.send().await.ok()?;
    let (status, headers) = (response.status(), response.headers().clone());
    Some(Answer { status, headers, body: response.text().await.ok()? })
}
