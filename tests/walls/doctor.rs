//! `wharf doctor` on what is well and on what is not.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use serde_json::Value as Json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::support::{TestHost, guests};

fn doctor(host: &TestHost, components: &Path, more: &[&str]) -> Output {
    let mut command = host.wharf(&["doctor"]);
    command.arg("--components").arg(components).arg("--cache").arg(guests::cache()).args(more);
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
    assert!(self::wrong(&doctor(&host, &folder, &["--json"])).contains("\"grants\""));
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
