//! The program as operators start it: what it prints, how it fails, how it stops.

mod compiling;
mod drain;
mod files;
mod help;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::guests::{self, wharf};
use crate::support::serving::{Serving, serve};
use crate::support::{Ask as _, change_schema, postgres};

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// That it ends with exit code 1 and one sentence on standard error that holds these words.
#[track_caller]
pub fn assert_refused(command: &mut Command, words: &[&str]) {
    let Output { status, stderr, .. } =
        command.args(["--log", "off"]).env("RUST_BACKTRACE", "1").output().expect("wharf runs");
    let error = String::from_utf8(stderr).expect("text");
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(
        error.starts_with("error: ") && error.trim_end().lines().count() == 1,
        "one sentence: {error}"
    );
    for word in words {
        assert!(error.contains(word), "{word:?} in: {error}");
    }
    assert!(!error.contains("panicked"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_password_is_printed_once_and_works() {
    let folder = folder();
    let serving = Serving::start(serve(folder.path(), &guests::built_in()));
    let line = serving
        .printed
        .lines()
        .find(|line| line.contains("password"))
        .expect("a password")
        .to_owned();
    let password =
        line.split_whitespace().find(|word| word.len() == 16).expect("16 characters").to_owned();
    let login = format!("{}/api/auth/login?username=admin&password={password}", serving.url);
    assert_eq!(reqwest::Client::new().post(login).answer().await.code(), 20001);
    serving.stop("TERM");
    let again = Serving::start(serve(folder.path(), &guests::built_in()));
    assert!(!again.printed.contains("password"), "{}", again.printed);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_unless_the_operator_says_otherwise() {
    let folder = folder();
    let limit = async |command: Command| {
        let serving = Serving::start(command);
        let answer = reqwest::Client::new().get(format!("{}/captcha", serving.url)).answer().await;
        answer
            .headers
            .get("x-ratelimit-limit")
            .map(|limit| limit.to_str().expect("text").to_owned())
    };
    assert_eq!(limit(serve(folder.path(), &guests::built_in())).await.as_deref(), Some("60"));
    let settings = folder.path().join("wharf.toml");
    std::fs::write(&settings, "throttle.enabled = false\n").expect("the folder is writable");
    let mut command = serve(folder.path(), &guests::built_in());
    command.arg("--config").arg(&settings);
    assert_eq!(limit(command).await, None);
}

#[test]
fn settings_of_realms_are_checked() {
    let folder = folder();
    let settings = folder.path().join("wharf.toml");
    for (text, words) in [
        (
            "realms.store.zone = \"Asia/Shanhai\"",
            &["realms.store.zone", "Asia/Shanhai", "+08:00"][..],
        ),
        ("realms.store.invitations = \"maybe\"", &["line 1", "required"][..]),
        ("realms.store.zones = \"UTC\"", &["line 1", "zones"][..]),
    ] {
        std::fs::write(&settings, text).expect("the folder is writable");
        let mut command = serve(folder.path(), &guests::built_in());
        assert_refused(command.arg("--config").arg(&settings), words);
    }
}

#[test]
fn a_made_up_password_is_not_lost_to_a_first_start_that_fails() {
    let folder = folder();
    let nothing = folder.path().join("nothing");
    assert_refused(&mut serve(folder.path(), &nothing), &["nothing", "wharf build"]);
    let serving = Serving::start(serve(folder.path(), &guests::built_in()));
    assert!(serving.printed.contains("password"), "{}", serving.printed);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_never_printed() {
    let folder = folder();
    let mut command = serve(folder.path(), &guests::built_in());
    command.env("WHARF_ADMIN_PASSWORD", "a-very-secret-1").args(["--log", "trace"]);
    let serving = Serving::start(command);
    let client = reqwest::Client::new();
    let login = format!("{}/api/auth/login?username=admin&password=a-very-secret-1", serving.url);
    let answer = client.post(login).answer().await;
    let token = answer.data()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(
        client.get(format!("{}/api/auth/me?token={token}", serving.url)).answer().await.code(),
        20001
    );
    let key_file = folder.path().join("data/keys/tokens.key");
    let key = std::fs::read_to_string(&key_file).expect("the key");
    let mode =
        |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&key_file), mode(&folder.path().join("data"))), (0o600, 0o700));
    let (_, printed) =
        tokio::task::spawn_blocking(move || serving.stop("TERM")).await.expect("it stops");
    assert!(printed.contains("answered"), "the log was on: {printed}");
    for secret in ["a-very-secret-1", &token, key.trim(), "$argon2id"] {
        assert!(!printed.contains(secret), "{secret} was printed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_is_logged_with_all_that_is_needed_to_find_it() {
    let folder = folder();
    let serving = Serving::start(serve(folder.path(), &guests::guest("hostile")));
    let client = reqwest::Client::new();
    let answer = client.get(format!("{}/trap", serving.url)).answer().await;
    let printing = client.get(format!("{}/print", serving.url)).answer().await;
    let chatter = client.get(format!("{}/log", serving.url)).answer().await;
    let (trapped, printer) =
        (answer.header("x-request-id").to_owned(), printing.header("x-request-id").to_owned());
    assert_eq!(chatter.status, 200);
    let (_, printed) =
        tokio::task::spawn_blocking(move || serving.stop("TERM")).await.expect("it stops");
    let line = printed.lines().find(|line| line.contains("a component failed")).expect("a line");
    for part in [
        format!("request=\"{trapped}\""),
        "tenant=default".into(),
        "component=hostile".into(),
        "digest=".into(),
        "blame=\"guest\"".into(),
        "cause=".into(),
        "backtrace=\"".into(),
        "hostile::trap::fails".into(),
        "unreachable".into(),
    ] {
        assert!(line.contains(&part), "{part} in: {line}");
    }
    let said =
        printed.lines().find(|line| line.contains("on purpose")).expect("the panic's message");
    assert!(said.contains(&trapped), "{said}");
    let line = printed
        .lines()
        .find(|line| line.contains("printed by the guest"))
        .expect("the guest's line");
    assert!(line.contains(&printer), "{line}");
    // Line breaks are escaped, so that a guest cannot forge a line, and there is an end to it.
    assert!(!printed.lines().any(|line| line.starts_with("1970")), "a forged line");
    assert!(printed.contains("more log lines of this request are dropped"));
    assert!(printed.len() < 500_000, "{} bytes", printed.len());
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &["serve", "--listen", "nowhere"][..],
        &["serve", "--unknown"],
        &["unknown"],
        &[],
        &["serve", "--log-format", "xml"],
    ] {
        let output = wharf().args(arguments).output().expect("wharf runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn components_that_cannot_be_served_are_refused() {
    let folder = folder();
    let put = |name: &str, bytes: &[u8]| {
        let place = folder.path().join(name);
        std::fs::create_dir_all(&place).expect("a folder");
        std::fs::write(place.join("broken.wasm"), bytes).expect("a file");
        place
    };
    let refused = |components: &Path, words: &[&str]| {
        assert_refused(&mut serve(folder.path(), components), words);
    };
    refused(&folder.path().join("missing"), &["missing", "wharf build"]);
    std::fs::create_dir_all(folder.path().join("empty")).expect("a folder");
    refused(&folder.path().join("empty"), &["empty", "no .wasm file", "wharf build"]);
    refused(&put("bytes", b"not wasm at all"), &["broken", "not a valid component"]);
    refused(&put("nothing", b""), &["broken", "not a valid component"]);
    refused(&put("core", b"\0asm\x01\0\0\0"), &["broken", "core module", "wasm32-wasip2"]);
    refused(
        &put("world", b"\0asm\x0d\0\x01\0"),
        &["broken", "wharf:plugin/handler@0.1.0", "another world"],
    );
    let whole = std::fs::read(guests::built_in().join("users.wasm")).expect("a component");
    refused(&put("truncated", &whole[..whole.len() / 2]), &["broken", "not a valid component"]);
}

#[test]
fn an_import_that_is_not_offered_is_named() {
    let folder = folder();
    let wat = r#"(component (import "acme:rockets/launch@1.0.0" (instance (export "go" (func)))))"#;
    let place = folder.path().join("components");
    std::fs::create_dir_all(&place).expect("a folder");
    std::fs::write(place.join("rocket.wasm"), wat::parse_str(wat).expect("a component"))
        .expect("a file");
    assert_refused(
        &mut serve(folder.path(), &place),
        &["rocket", "acme:rockets/launch@1.0.0", "wit/"],
    );
}

#[test]
fn two_components_that_claim_one_route_are_named() {
    let folder = folder();
    let hello = guests::bare("hello");
    std::fs::write(folder.path().join("first.wasm"), &hello).expect("a file");
    std::fs::write(folder.path().join("second.wasm"), &hello).expect("a file");
    assert_refused(
        &mut serve(folder.path(), folder.path()),
        &["first", "second", "GET /hello", "remove one"],
    );
}

#[test]
fn an_import_without_a_grant_is_named_with_what_grants_it() {
    let folder = folder();
    let settings = folder.path().join("wharf.toml");
    std::fs::write(
        &settings,
        "[groups.users]\ngrants = [\"log\", \"database\", \"clock\", \"settings\", \"tokens\"]\n",
    )
    .expect("a file");
    let mut command = serve(folder.path(), &guests::built_in());
    assert_refused(
        command.arg("--config").arg(&settings),
        &["users", "wharf:plugin/passwords", "grants in [groups.users]"],
    );
}

#[test]
fn settings_that_cannot_be_read_are_named() {
    let folder = folder();
    let settings = folder.path().join("wharf.toml");
    for (text, words) in [
        ("[htp]\n", &["line 1", "`htp`; the nearest is `http`"][..]),
        (
            "listen = \"127.0.0.1:0\"\n[http]\nheader_secon = 1\n",
            &["line 3", "the nearest is `header_seconds`"],
        ),
        ("[limits]\nmemory_byte = 1\n", &["line 2", "the nearest is `memory_bytes`"]),
        ("[groups.users.limits]\nmemory_byte = 1\n", &["the nearest is `memory_bytes`"]),
        ("[limits]\nmemory_bytes = \"many\"\n", &["line 2", "memory_bytes", "wharf.example.toml"]),
        ("listen = \n", &["line 1"]),
        ("[groups.nobody]\n", &["groups.nobody", "nobody.wasm"]),
        ("[groups.users]\ngrants = [\"everything\"]\n", &["line 2", "everything"]),
        // What follows from a seed is no secret: only `wharf test` has it, and no file can ask for it.
        ("[testing]\nseed = 1\n", &["line 1", "testing"]),
    ] {
        std::fs::write(&settings, text).expect("a file");
        let mut command = serve(folder.path(), &guests::built_in());
        assert_refused(command.arg("--config").arg(&settings), words);
    }
    let mut command = serve(folder.path(), &guests::built_in());
    assert_refused(
        command.args(["--config", "/nowhere/wharf.toml"]),
        &["/nowhere/wharf.toml", "--config"],
    );
}

#[test]
fn crates_of_one_name_are_told_apart() {
    let folder = folder();
    let write = |place: &str, word: &str| {
        let source = format!(
            "#[unsafe(no_mangle)]\npub extern \"C\" fn said() -> *const u8 {{\n    c\"the {word} twin\".as_ptr().cast()\n}}\n"
        );
        let manifest = "[package]\nname = \"twin\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
        let place = folder.path().join(place);
        std::fs::create_dir_all(place.join("src")).expect("a folder");
        std::fs::write(place.join("Cargo.toml"), manifest).expect("a file");
        std::fs::write(place.join("src/lib.rs"), source).expect("a file");
        place
    };
    let twins = [("first", write("one/twin", "first")), ("second", write("other/twin", "second"))];
    for (word, place) in twins.iter().chain(&twins) {
        let mut build = guests::wharf();
        build.arg("build").arg(place).args(["--components", "built"]).current_dir(folder.path());
        let output = build.output().expect("wharf runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let built = std::fs::read(folder.path().join("built/twin.wasm")).expect("a component");
        let said = format!("the {word} twin");
        assert!(built.windows(said.len()).any(|bytes| bytes == said.as_bytes()), "{said}");
    }
}

#[test]
fn the_example_shows_every_default() {
    let example = wharf::Config::read(&guests::root().join("wharf.example.toml"))
        .expect("the example is valid");
    assert_eq!(format!("{:?}", example.shown()), format!("{:?}", wharf::Config::default().shown()));
}

#[test]
fn a_busy_port_is_named() {
    let busy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = busy.local_addr().expect("an address").to_string();
    let folder = folder();
    let mut command = wharf();
    command
        .args(["serve", "--listen", &address])
        .arg("--data")
        .arg(folder.path())
        .arg("--components")
        .arg(guests::built_in());
    assert_refused(&mut command, &[&address, "--listen"]);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    // A file stands where the folder should be: root may write everywhere else.
    let folder = folder();
    std::fs::write(folder.path().join("data"), "").expect("a file");
    assert_refused(&mut serve(folder.path(), &guests::built_in()), &["data", "--data"]);
}

#[test]
fn a_database_that_does_not_answer_is_named_without_its_password() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let folder = folder();
    let settings = folder.path().join("wharf.toml");
    std::fs::write(&settings, "[sql]\nwait_milliseconds = 300\n").expect("a file");
    for (url, words) in [
        (
            format!("postgres://wharf:hidden-password@{free}/wharf"),
            vec![free.to_string(), "--database".into()],
        ),
        ("postgres://wharf:hidden-password@host:99999999/wharf".into(), vec!["URL".into()]),
        ("mysql://wharf:hidden-password@host/wharf".into(), vec!["postgres://".into()]),
    ] {
        let mut command = serve(folder.path(), &guests::built_in());
        command.arg("--config").arg(&settings).env("WHARF_DATABASE_URL", url);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_refused(&mut command, &words);
        let output = command.output().expect("wharf runs");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hidden-password"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_newer_is_refused() {
    let folder = folder();
    let future = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) SELECT 9999, 'future', TRUE, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    for url in [None, postgres::fresh_database().await] {
        let start = || {
            let mut command = serve(folder.path(), &guests::built_in());
            if let Some(url) = &url {
                command.args(["--database", url]);
            }
            command
        };
        Serving::start(start()).stop("TERM");
        change_schema(url.as_deref(), &folder.path().join("data"), future).await;
        assert_refused(&mut start(), &["newer", "9999", "install a newer wharf"]);
    }
}

#[test]
fn captchas_are_revealed_on_loopback_alone() {
    let folder = folder();
    let mut command = wharf();
    command
        .args(["serve", "--listen", "0.0.0.0:0"])
        .arg("--data")
        .arg(folder.path())
        .arg("--components")
        .arg(guests::built_in());
    assert_refused(
        command.env("WHARF_CAPTCHA_REVEAL", "1"),
        &["WHARF_CAPTCHA_REVEAL", "0.0.0.0:0", "127.0.0.1"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_was_changed_is_compiled_anew() {
    let folder = folder();
    let components = guests::guest("hello");
    let cache = folder.path().join("cache");
    let start = || {
        let mut command = serve(folder.path(), &components);
        command.env("WHARF_CACHE", &cache);
        let arguments: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        let place = arguments.iter().position(|argument| argument == "--cache").expect("the flag");
        let mut own = wharf();
        own.args(&arguments[..place]).arg("--cache").arg(&cache);
        Serving::start(own)
    };
    start().stop("TERM");
    let artifact = std::fs::read_dir(&cache)
        .expect("the cache")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "cwasm"));
    let artifact = artifact.expect("an artifact");
    let mut bytes = std::fs::read(&artifact).expect("bytes");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&artifact, &bytes).expect("a file");
    let serving = start();
    assert_eq!(
        reqwest::get(format!("{}/hello", serving.url)).await.expect("an answer").status(),
        200
    );
    let (_, printed) =
        tokio::task::spawn_blocking(move || serving.stop("TERM")).await.expect("it stops");
    assert!(printed.contains("a stored artifact was changed"), "{printed}");
    assert_ne!(std::fs::read(&artifact).expect("bytes"), bytes, "it was replaced");
}

#[test]
fn build_names_what_is_no_component_crate() {
    assert_refused_build(&["components/kit"], &["components/kit", "cdylib"]);
    assert_refused_build(&["nowhere"], &["nowhere"]);
}

pub(crate) fn assert_refused_build(folders: &[&str], words: &[&str]) {
    let output = wharf().arg("build").args(folders).output().expect("wharf runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.starts_with("error: ") && words.iter().all(|word| error.contains(word)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_connections_are_taken_than_files_may_be_open() {
    for (limits, is_warned) in [("ulimit -n 300", true), ("ulimit -Sn 300", false)] {
        let folder = folder();
        let served = serve(folder.path(), &guests::guest("hello"));
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits} && exec \"$0\" \"$@\"")]);
        command.arg(served.get_program()).args(served.get_args()).current_dir(guests::root());
        let serving = Serving::start(command);
        let answer = reqwest::get(format!("{}/hello", serving.url)).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let (_, printed) = serving.stop("TERM");
        let warned = printed.contains("too few files for http.connections");
        assert_eq!(warned, is_warned, "{limits}: {printed}");
    }
}

#[test]
fn settings_of_http_that_nobody_could_be_served_with_are_named() {
    let folder = folder();
    let settings = folder.path().join("wharf.toml");
    for (setting, words) in [
        ("header_bytes = 0", "http.header_bytes is 0"),
        ("write_seconds = 9223372036854775807", "http.write_seconds is more than a year"),
    ] {
        std::fs::write(&settings, format!("[http]\n{setting}\n")).expect("a file");
        let mut command = serve(folder.path(), &guests::guest("hello"));
        assert_refused(command.env("WHARF_CONFIG", &settings), &[words]);
    }
}

/// Editors complete and check manifests by the file in the repository.
#[test]
fn the_schema_of_manifests_is_the_one_in_the_repository() {
    let printed = wharf().arg("schema").output().expect("wharf runs");
    let file = std::fs::read_to_string(guests::root().join("wharf-plugin.schema.json"));
    assert_eq!(
        String::from_utf8_lossy(&printed.stdout),
        file.expect("the schema"),
        "run: wharf schema > wharf-plugin.schema.json"
    );
    let schema: serde_json::Value = serde_json::from_slice(&printed.stdout).expect("JSON");
    for key in ["group", "grants", "tables", "settings", "smoke", "middleware"] {
        assert!(schema["properties"][key]["description"].is_string(), "{key} is described");
    }
    assert_eq!(schema["additionalProperties"], false);
}
