//! What keeps `wharf dev` from starting is told in one sentence, with what to do; and what `wharf serve` does not do.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use super::Workshop;
use crate::command_line::assert_refused;
use crate::support::{Ask as _, TestHost, guests};

#[test]
fn a_port_that_is_taken_is_named_before_anything_is_built() {
    let workshop = Workshop::new();
    workshop.group("greet", &["log"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = guests::wharf();
    command.arg("dev").arg(workshop.path("components")).args(["--listen", &address]);
    command.arg("--data").arg(workshop.path("data")).arg("--components").arg(workshop.path("out"));
    assert_refused(&mut command, &[&address, "--listen"]);
    assert_eq!(workshop.builds("greet"), 0);
}

#[test]
fn a_folder_that_makes_no_component_is_named() {
    let workshop = Workshop::new();
    workshop.write("file", "");
    workshop.write("library/Cargo.toml", "[package]\nname = \"library\"\n");
    for (folder, words) in [
        ("nowhere", &["nowhere is no folder", "name the folder of a component"][..]),
        ("file", &["file is no folder"]),
        ("components", &["components makes no component", "cdylib", "[build]"]),
        ("library", &["library makes no component", "cdylib", "[build]"]),
    ] {
        assert_refused(&mut workshop.command(&[folder]), words);
    }
    // Without a name, it is the current folder.
    let mut here = workshop.command(&[]);
    here.current_dir(workshop.path("library"));
    assert_refused(&mut here, &["the current folder makes no component", "name the folders"]);
}

#[test]
fn a_toolchain_that_is_missing_is_named() {
    let workshop = Workshop::new();
    let crate_type = "[package]\nname = \"one\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
    workshop.write("components/one/Cargo.toml", crate_type);
    let mut command = workshop.command(&["components"]);
    command.env("PATH", workshop.path("empty")).env_remove("CARGO").env_remove("RUSTC");
    assert_refused(&mut command, &["cannot run rustc", "rustup"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_current_folder_is_served_if_it_makes_a_component() {
    let mut workshop = Workshop::new();
    workshop.group("greet", &["log"]);
    let mut command = workshop.command(&[]);
    command.current_dir(workshop.path("components/greet"));
    workshop.serving = Some(crate::support::serving::Serving::start(command));
    assert_eq!(workshop.text("/greet").await, "one");
}

#[test]
fn stopping_ends_what_is_being_built() {
    let mut workshop = Workshop::serving(&["greet"]);
    let pipe = workshop.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    // Two processes: the shell, and the one that it has started, which reads until nobody writes any more.
    workshop.manifest("greet", &["log"], "cat ../../pipe > /dev/null; true");
    let mut pipe = File::options().write(true).open(pipe).expect("a build has begun");
    let (code, _) = workshop.serving.take().expect("it was started").stop("TERM");
    assert_eq!(code, Some(0));
    let until = Instant::now() + Duration::from_secs(10);
    while let Ok(()) = pipe.write_all(b"x") {
        assert!(Instant::now() < until, "somebody reads on");
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_name_their_revision_where_the_operator_says_so() {
    let marked = async |revision: Option<bool>, path: &str| {
        let host = TestHost::with(|config| {
            config.components = guests::guest("hostile");
            config.answers.revision = revision;
        });
        host.await.get(path).answer().await
    };
    assert!(!marked(None, "/print").await.headers.contains_key("x-wharf-revision"));
    for (path, status) in [("/print", 200), ("/trap", 500)] {
        let answer = marked(Some(true), path).await;
        assert_eq!(answer.status, status);
        assert!(answer.header("x-wharf-revision").starts_with("hostile@"), "{answer:?}");
    }
}
