//! What is saved is served, and no request is lost over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Workshop;
use crate::support::Ask as _;
use crate::support::guests::wharf;
use crate::support::raw::saying;

#[tokio::test(flavor = "multi_thread")]
async fn a_save_is_served_and_answers_say_by_which_revision() {
    let mut workshop = Workshop::serving(&["greet"]);
    let before = workshop.get("/greet").answer().await;
    assert_eq!(before.body, "one");
    workshop.save("greet", "two");
    workshop.until_said("greet@");
    let after = workshop.get("/greet").answer().await;
    assert_eq!(after.body, "two");
    let [before, after] = [&before, &after].map(|answer| {
        let revision = answer.header("x-wharf-revision");
        let (group, digest) = revision.split_once('@').expect("a group and a digest");
        assert_eq!((group, digest.len()), ("greet", 12), "{revision}");
        digest.to_owned()
    });
    assert_ne!(before, after);
    // What no component answers is of no revision.
    assert!(!workshop.get("/nowhere").answer().await.headers.contains_key("x-wharf-revision"));
}

/// Sends requests, one after the other on one connection, until it is over; none may fail.
async fn ask(client: reqwest::Client, url: String, over: Arc<AtomicBool>, count: Arc<AtomicU64>) {
    while !over.load(Ordering::Relaxed) {
        let answer = client.get(&url).answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body == "one" || answer.body == "two", "{answer:?}");
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_saves_under_load_lose_no_request() {
    let mut workshop = Workshop::serving(&["greet"]);
    let url = format!("{}/greet", workshop.running().url);
    let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let http1 = || reqwest::Client::builder().http1_only().build().expect("a client");
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let asking: Vec<_> = [http1(), http1(), http2]
        .map(|client| tokio::spawn(ask(client, url.clone(), Arc::clone(&over), Arc::clone(&count))))
        .into();
    for save in 0..100 {
        let which = if save % 2 == 0 { "two" } else { "one" };
        let before = count.load(Ordering::Relaxed);
        workshop.save("greet", which);
        workshop.until_said("greet@");
        assert_eq!(workshop.text("/greet").await, which, "after save {save}");
        // On each revision somebody was answered.
        while count.load(Ordering::Relaxed) == before {
            assert!(asking.iter().all(|asked| !asked.is_finished()), "a request was lost");
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::Relaxed);
    for asked in asking {
        asked.await.expect("no request was lost");
    }
    assert_eq!(workshop.builds("greet"), 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_during_a_build_are_one_more_build() {
    let mut workshop = Workshop::serving(&["greet"]);
    let gate = workshop.path("gate");
    let made = std::process::Command::new("mkfifo").arg(&gate).status().expect("mkfifo runs");
    assert!(made.success());
    // Whoever builds has seen what was saved, and waits until somebody opens the gate and leaves.
    let open = || std::fs::File::options().write(true).open(&gate).expect("a build has begun");
    workshop.manifest(
        "greet",
        &["log"],
        "which=$(cat which); cat ../../gate; echo built >> ../../built-greet; cp ../../made/greet-$which.wasm greet.wasm",
    );
    let builder = open();
    for which in ["two", "one", "two", "one", "two"] {
        workshop.save("greet", which);
    }
    workshop.write("components/greet/notes", "saved as well");
    drop(builder);
    workshop.until_said("greet@");
    assert_eq!(workshop.text("/greet").await, "one");
    drop(open());
    workshop.until_said("greet@");
    assert_eq!(workshop.text("/greet").await, "two");
    workshop.save("greet", "one");
    drop(open());
    workshop.until_said("greet@");
    assert_eq!(workshop.text("/greet").await, "one");
    let why = "at the start, of the manifest, of six saves, and of the last";
    assert_eq!(workshop.builds("greet"), 4, "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_that_inherit_have_it_as_well() {
    let mut workshop = Workshop::serving(&["greet"]);
    let mut create = wharf();
    create.args(["tenant", "create", "acme", "--inherit", "--data"]).arg(workshop.path("data"));
    create.env("WHARF_HOST", &workshop.running().admin);
    let created = create.output().expect("wharf runs");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let asks = |workshop: &Workshop| workshop.get("/greet").header("host", "acme.localhost");
    assert_eq!(asks(&workshop).answer().await.body, "one");
    workshop.save("greet", "two");
    workshop.until_said("greet@");
    assert_eq!(asks(&workshop).answer().await.body, "two");
    workshop.manifest("greet", &["log"], "false");
    let broken = workshop.until_answered(|| asks(&workshop), 500).await;
    assert_eq!(broken.json()["group"], "greet");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deployed_answers_in_place_of_what_is_saved() {
    let mut workshop = Workshop::serving(&["greet"]);
    let mut deploy = wharf();
    deploy.arg("deploy").arg(workshop.path("made/greet-two.wasm"));
    deploy.args(["--tenant", "default", "--group", "greet", "--data"]).arg(workshop.path("data"));
    deploy.env("WHARF_HOST", &workshop.running().admin);
    let deployed = deploy.output().expect("wharf runs");
    assert!(deployed.status.success(), "{}", String::from_utf8_lossy(&deployed.stderr));
    assert_eq!(workshop.text("/greet").await, "two");
    workshop.write("made/greet-three.wasm", saying("greet", "three", 200));
    workshop.save("greet", "three");
    workshop.until_said("greet@");
    assert_eq!(workshop.text("/greet").await, "two");
    let errors = workshop.errors();
    assert!(errors.contains("wharf remove greet --tenant default"), "{errors}");
    let mut remove = wharf();
    remove
        .args(["remove", "greet", "--tenant", "default", "--yes", "--data"])
        .arg(workshop.path("data"));
    remove.env("WHARF_HOST", &workshop.running().admin);
    assert!(remove.output().expect("wharf runs").status.success());
    assert_eq!(workshop.text("/greet").await, "three");
}
