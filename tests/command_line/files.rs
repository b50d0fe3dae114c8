//! Uploaded files: in S3-compatible storage, and in as little memory as can be.

use std::path::Path;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Serving, assert_refused, folder, serve};
use crate::support::{files, guests};

/// S3-compatible storage in a folder, at an address of its own.
async fn storage(folder: &Path) -> (String, JoinHandle<()>) {
    let files = s3s_fs::FileSystem::new(folder).expect("a folder");
    let mut builder = s3s::service::S3ServiceBuilder::new(files);
    builder.set_auth(s3s::auth::SimpleAuth::from_single("the-key", "the-secret"));
    let service = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            connections.spawn(async move {
                let io = hyper_util::rt::TokioIo::new(stream);
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(io, service).await;
            });
        }
    });
    (url, serving)
}

/// Signs a doctor up and in.
async fn doctor(url: &str) -> String {
    let client = Client::new();
    let body = json!({ "username": "doctor", "password": "12345678", "email": "a@b.cn", "sex": 0, "age": 40 });
    let registered = client.post(format!("{url}/api/auth/register")).json(&body).send().await;
    assert_eq!(registered.expect("an answer").status(), 200);
    let body = json!({ "email": "a@b.cn", "password": "12345678" });
    let login = client.post(format!("{url}/api/auth/login")).json(&body).send().await;
    let login: Value = login.expect("an answer").json().await.expect("JSON");
    login["access_token"].as_str().expect("a token").to_owned()
}

async fn upload(url: &str, token: &str, content: Vec<u8>) -> Response {
    let form = Form::new().part("certificate", Part::bytes(content).file_name("a.pdf"));
    let request = Client::new().post(format!("{url}/api/doctor/certificate/upload"));
    request.multipart(form).bearer_auth(token).send().await.expect("an answer")
}

async fn download(url: &str, token: &str) -> Response {
    let request = Client::new().get(format!("{url}/api/doctor/certificate"));
    request.bearer_auth(token).send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_lie_in_s3_where_the_operator_says_so() {
    let folder = folder();
    let bucket = folder.path().join("storage/the-bucket");
    std::fs::create_dir_all(&bucket).expect("a folder");
    let (endpoint, storage) = storage(&folder.path().join("storage")).await;
    let settings = folder.path().join("wharf.toml");
    let with = |blobs: &str, secret: &str| {
        std::fs::write(&settings, format!("blobs.url = \"{blobs}\"\n"))
            .expect("the folder is writable");
        let mut command = serve(folder.path(), &guests::built_in());
        command.arg("--config").arg(&settings);
        command.envs([("AWS_ACCESS_KEY_ID", "the-key"), ("AWS_SECRET_ACCESS_KEY", secret)]);
        command.envs([("AWS_REGION", "us-east-1"), ("AWS_ALLOW_HTTP", "true")]);
        command.env("AWS_ENDPOINT", &endpoint);
        command
    };
    assert_refused(
        &mut with("ftp://the-bucket", "the-secret"),
        &["blobs.url", "s3://bucket/prefix"],
    );
    assert_refused(
        &mut with("s3://the-bucket/files", "wrong"),
        &["blobs.url", "AWS_SECRET_ACCESS_KEY"],
    );
    let serving = Serving::start(with("s3://the-bucket/files", "the-secret"));
    let token = doctor(&serving.url).await;
    let content = files::pdf(1_000_000);
    let uploaded = upload(&serving.url, &token, content.clone()).await;
    assert_eq!(uploaded.status(), 200);
    let path: Value = uploaded.json().await.expect("JSON");
    let path = path["path"].as_str().expect("a path").to_owned();
    assert_eq!(std::fs::read(bucket.join("files/default").join(&path)).expect("the file"), content);
    assert_eq!(download(&serving.url, &token).await.bytes().await.expect("the file"), content);
    // Storage that is gone is told as such; the certificate that is there stays the one.
    storage.abort();
    let _ = storage.await;
    assert_eq!(upload(&serving.url, &token, content.clone()).await.status(), 503);
    assert_eq!(download(&serving.url, &token).await.status(), 503);
    let me = Client::new().get(format!("{}/api/doctor/me", serving.url)).bearer_auth(&token);
    let me: Value = me.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(me["certificate"], path);
}

/// A line of `/proc/<process>/status`, in bytes.
fn memory(serving: &Serving, line: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.child.id()));
    let status = status.expect("the host is alive");
    let value = status.lines().find_map(|found| found.strip_prefix(line)).expect("the line");
    let kibibytes: usize =
        value.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1024
}

/// Forgets how much memory the process had at most until now.
fn reset_peak(serving: &Serving) {
    let file = format!("/proc/{}/clear_refs", serving.child.id());
    std::fs::write(file, "5").expect("one's own process");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_in_the_hosts_memory_once_and_a_download_never_whole() {
    const FILE: usize = 5_000_000;
    let folder = folder();
    let serving = Serving::start(serve(folder.path(), &guests::built_in()));
    let token = doctor(&serving.url).await;
    // What stays after any upload and download: threads, caches.
    assert_eq!(upload(&serving.url, &token, files::pdf(1000)).await.status(), 200);
    assert_eq!(download(&serving.url, &token).await.status(), 200);
    let content = files::pdf(FILE);

    let before = memory(&serving, "VmRSS");
    reset_peak(&serving);
    assert_eq!(upload(&serving.url, &token, content.clone()).await.status(), 200);
    let peak = memory(&serving, "VmHWM").saturating_sub(before);
    // Once in the host; in the component once as it arrived, and once as the parser of forms holds it.
    assert!(peak < FILE * 7 / 2, "{peak} bytes for an upload of {FILE}");

    // Nor can anybody blow a body up by what is in it.
    let list = format!(r#"{{"a":[{}0]}}"#, "0,".repeat(FILE / 2));
    let before = memory(&serving, "VmRSS");
    reset_peak(&serving);
    let request = Client::new().post(format!("{}/api/doctor/certificate/upload", serving.url));
    let refused = request.header("content-type", "application/json").body(list).send().await;
    assert_eq!(refused.expect("an answer").status(), 401);
    let peak = memory(&serving, "VmHWM").saturating_sub(before);
    assert!(peak < FILE * 2, "{peak} bytes for JSON of {FILE}");

    let before = memory(&serving, "VmRSS");
    reset_peak(&serving);
    assert_eq!(download(&serving.url, &token).await.bytes().await.expect("the file"), content);
    let peak = memory(&serving, "VmHWM").saturating_sub(before);
    assert!(peak < FILE / 4, "{peak} bytes for a download of {FILE}");
}
