//! Which folders and files lead to a build, and which do not.

use super::Workshop;
use crate::support::Ask as _;

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_saved_is_built() {
    let mut workshop = Workshop::serving(&["first", "second"]);
    for which in ["two", "one"] {
        workshop.save("second", which);
        workshop.until_said("second@");
        assert_eq!(workshop.text("/second").await, which);
    }
    assert_eq!((workshop.builds("first"), workshop.builds("second")), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_and_what_git_ignores_build_nothing() {
    let mut workshop = Workshop::new();
    workshop.group("first", &["log"]);
    workshop.group("second", &["log"]);
    workshop.write("components/first/.gitignore", "*.log\n/generated/\n");
    workshop.start();
    for output in [
        "first.wasm",
        "build.log",
        "generated/code",
        "target/debug/x",
        "node_modules/a/b.js",
        ".hidden",
    ] {
        workshop.write(&format!("components/first/{output}"), "something else");
    }
    // Written without a change.
    workshop.save("first", "one");
    // When this is served, the others would have been built.
    workshop.save("second", "two");
    workshop.until_said("second@");
    assert_eq!(workshop.builds("first"), 1);
    // A new folder among the sources, and what is written there later.
    workshop.write("components/first/part/of/it", "1");
    workshop.save("second", "one");
    workshop.until_said("second@");
    assert_eq!(workshop.builds("first"), 2);
    workshop.write("components/first/part/of/it", "2");
    workshop.save("second", "two");
    workshop.until_said("second@");
    assert_eq!(workshop.builds("first"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_come_and_go_with_their_folders() {
    let mut workshop = Workshop::serving(&["stays", "goes"]);
    workshop.group("comes", &["log"]);
    workshop.until_said("comes@");
    assert_eq!(workshop.text("/comes").await, "one");
    std::fs::remove_dir_all(workshop.path("components/goes")).expect("it is there");
    workshop.until_said("goes is gone");
    assert_eq!(workshop.get("/goes").answer().await.status, 404);
    // Another name is another group.
    let manifest = std::fs::read_to_string(workshop.path("components/comes/wharf-plugin.toml"));
    let manifest =
        manifest.expect("a manifest").replace("group = \"comes\"", "group = \"renamed\"");
    workshop.write("components/comes/wharf-plugin.toml", manifest);
    workshop.until_said("renamed@");
    let answer = workshop.get("/comes").answer().await;
    assert!(answer.header("x-wharf-revision").starts_with("renamed@"), "{answer:?}");
    assert_eq!(workshop.text("/stays").await, "one");
}
