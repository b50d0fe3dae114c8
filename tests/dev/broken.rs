//! What is wrong with a group's newest sources is what it answers, until that is mended.

use serde_json::json;

use super::Workshop;
use crate::support::guests::guest;
use crate::support::{Answer, Ask as _};

/// What a browser accepts that is to show a page.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_check_is_answered_like_a_compile_error() {
    let mut workshop = Workshop::serving(&["greet"]);
    let good = workshop.get("/greet").answer().await.header("x-wharf-revision").to_owned();
    let build = "cp ../../made/greet-two.wasm greet.wasm";
    workshop.manifest("greet", &["clock"], build);
    let answer = workshop.until("/greet", 500).await.json();
    assert_eq!(answer["group"], "greet");
    let message = answer["message"].as_str().expect("text");
    for words in ["imports wharf:plugin/log", "has not been granted", "wharf-plugin.toml"] {
        assert!(message.contains(words), "{words} in: {message}");
        assert!(workshop.errors().contains(words), "{words} in: {}", workshop.errors());
    }
    let last = workshop.get("/greet").header("x-wharf-revision", "last-good").answer().await;
    assert_eq!((last.body.as_str(), last.header("x-wharf-revision")), ("one", good.as_str()));
    workshop.manifest("greet", &["log"], build);
    workshop.until_said("greet@");
    assert_eq!(workshop.text("/greet").await, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_command_is_shown_as_a_page_that_cannot_be_written_by_what_it_said() {
    let mut workshop = Workshop::serving(&["greet", "other"]);
    let said = r"printf '\033[31m<script>alert(1)</script>\033[0m & more\n'; exit 3";
    workshop.manifest("greet", &["log"], said);
    workshop.until("/greet", 500).await;
    let page = workshop.get("/greet").header("accept", BROWSER).answer().await;
    assert_eq!(
        (page.status.as_u16(), page.header("content-type")),
        (500, "text/html; charset=utf-8")
    );
    for words in [
        "component greet does not build",
        "ended with",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "&amp; more",
        "<span style='color:",
    ] {
        assert!(page.body.contains(words), "{words} in: {}", page.body);
    }
    assert!(!page.body.contains("<script>alert") && !page.body.contains('\u{1b}'), "{}", page.body);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let told = workshop.get("/greet").answer().await;
    assert_eq!(told.json()["diagnostics"], "<script>alert(1)</script> & more\n");
    assert_eq!(told.header("x-wharf-broken"), page.header("x-wharf-broken"));
    // Programs that would take a page as well get what they can read.
    let both =
        workshop.get("/greet").header("accept", "application/json, text/html").answer().await;
    assert_eq!(both.header("content-type"), "application/json");
    // A page is loaded anew when something else is wrong. What is sent is not sent again for that.
    assert!(page.body.contains("setInterval"));
    workshop.manifest("greet", &["log"], "echo otherwise; exit 4");
    let marked = |answer: &Answer| answer.header("x-wharf-broken").to_owned();
    let mut now = workshop.get("/greet").answer().await;
    while marked(&now) == marked(&told) {
        now = workshop.get("/greet").answer().await;
    }
    assert_eq!(now.json()["diagnostics"], "otherwise\n");
    // Nobody else is concerned.
    assert_eq!(workshop.text("/other").await, "one");
    workshop.manifest("greet", &["log"], "cp ../../made/greet-one.wasm greet.wasm");
    workshop.until_said("greet@");
    assert_eq!(workshop.text("/greet").await, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typo_in_a_manifest_names_the_nearest_key() {
    for (line, nearest) in [
        ("grant = [\"log\"]", "unknown field `grant`; the nearest is `grants`"),
        ("grants = [\"databse\"]", "unknown variant `databse`; the nearest is `database`"),
        ("settings.zone.typ = \"string\"", "unknown field `typ`; the nearest is `type`"),
    ] {
        let workshop = Workshop::serving(&["greet"]);
        let manifest = format!("group = \"greet\"\n{line}\n");
        workshop.write("components/greet/wharf-plugin.toml", &manifest);
        let answer = workshop.until("/greet", 500).await;
        let message = answer.json()["message"].as_str().expect("text").to_owned();
        for words in ["greet/wharf-plugin.toml", "line 2", nearest] {
            assert!(message.contains(words), "{words} in: {message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_never_built_keeps_no_other_from_being_served() {
    let mut workshop = Workshop::new();
    workshop.group("greet", &["log"]);
    workshop.group("late", &["log"]);
    workshop.manifest("late", &["log"], "echo not yet >&2; false");
    workshop.write("components/typo/wharf-plugin.toml", "groups = \"typo\"\n");
    workshop.start();
    assert_eq!(workshop.text("/greet").await, "one");
    assert_eq!(workshop.get("/late").answer().await.status, 404);
    let errors = workshop.errors();
    for words in [
        "not yet",
        "component late does not build",
        "is not served until",
        "typo/wharf-plugin.toml",
    ] {
        assert!(errors.contains(words), "{words} in: {errors}");
    }
    workshop.manifest("late", &["log"], "cp ../../made/late-two.wasm late.wasm");
    workshop.until_said("late@");
    assert_eq!(workshop.text("/late").await, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_tried_again_when_another_group_has_changed() {
    let mut workshop = Workshop::new();
    workshop.group("first", &["log"]);
    // The same route, in another group.
    workshop.write("components/second/which", "first-two");
    workshop.manifest("second", &["log"], "cp ../../made/$(cat which).wasm second.wasm");
    workshop.start();
    assert_eq!(workshop.text("/first").await, "one");
    let errors = workshop.errors();
    assert!(errors.contains("GET /first is taken by group first"), "{errors}");
    std::fs::remove_dir_all(workshop.path("components/first")).expect("it is there");
    workshop.until_said("first is gone");
    workshop.until_said("second@");
    assert_eq!(workshop.text("/first").await, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_call_a_broken_one_reach_its_last_good_revision_for_who_asks_for_it() {
    let mut workshop = Workshop::new();
    workshop.group("greet", &["log"]);
    let relay = std::fs::read(guest("relay").join("relay.wasm")).expect("a component");
    workshop.write("made/relay.wasm", relay);
    let manifest = "group = \"relay\"\ngrants = [\"outbound\", \"blobs\", \"log\"]\noutbound = [\"self\"]\n[build]\ncommand = \"cp ../../made/relay.wasm relay.wasm\"\noutput = \"relay.wasm\"\n";
    workshop.write("components/relay/wharf-plugin.toml", manifest);
    workshop.start();
    workshop.manifest("greet", &["log"], "false");
    workshop.until("/greet", 500).await;
    let url = format!("{}/relay", workshop.running().url);
    let asked = json!({ "method": "GET", "url": "http://self/greet" });
    let relayed = workshop.client.post(&url).json(&asked).answer().await.json();
    assert_eq!(relayed["status"], 500, "{relayed}");
    assert!(relayed["body"].as_str().is_some_and(|body| body.contains("\"group\":\"greet\"")));
    let asking = workshop.client.post(&url).json(&asked).header("x-wharf-revision", "last-good");
    let relayed = asking.answer().await.json();
    assert_eq!((&relayed["status"], &relayed["body"]), (&json!(200), &json!("one")), "{relayed}");
}
