//! Groups reach what they were granted.

use std::path::Path;

use wharf::{Clock, Config, Host};

use super::{hostile, hostile_on_both, told};
use crate::support::{TestHost, guests, postgres, settings};

/// Starts a host on the hostile guest with this manifest and says why it does not start.
async fn refused(manifest: Option<&str>, change: impl FnOnce(&mut Config)) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = settings(folder.path(), components(folder.path(), manifest));
    change(&mut config);
    match Host::start(config, Clock::manual(0)).await {
        Ok(_) => panic!("the host starts"),
        Err(reason) => reason,
    }
}

fn components(folder: &Path, manifest: Option<&str>) -> std::path::PathBuf {
    let folder = folder.join("components");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("hostile.wasm"), guests::bare("hostile")).expect("a copy");
    if let Some(manifest) = manifest {
        std::fs::write(folder.join("hostile.toml"), manifest).expect("a manifest");
    }
    folder
}

fn assert_names(reason: &str, words: &[&str]) {
    for word in words {
        assert!(reason.contains(word), "{word} is not in: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_nobody_speaks_for_reaches_nobodys_data() {
    let reason = refused(None, |_| {}).await;
    assert_names(
        &reason,
        &["hostile", "wharf-plugin.toml", "[groups.hostile]", "has not been granted"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_grants_what_it_names_and_an_operator_has_the_last_word() {
    let manifest = "group = \"hostile\"\ngrants = [\"log\", \"random\", \"cache\"]\n";
    let reason = refused(Some(manifest), |_| {}).await;
    assert_names(&reason, &["wharf:plugin/database", "hostile.toml", "[groups.hostile]"]);
    let reason = refused(Some(manifest), |config| {
        let group = config.groups.entry("hostile".into()).or_default();
        group.grants = Some(vec![wharf::capabilities::Grant::Log]);
    });
    assert_names(&reason.await, &["add \"", "to grants in [groups.hostile]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_a_manifest_is_named_with_what_is_right() {
    for (manifest, words) in [
        ("group = \"hostile\"\ngrant = []\n", &["`grant`", "`grants`", "hostile.toml"][..]),
        ("group = \"hostile\"\n[table]\n", &["`table`", "`tables`"]),
        ("group = \"other\"\n", &["\"other\"", "\"hostile\""]),
        ("group = \"hostile\"\ngrants = [\"databse\"]\n", &["line 2", "databse", "database"]),
        ("group = \"hostile\"\n[tables]\nusers = \"reed\"\n", &["line 3", "\"reed\"", "\"read\""]),
        ("group = \"hostile\"\ngrants = [\n", &["not valid at line"]),
        (
            "group = \"hostile\"\ngrants = [\"database\", \"cache\", \"log\", \"random\"]\n[tables]\nuser_adresses = \"read\"\n",
            &["\"user_adresses\"", "\"user_addresses\"", "[tables]"],
        ),
    ] {
        assert_names(&refused(Some(manifest), |_| {}).await, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_were_not_granted_are_denied_by_name() {
    let insert = "INSERT INTO user_addresses (user_id, province, city, district, address, zip, contact_name, contact_phone, created_at, updated_at)";
    for host in hostile_on_both(|_| {}).await {
        for (sql, right, table) in [
            ("SELECT password FROM users", "read", "users"),
            ("SELECT COUNT(*) FROM users", "read", "users"),
            (
                "SELECT code FROM invitation_codes WHERE code IN (SELECT username FROM users)",
                "read",
                "users",
            ),
            ("WITH x AS (SELECT * FROM users) SELECT COUNT(*) FROM x", "read", "users"),
            ("WITH users AS (SELECT * FROM roles) SELECT * FROM users", "read", "roles"),
            ("SELECT * FROM user_addresses JOIN users ON users.id = user_id", "read", "users"),
            ("INSERT INTO invitation_codes (code) SELECT password FROM users", "read", "users"),
            (
                "INSERT INTO invitation_codes (code) VALUES ('a') ON CONFLICT (code) DO UPDATE SET code = (SELECT MAX(password) FROM users)",
                "read",
                "users",
            ),
            (
                "INSERT INTO invitation_codes (code) VALUES ('a') RETURNING (SELECT MAX(password) FROM users)",
                "read",
                "users",
            ),
            ("UPDATE user_addresses SET city = 'x'", "update", "user_addresses"),
            ("DELETE FROM user_addresses", "delete", "user_addresses"),
            ("DELETE FROM roles", "delete", "roles"),
            (
                &format!("{insert} VALUES (1, '', '', '', '', '', '', '', 0, 0)"),
                "insert",
                "user_addresses",
            ),
        ] {
            let told = told(&host, sql).await;
            let words = [
                "Denied",
                &format!("right to {right} table {table}"),
                "group hostile",
                "[groups.hostile.tables]",
            ];
            assert_names(&format!("{sql}: {told}"), &words);
        }
        assert!(told(&host, "SELECT * FROM user_addresses").await.contains("0 rows"));
        assert!(host.sql("SELECT code FROM invitation_codes", Vec::new()).await.rows.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_grants_other_tables_than_the_manifest() {
    for host in hostile_on_both(|config| {
        let group = config.groups.entry("hostile".into()).or_default();
        group.tables = Some(toml::from_str("users = [\"read\"]").expect("tables"));
    })
    .await
    {
        assert_eq!(
            told(&host, "SELECT username FROM users WHERE realm = 'store'").await,
            "\"1 rows\""
        );
        assert!(told(&host, "SELECT code FROM invitation_codes").await.contains("Denied"));
    }
}

/// A right that a start takes away is gone, though the role had it.
#[tokio::test(flavor = "multi_thread")]
async fn rights_on_postgres_are_settled_anew_at_each_start() {
    let Some(url) = postgres::fresh_database().await else { return };
    let start = async |table: &str| {
        let tables = toml::from_str(&format!("{table} = \"read\"")).expect("tables");
        hostile(|config| {
            config.database = Some(url.clone());
            config.groups.entry("hostile".into()).or_default().tables = Some(tables);
        })
        .await
    };
    let host = start("users").await;
    assert_eq!(told(&host, "SELECT id FROM users WHERE realm = 'store'").await, "\"1 rows\"");
    // Another host at work on the same database keeps serving while this one starts.
    let second = start("roles").await;
    assert_eq!(told(&second, "SELECT id FROM roles").await, "\"1 rows\"");
    assert!(told(&second, "SELECT id FROM users").await.contains("Denied"));
    assert!(told(&host, "SELECT id FROM users").await.contains("Denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_make_roles_on_postgres_is_told_what_to_run() {
    let Some(admins) = postgres::fresh_database().await else { return };
    let user = postgres::user(&admins, "LOGIN").await;
    let manifest = "group = \"hostile\"\ngrants = [\"database\"]\n";
    let reason = refused(Some(manifest), |config| config.database = Some(user.url.clone())).await;
    assert_names(&reason, &[&user.name, "may not make roles", "ALTER ROLE", "CREATEROLE"]);
}

/// No superuser is needed: this is what a careful operator gives the host.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_make_roles_is_all_that_postgres_needs() {
    let Some(admins) = postgres::fresh_database().await else { return };
    let user = postgres::user(&admins, "LOGIN CREATEROLE").await;
    let mut host = TestHost::with(|config| config.database = Some(user.url.clone())).await;
    let token = host.user("somebody").await;
    assert_eq!(host.me(&token).await.status, 200);
    // The roles are there already at the second start.
    host.restart().await;
    assert_eq!(host.me(&token).await.status, 200);
}
