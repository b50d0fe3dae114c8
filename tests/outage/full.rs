//! A file system that is really full: one of a few megabytes that the real program alone can see, and
//! that is gone with it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::support::serving::{Serving, serve};
use crate::support::{Answer, Ask as _, files, guests, tools};

/// Kilobytes of the file system.
const SIZE: &str = "8192k";

/// The program, with its data on a file system of its own: `None`, loudly, where none can be mounted.
fn serve_on_little(folder: &Path) -> Option<Serving> {
    let data = folder.join("data");
    std::fs::create_dir(&data).expect("a folder");
    let mount = format!("mount -t tmpfs -o size={SIZE} wharf-test \"$0\" && exec \"$@\"");
    // Whoever is not root may mount where nobody else sees it, as root of a user namespace.
    let namespaces = ["--mount", "--map-root-user"];
    let mut trial = Command::new("unshare");
    trial.args(namespaces).args(["sh", "-c", &mount]).arg(&data).arg("true");
    if !trial.status().is_ok_and(|status| status.success()) {
        tools::skip("unshare and the right to mount a file system");
        return None;
    }
    let served = serve(folder, &guests::built_in());
    let mut command = Command::new("unshare");
    command.args(namespaces).args(["sh", "-c", &mount]).arg(&data);
    command.arg(served.get_program()).args(served.get_args());
    command.current_dir(guests::root()).env("WHARF_CAPTCHA_REVEAL", "1");
    for (name, value) in served.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let settings = folder.join("wharf.toml");
    std::fs::write(&settings, "throttle.enabled = false\n").expect("the folder is writable");
    command.arg("--config").arg(settings);
    Some(Serving::start(command))
}

/// What fills the rest of the file system.
struct Filler(PathBuf);

impl Filler {
    fn fill(place: &Path) -> Self {
        let filler = place.join("filler");
        let mut file = File::create(&filler).expect("there is room for a file");
        // Smaller pieces at the end, so that not a page is left.
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Filler(filler)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Clients<'a> {
    serving: &'a Serving,
    client: Client,
}

impl Clients<'_> {
    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.serving.url))
    }

    async fn register(&self, username: &str) -> Answer {
        let captcha = self.post("/api/captchas").answer().await;
        let inputs = json!({
            "name": "A Name", "username": username, "password": "secret-1",
            "password_confirmation": "secret-1", "invitation_code": "welcome",
            "captcha_key": captcha.data()["captcha_key"], "captcha_code": captcha.header("x-captcha-code"),
        });
        self.post("/api/auth/register").json(&inputs).answer().await
    }

    async fn sign_in(&self, username: &str) -> String {
        let inputs = json!({ "username": username, "password": "secret-1" });
        let answer = self.post("/api/auth/login").json(&inputs).answer().await;
        answer.data()["access_token"].as_str().expect("a token").to_owned()
    }

    async fn add_address(&self, token: &str, street: &str) -> Answer {
        let inputs = json!({
            "province": "p", "city": "c", "district": "d", "address": street, "zip": "1",
            "contact_name": "n", "contact_phone": "1",
        });
        self.post("/api/user_addresses").bearer_auth(token).json(&inputs).answer().await
    }

    async fn addresses(&self, token: &str) -> Answer {
        let path = format!("{}/api/user_addresses?page_limit=1000", self.serving.url);
        self.client.get(path).bearer_auth(token).answer().await
    }

    async fn readiness(&self) -> Value {
        self.client.get(format!("{}/readyz", self.serving.url)).answer().await.json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_until_there_is_room() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(serving) = serve_on_little(folder.path()) else { return };
    // Its file system, as the kernel shows it to others.
    let root = PathBuf::from(format!("/proc/{}/root", serving.child.id()));
    let data = root.join(folder.path().join("data").strip_prefix("/").expect("absolute"));
    let clients = Clients { serving: &serving, client: Client::new() };
    assert_eq!(clients.register("customer").await.code(), 20001);
    let token = clients.sign_in("customer").await;
    let doctor = json!({ "username": "doctor", "password": "12345678", "email": "d@example.com", "sex": 0, "age": 24 });
    assert_eq!(clients.post("/api/auth/register").json(&doctor).answer().await.status, 200);
    let signed_in = clients.post("/api/auth/login").json(&doctor).answer().await.json();
    let doctor = signed_in["access_token"].as_str().expect("a token");

    let filler = Filler::fill(&data);
    let mut acknowledged = Vec::new();
    let long = "x".repeat(200);
    // The write-ahead log may have room left within itself.
    for number in 0.. {
        let street = format!("{number}{long}");
        let answer = clients.add_address(&token, &street).await;
        if answer.status == 503 {
            break;
        }
        assert_eq!(answer.code(), 20001);
        acknowledged.push(street);
        assert!(number < 10_000, "the disk is full at last");
    }
    // Reads go on, on every connection; what writes is refused, also in transactions.
    for round in 0..4 {
        for answer in join_all((0..16).map(|_| clients.addresses(&token))).await {
            assert_eq!(answer.code(), 20001);
        }
        let names: Vec<_> = (0..16).map(|number| format!("refused{round}x{number}")).collect();
        for answer in join_all(names.iter().map(|name| clients.register(name))).await {
            assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
        }
    }
    let form = || {
        let part = reqwest::multipart::Part::bytes(files::pdf(100_000)).file_name("c.pdf");
        reqwest::multipart::Form::new().part("certificate", part)
    };
    let upload = || clients.post("/api/doctor/certificate/upload").bearer_auth(doctor);
    assert_eq!(upload().multipart(form()).answer().await.status, 503);
    assert_eq!(clients.readiness().await["status"], "reads only");

    drop(filler);
    // The first write after that finds room, whichever connection it is given.
    let names: Vec<_> = (0..16).map(|number| format!("welcome{number}")).collect();
    for answer in join_all(names.iter().map(|name| clients.register(name))).await {
        assert_eq!(answer.code(), 20001);
    }
    assert_eq!(upload().multipart(form()).answer().await.status, 200);
    assert_eq!(clients.readiness().await["status"], "ready");
    let listed = clients.addresses(&token).await.data();
    let streets: Vec<_> = listed["data"].as_array().expect("rows").iter().collect();
    let streets: Vec<_> =
        streets.iter().map(|row| row["address"].as_str().expect("text")).collect();
    assert_eq!(streets, acknowledged, "what was acknowledged, and nothing else");
    let log = serving.rest();
    assert_eq!(log.matches("cannot be written to").count(), 1, "{log}");
    assert_eq!(log.matches("can be written to again").count(), 1, "{log}");
}
