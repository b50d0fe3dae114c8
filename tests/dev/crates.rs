//! Crates, which Cargo builds: what its compiler says is what developers see.

use super::Workshop;
use crate::support::Ask as _;
use crate::support::guests::root;

/// A workspace with two groups of a text each, `first` and `second`, which both depend on the crate `words`.
fn workspace() -> Workshop {
    let workshop = Workshop::new();
    workshop.write(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"components/*\", \"words\"]\n",
    );
    // The versions of the repository, so that nothing is downloaded and hardly anything is built.
    let lock = std::fs::read(root().join("Cargo.lock")).expect("the repository has one");
    workshop.write("Cargo.lock", lock);
    let package = |name: &str| {
        format!("[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n")
    };
    workshop.write("words/Cargo.toml", package("words"));
    say(&workshop, "hello");
    let kit = root().join("components/kit");
    let kit = kit.display();
    for group in ["first", "second"] {
        let dependencies = format!(
            "[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nwharf-kit = {{ path = \"{kit}\" }}\nwords = {{ path = \"../../words\" }}\n"
        );
        workshop.write(&format!("components/{group}/Cargo.toml"), package(group) + &dependencies);
        let manifest = format!("group = {group:?}\ngrants = [\"log\"]\n");
        workshop.write(&format!("components/{group}/wharf-plugin.toml"), manifest);
        handle(&workshop, group, "words::HELLO");
    }
    workshop
}

/// What both groups say.
fn say(workshop: &Workshop, text: &str) {
    let source = format!("//! Words.\n\n/// A greeting.\npub const HELLO: &str = {text:?};\n");
    workshop.write("words/src/lib.rs", source);
}

/// Has a group answer with what an expression says: the smallest guest of this repository, and one line.
fn handle(workshop: &Workshop, group: &str, expression: &str) {
    let hello = std::fs::read_to_string(root().join("tests/guests/hello/src/lib.rs"));
    let source = hello.expect("a guest").replace("/hello", &format!("/{group}"));
    let body = "b\"hello\".to_vec()";
    assert!(source.contains(body), "what the guest answers has moved");
    let source = source.replace(body, "said().as_bytes().to_vec()");
    let said = format!("\nfn said() -> &'static str {{\n    {expression}\n}}\n");
    workshop.write(&format!("components/{group}/src/lib.rs"), source + &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_compiler_says_is_shown_until_the_group_builds_again() {
    let mut workshop = workspace();
    workshop.start();
    assert_eq!(workshop.text("/first").await, "hello");
    // One group's source: the other is not built.
    handle(&workshop, "first", "concat!(\"good \", \"day\")");
    workshop.until_said("first@");
    assert_eq!(workshop.text("/first").await, "good day");
    let second = workshop.get("/second").answer().await;

    handle(&workshop, "first", "\"<b>\".len()");
    let told = workshop.until("/first", 500).await.json();
    let diagnostics = told["diagnostics"].as_str().expect("text");
    let as_rustc = "error[E0308]: mismatched types\n  --> components/first/src/lib.rs:";
    let source = "\"<b>\".len()\n   |     ^^^^^^^^^^^ expected `&str`, found `usize`";
    for words in [as_rustc, source, "could not compile `first`"] {
        assert!(diagnostics.contains(words), "{words} in: {diagnostics}");
        assert!(workshop.errors().contains(words), "{words} in: {}", workshop.errors());
    }
    assert!(!diagnostics.contains('\u{1b}'), "{diagnostics}");
    let page = workshop.get("/first").header("accept", "text/html").answer().await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.body.contains("mismatched types") && page.body.contains("&quot;&lt;b&gt;&quot;"));
    let last = workshop.get("/first").header("x-wharf-revision", "last-good").answer().await;
    assert_eq!((last.status.as_u16(), last.body.as_str()), (200, "good day"));
    let same = workshop.get("/second").answer().await;
    assert_eq!(same.header("x-wharf-revision"), second.header("x-wharf-revision"));

    handle(&workshop, "first", "words::HELLO");
    workshop.until_said("first@");
    assert_eq!(workshop.text("/first").await, "hello");
    assert_eq!(workshop.running().printed.matches("second@").count(), 1, "only at the start");

    // What both are made of: both are built.
    say(&workshop, "welcome");
    workshop.until_said("first@");
    workshop.until_said("second@");
    for path in ["/first", "/second"] {
        assert_eq!(workshop.text(path).await, "welcome");
    }
}
