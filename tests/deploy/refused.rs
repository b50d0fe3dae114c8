//! What cannot be deployed is refused in words that say what to do.

use crate::support::TestHost;
use crate::support::deploying::with_manifest;
use crate::support::guests;
use crate::support::raw::{self, saying};

/// Deploys what is refused; returns the sentence. What was served goes on.
async fn refused(host: &TestHost, group: &str, component: Vec<u8>) -> String {
    let refusal = host.deploy("acme", group, component).await.expect_err("it is refused");
    assert_eq!(super::asks(host, "acme", "/greet").await, (200, "one".into()));
    refusal
}

#[track_caller]
fn assert_names(reason: &str, words: &[&str]) {
    for word in words {
        assert!(reason.contains(word), "{word:?} is not in: {reason}");
    }
}

async fn serving() -> TestHost {
    let host = TestHost::on_sqlite().await;
    host.tenant("acme").await;
    host.deploy("acme", "greet", saying("greet", "one", 200)).await.expect("it is deployed");
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_component() {
    let host = serving().await;
    let good = saying("greet", "two", 200);
    assert_names(&refused(&host, "greet", b"hello".to_vec()).await, &["cannot be loaded"]);
    assert_names(&refused(&host, "greet", Vec::new()).await, &["cannot be loaded"]);
    let core = wat::parse_str("(module)").expect("a module");
    assert_names(
        &refused(&host, "greet", core).await,
        &["core module", "wasm32-wasip2", "wharf build"],
    );
    for end in [9, good.len() / 2, good.len() - 1] {
        refused(&host, "greet", good[..end].to_vec()).await;
    }
    let mut altered = good.clone();
    for place in (8..good.len()).step_by(97) {
        altered[place] ^= 0x55;
    }
    refused(&host, "greet", altered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_granted() {
    let host = serving().await;
    let reason = refused(&host, "hostile", guests::bare("hostile")).await;
    assert_names(
        &reason,
        &["imports wharf:plugin/", "tenant acme has not been granted", "wharf grant acme"],
    );
    let manifest = "group = \"hostile\"\ngrants = [\"log\"]\n";
    let reason = refused(&host, "hostile", with_manifest(&guests::bare("hostile"), manifest)).await;
    assert_names(&reason, &["its manifest does not ask for", "grants in wharf-plugin.toml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_another_group_has() {
    let host = serving().await;
    let reason = refused(&host, "hello", saying("greet", "two", 200)).await;
    assert_names(
        &reason,
        &["GET /greet is taken by group greet of tenant acme", "wharf remove greet --tenant acme"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_world() {
    let host = serving().await;
    let empty = wat::parse_str("(component)").expect("a component");
    assert_names(
        &refused(&host, "empty", empty).await,
        &["exports nothing", "wharf:plugin/handler@0.1.0", "wit/"],
    );
    let other = raw::of_world(
        "package wharf:plugin@0.1.0; interface handler { routes: func() -> list<string>; handle: func(path: string) -> u32; } world w { export handler; }",
        r#"(module (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
            (func (export "wharf:plugin/handler@0.1.0#routes") (result i32) (i32.const 8))
            (func (export "wharf:plugin/handler@0.1.0#handle") (param i32 i32) (result i32) (i32.const 8)))"#,
    );
    let reason = refused(&host, "other", other).await;
    assert_names(
        &reason,
        &[
            "another world",
            "handle(path) (string) is not expected",
            "handle(request).body[] is missing",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_smoke_requests_and_manifests() {
    let host = serving().await;
    let component = saying("other", "one", 500);
    let with =
        |manifest: &str| with_manifest(&component, &format!("group = \"other\"\n{manifest}"));
    let reason =
        refused(&host, "other", with("grants = [\"log\"]\n[smoke]\npath = \"/other\"\n")).await;
    assert_names(&reason, &["smoke request GET /other", "status 500", "200 to 299"]);
    let reason =
        refused(&host, "other", with("grants = [\"log\"]\n[smoke]\npath = \"/else\"\n")).await;
    assert_names(&reason, &["none of its routes"]);
    let reason = refused(
        &host,
        "other",
        with("grants = [\"log\"]\n[settings.key]\nrequired = true\ndescription = \"The key.\"\n"),
    )
    .await;
    assert_names(&reason, &["needs the setting key", "wharf setting acme other key="]);
    let reason = refused(&host, "other", with("grant = []\n")).await;
    assert_names(&reason, &["`grant`", "`grants`"]);
    let reason =
        refused(&host, "other", with("grants = [\"log\"]\n[limits]\nmemory_bytes = 1000000000\n"))
            .await;
    assert_names(&reason, &["limits.memory_bytes", "operator"]);
    let reason = refused(&host, "greet", with("")).await;
    assert_names(&reason, &["--group"]);
    host.deploy(
        "acme",
        "other",
        with("grants = [\"log\"]\n[smoke]\npath = \"/other\"\nstatus = 500\n"),
    )
    .await
    .expect("it is as expected");
}
