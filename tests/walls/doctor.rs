//! `wharf doctor` on what is well and on what is not.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, SystemTime};

use serde_json::Value as Json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::support::{TestHost, guests};

fn doctor(host: &TestHost, components: &Path, more: &[&str]) -> Output {
    let mut command = host.wharf(&["doctor"]);
    command.arg("--components").arg(components).arg("--cache").arg(guests::cache());
    for (flag, address) in [("--listen", "127.0.0.1:0"), ("--admin", "127.0.0.1:0")] {
        if !more.contains(&flag) {
            command.args([flag, address]);
        }
    }
    command.args(more);
    command.output().expect("wharf doctor runs")
}

fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The texts of the findings that are wrong.
fn wrong(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    let found = json(output)["findings"].as_array().expect("findings").clone();
    let wrong = found.iter().filter(|finding| finding["state"] == "wrong");
    let text = |finding: &Json, name: &str| finding[name].as_str().expect("text").to_owned();
    let line = |finding: &Json| format!("{}: {}", text(finding, "about"), text(finding, "text"));
    wrong.map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_with_the_built_in_groups_on_sqlite() {
    assert_well(&TestHost::on_sqlite().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_with_the_built_in_groups_on_postgres() {
    if let Some(host) = TestHost::on_postgres().await {
        assert_well(&host);
    }
}

#[track_caller]
fn assert_well(host: &TestHost) {
    let output = doctor(host, &guests::built_in(), &["--json"]);
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    let groups = report["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 6);
    let addresses = &groups[0];
    assert_eq!(addresses["group"], "addresses");
    assert_eq!(addresses["digest"].as_str().expect("a digest").len(), 64);
    assert_eq!(addresses["tables"]["user_addresses"], "read, insert, update, delete");
    assert_eq!(addresses["tables"]["users"], "read");
    assert!(addresses["tables_from"].as_str().expect("text").ends_with("addresses.wasm"));
    // Every built-in component imports all that it asks for.
    let findings = report["findings"].to_string();
    assert!(!findings.contains("does not import"), "{findings}");
    let text = doctor(host, &guests::built_in(), &[]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("user_addresses (read, insert, update, delete), user_roles (read)"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_with_what_mends_it() {
    let host = TestHost::on_sqlite().await;
    let folder = host.folder().join("components");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("hostile.wasm"), guests::bare("hostile")).expect("a copy");
    std::fs::write(folder.join("broken.wasm"), b"no component").expect("a file");
    let data = host.folder().join("data");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let wrong = wrong(&doctor(&host, &folder, &["--json"]));
    for words in ["wharf:plugin/", "wharf-plugin.toml", "chmod 700", "component broken: "] {
        assert!(wrong.contains(words), "{words} is not in: {wrong}");
    }
    std::fs::write(folder.join("hostile.toml"), "group = \"hostile\"\ngrant = []\n")
        .expect("a file");
    assert!(self::wrong(&doctor(&host, &folder, &["--json"])).contains("`grants`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_grants_too_much_is_advised() {
    let host = TestHost::on_sqlite().await;
    let file = host.folder().join("wharf.toml");
    std::fs::write(&file, "[groups.captcha]\ngrants = [\"tokens\", \"cache\", \"throttle\", \"log\", \"clock\", \"random\", \"settings\"]\n[groups.captcha.tables]\nusers = \"read\"\n").expect("a file");
    let output =
        doctor(&host, &guests::built_in(), &["--json", "--config", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0));
    let report = json(&output);
    let findings = report["findings"].to_string();
    assert!(findings.contains("does not import tokens"), "{findings}");
    assert!(findings.contains("has been granted tables and not"), "{findings}");
    assert_eq!(report["groups"][2]["grants_from"], "configuration");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_on_postgres_that_somebody_made_mighty_are_found() {
    let Some(host) = TestHost::on_postgres().await else { return };
    let mut admin =
        PgConnection::connect(host.postgres().expect("PostgreSQL")).await.expect("it answers");
    let role: String = sqlx::query_scalar("SELECT DISTINCT grantee::regrole::text FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'tenant_default' AND grantee::regrole::text LIKE 'wharf\\_%\\_addresses'")
        .fetch_one(&mut admin)
        .await
        .expect("the role of addresses");
    let statement = format!("GRANT pg_read_all_data TO {role}");
    admin.execute(AssertSqlSafe(statement)).await.expect("the role is made mighty");
    let wrong = wrong(&doctor(&host, &guests::built_in(), &["--json"]));
    assert!(wrong.contains(&role) && wrong.contains("DROP ROLE"), "{wrong}");
}

/// What is said about something; empty if nothing is.
fn said(output: &Output, about: &str) -> (String, String) {
    let report = json(output);
    let found = report["findings"].as_array().expect("findings");
    let said = found.iter().find(|finding| finding["about"].as_str() == Some(about));
    let text = |name: &str| said.and_then(|it| it[name].as_str()).unwrap_or_default().to_owned();
    (text("state"), text("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_cannot_be_listened_on_are_found() {
    let host = TestHost::on_sqlite().await;
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    // It takes nobody in, as many a program does that is asked for what it does not know.
    stranger.set_nonblocking(true).expect("a listener");
    let taken = stranger.local_addr().expect("an address").to_string();
    let own = host.address().to_string();
    let admin = host.admin_origin().replace("http://", "");
    let ask =
        |flag: &str, address: &str| doctor(&host, &guests::built_in(), &["--json", flag, address]);
    let output = ask("--listen", &taken);
    assert_eq!(output.status.code(), Some(1));
    let (state, text) = said(&output, &format!("address {taken}"));
    assert!(state == "wrong" && text.contains("another program"), "{text}");
    assert!(text.contains("--listen"), "{text}");
    let (state, text) = said(&ask("--admin", &taken), &format!("address of the admin API {taken}"));
    assert!(state == "wrong" && text.contains("--admin"), "{text}");
    // Where this very host listens, all is well.
    let (state, text) = said(&ask("--listen", &own), &format!("address {own}"));
    assert!(state == "well" && text.contains("a wharf answers"), "{text}");
    let (state, _) = said(&ask("--admin", &admin), &format!("address of the admin API {admin}"));
    assert_eq!(state, "well");
    let nowhere = "192.0.2.1:8080";
    let (state, text) = said(&ask("--listen", nowhere), &format!("address {nowhere}"));
    assert!(state == "wrong" && text.contains("none of this machine"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_stands_before_what_was_written_is_found() {
    let host = TestHost::on_sqlite().await;
    let ask = || doctor(&host, &guests::built_in(), &["--json"]);
    assert_eq!(said(&ask(), "clock").0, "well");
    let file = File::options().append(true).open(host.data().join("keys/tokens.key"));
    let later = SystemTime::now() + Duration::from_hours(1);
    file.and_then(|file| file.set_modified(later)).expect("the file's time is set");
    let output = ask();
    let (state, text) = said(&output, "clock");
    assert!(state == "wrong" && text.contains("tokens.key") && text.contains("set-ntp"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_databases_clock_is_looked_at() {
    let Some(host) = TestHost::on_postgres().await else { return };
    let (state, text) = said(&doctor(&host, &guests::built_in(), &["--json"]), "clock");
    assert!(state == "well" && text.contains("the database's"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_found() {
    let host = TestHost::on_sqlite().await;
    let nothing = host.folder().join("none.pem");
    let nothing = nothing.to_str().expect("UTF-8");
    let more = ["--json", "--tls-certificate", nothing, "--tls-key", nothing];
    let (state, text) = said(&doctor(&host, &guests::built_in(), &more), "certificate");
    assert!(state == "wrong" && text.contains("none.pem"), "{text}");
}

/// A component's sources are its crate, and the crates by path that this one depends on.
#[tokio::test(flavor = "multi_thread")]
async fn components_that_are_older_than_their_sources_or_of_another_compiler_are_found() {
    let host = TestHost::on_sqlite().await;
    let folder = host.folder().join("components");
    std::fs::create_dir(&folder).expect("a folder");
    let hello = folder.join("hello.wasm");
    std::fs::copy(guests::guest("hello").join("hello.wasm"), &hello).expect("a copy");
    let ask = || {
        let output = doctor(&host, &folder, &["--json", "tests/guests/hello"]);
        let found = json(&output)["findings"].as_array().expect("findings").clone();
        let text = |finding: &Json| finding["text"].as_str().expect("text").to_owned();
        let state = |finding: &Json| finding["state"].as_str().expect("text").to_owned();
        let of_hello = found.iter().filter(|finding| finding["about"] == "component hello");
        of_hello.map(|finding| format!("{}: {}", state(finding), text(finding))).collect::<Vec<_>>()
    };
    let at = |time: SystemTime| {
        let file = File::options().append(true).open(&hello).expect("the component");
        file.set_modified(time).expect("the file's time is set");
    };
    at(SystemTime::now());
    assert!(ask().contains(&"well: is what its sources say".to_owned()), "{:?}", ask());
    // Before the kit was written, which it depends on by path.
    let kit = guests::root().join("components/kit/Cargo.toml");
    let kit = std::fs::metadata(kit).and_then(|file| file.modified()).expect("the kit");
    at(kit - Duration::from_secs(1));
    let said = ask();
    let older = said.iter().find(|text| text.contains("is older than")).expect("a finding");
    assert!(older.starts_with("advice: ") && older.contains("wharf build"), "{older}");
    let bytes = std::fs::read(&hello).expect("the component");
    let rustc = b"\x05rustc\x1d";
    let version = bytes.windows(rustc.len()).position(|it| it == rustc).expect("its compiler");
    let mut other = bytes.clone();
    other[version + rustc.len()] = b'0';
    std::fs::write(&hello, other).expect("a file");
    let said = ask();
    assert!(said.iter().any(|text| text.contains("was built by rustc 0.")), "{said:?}");
    let nothing = doctor(&host, &folder, &["--json", "nowhere"]);
    assert_eq!(self::said(&nothing, "nowhere").0, "wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_toolchain_that_is_missing_or_too_old_is_named() {
    let host = TestHost::on_sqlite().await;
    let rustc = host.folder().join("rustc");
    let ask = || {
        let mut command = host.wharf(&["doctor", "--json", "--listen", "127.0.0.1:0"]);
        command.args(["--admin", "off", "--components"]).arg(guests::built_in());
        command.arg("--cache").arg(guests::cache()).env("RUSTC", &rustc);
        said(&command.output().expect("wharf doctor runs"), "toolchain")
    };
    let (state, text) = ask();
    assert!(state == "advice" && text.contains("install Rust with rustup"), "{text}");
    let with = |script: &str| {
        std::fs::write(&rustc, format!("#!/bin/sh\n{script}\n")).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&rustc, mode).expect("a mode");
        ask()
    };
    let (state, text) = with("echo rustc 1.60.0");
    assert!(state == "advice" && text.contains("rustup update"), "{text}");
    let (state, text) = with("[ \"$1\" = --version ] && echo rustc 9.0.0");
    assert!(state == "advice" && text.contains("rustup target add wasm32-wasip2"), "{text}");
}
