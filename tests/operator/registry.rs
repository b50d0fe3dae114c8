//! The registry alone, on databases of its own: what no command can be made to do at will, such as
//! changes at the same moment, or rows that somebody has moved.

use std::collections::BTreeMap;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use tempfile::TempDir;
use wharf::Clock;
use wharf::chance::Chance;
use wharf::config::SqlConfig;
use wharf::database::{Database, Location, Migrations, Notice, Rows, Value};
use wharf::identity::Keys;
use wharf::registry::tokens::Verb;
use wharf::registry::{
    Bounds, Canary, Error, Event, Kind, NewRevision, Pointer, Quotas, Refused, Registry, Setting,
    Tenant,
};

use crate::support::{START, postgres};

/// A registry of one test's own.
struct Own {
    registry: Arc<Registry>,
    database: Database,
    url: Option<String>,
    clock: Clock,
    folder: TempDir,
}

impl Own {
    async fn open(url: Option<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let location = match &url {
            Some(url) => Location::Postgres { url: url.clone(), schema: "wharf".into() },
            None => Location::Sqlite(folder.path().join("host.db")),
        };
        let limits = SqlConfig::default().limits();
        let database = Database::open(&location, limits, &Migrations::host()).await;
        let database = database.expect("the database");
        let clock = Clock::manual(START);
        let registry = registry(&database, folder.path(), &clock).await;
        Own { registry, database, url, clock, folder }
    }

    /// On SQLite and, where it is installed, on PostgreSQL.
    async fn both() -> Vec<Self> {
        let mut both = vec![Own::open(None).await];
        if let Some(url) = postgres::fresh_database().await {
            both.push(Own::open(Some(url)).await);
        }
        both
    }

    /// With a tenant `acme`, changed as asked.
    async fn with_acme(self, change: impl FnOnce(&mut Tenant)) -> Self {
        let mut tenant = Tenant::new("acme");
        change(&mut tenant);
        self.registry.create(&tenant).await.expect("a tenant");
        self
    }

    async fn sql(&self, statement: &str) -> Rows {
        self.database.query(statement, Vec::new()).await.expect("the statement runs")
    }

    /// Changes rows as no part of the host does.
    async fn tamper(&self, statement: &'static str) {
        let statement = AssertSqlSafe(statement);
        if let Some(url) = &self.url {
            let url = format!("{url}&options=-csearch_path%3Dwharf");
            let mut connection = PgConnection::connect(&url).await.expect("the database");
            connection.execute(statement).await.expect("the statement runs");
        } else {
            let file = self.folder.path().join("host.db");
            let file = file.to_str().expect("UTF-8");
            let mut connection = SqliteConnection::connect(file).await.expect("the database");
            connection.execute(statement).await.expect("the statement runs");
        }
    }
}

async fn registry(database: &Database, data: &Path, clock: &Clock) -> Arc<Registry> {
    let keys = Keys::load(data, None, &Chance::system()).expect("keys");
    let registry = Registry::open(database.clone(), &keys, clock.clone()).await;
    Arc::new(registry.expect("the registry"))
}

fn new(group: &str, artifact: &str) -> NewRevision {
    NewRevision {
        tenant: "acme".into(),
        group: group.into(),
        artifact: artifact.as_bytes().to_vec(),
        component: sha256(artifact),
        settings: BTreeMap::new(),
        grants: vec!["log".into(), "database".into()],
        routes: vec!["GET /api/coupons".into()],
        imports: vec!["wharf:plugin/log@0.1.0".into()],
        who: "token ci".into(),
        source: "a laptop".into(),
        base: None,
        canary: None,
    }
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn secret(value: &str) -> Setting {
    Setting { value: value.into(), secret: true }
}

fn plain(value: &str) -> Setting {
    Setting { value: value.into(), secret: false }
}

fn event(what: &str) -> Event {
    let (who, why) = ("token ci".to_owned(), String::new());
    Event { at: START, who, what: what.to_owned(), from: None, to: None, why }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(done: Result<T, Error>, kind: Kind) -> String {
    match done {
        Err(Error::Refused(refused)) => {
            assert_eq!(refused.kind, kind, "{refused:?}");
            let Refused { message, remedy, .. } = refused;
            format!("{message}; {remedy}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_stored_as_it_was_made_and_found_again() {
    for own in Own::both().await {
        let own = own.with_acme(|_| {}).await;
        let mut first = new("coupons", "one");
        first.settings.insert("most".into(), plain("3"));
        first.settings.insert("key".into(), secret("hunter2"));
        let stored = own.registry.store(first.clone()).await.expect("it is stored");
        assert_eq!((stored.number, stored.bytes, stored.created_at), (1, 3, START));
        assert_eq!(stored.settings, first.settings);
        let found = own.registry.revision("acme", "coupons", 1).await.expect("an answer");
        assert_eq!(found.as_ref(), Some(&stored));
        assert_eq!(own.registry.revisions("acme", "coupons").await.expect("an answer"), [stored]);
        let artifact = own.registry.artifact(&first.component).await.expect("an answer");
        assert_eq!(artifact.as_deref(), Some("one".as_bytes()));
        let pointer = own.registry.pointer("acme", "coupons").await.expect("an answer");
        assert_eq!((pointer.active, pointer.changes), (Some(1), 1));
        let history = own.registry.history("acme", "coupons").await.expect("an answer");
        assert_eq!(history, [Event { to: Some(1), ..event("deployed") }]);
        assert_eq!(own.registry.revision("other", "coupons", 1).await.expect("an answer"), None);
    }
}

/// Equal digests mean the same component with the same grants and settings, and tell nobody a secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_digest_covers_component_grants_and_settings() {
    let own = Own::open(None).await.with_acme(|_| {}).await;
    let mut digests = Vec::new();
    let changes: [fn(&mut NewRevision); 6] = [
        |_| {},
        |new| new.component = sha256("other"),
        |new| new.grants.push("cache".into()),
        |new| drop(new.settings.insert("a".into(), plain("1"))),
        |new| drop(new.settings.insert("a".into(), secret("1"))),
        |new| drop(new.settings.insert("a".into(), secret("2"))),
    ];
    for change in changes {
        let mut revision = new("coupons", "one");
        change(&mut revision);
        // Who deploys it, and in what order grants are listed, is of no matter.
        let mut again = revision.clone();
        again.grants.reverse();
        "somebody else".clone_into(&mut again.who);
        let one = own.registry.store(revision).await.expect("it is stored");
        let other = own.registry.store(again).await.expect("it is stored");
        assert_eq!(one.digest, other.digest);
        digests.push(one.digest);
    }
    // The documented text, so that the digest of a revision stays what it was.
    let text = format!(
        r#"{{"component":"{}","grants":["database","log"],"settings":{{}}}}"#,
        sha256("one")
    );
    assert_eq!(digests[0], sha256(&text));
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), changes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_encrypted_where_they_are_stored_and_open_in_their_own_place_alone() {
    for own in Own::both().await {
        let own = own.with_acme(|_| {}).await;
        own.registry.create(&Tenant::new("other")).await.expect("a tenant");
        let key = "hunter2-hunter2-hunter2";
        own.registry.set("acme", "coupons", "key", Some(secret(key))).await.expect("it is set");
        own.registry.set("acme", "coupons", "open", Some(plain("seen"))).await.expect("it is set");
        let settings = own.registry.settings("acme", "coupons").await.expect("an answer");
        assert_eq!(
            (settings["key"].value.as_str(), settings["open"].value.as_str()),
            (key, "seen")
        );
        assert!(!format!("{settings:?}").contains(key));
        let json = serde_json::to_string(&settings).expect("JSON");
        assert_eq!(json, r#"{"key":{"secret":true},"open":{"value":"seen","secret":false}}"#);
        let revision = NewRevision { settings, ..new("coupons", "one") };
        own.registry.store(revision).await.expect("it is stored");
        if own.url.is_none() {
            own.sql("SELECT 1").await;
            for file in ["host.db", "host.db-wal"] {
                let bytes = std::fs::read(own.folder.path().join(file)).expect("the file");
                assert!(bytes.windows(4).any(|window| window == b"seen") || file == "host.db");
                assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "{file}");
            }
        }
        for table in ["tenant_settings", "revision_settings"] {
            let sql = format!("SELECT value, sealed FROM {table} WHERE name = 'key'");
            let rows = own.sql(&sql).await.rows;
            let [Value::Null, Value::Blob(sealed)] = rows[0].as_slice() else { panic!("{rows:?}") };
            assert!(!sealed.windows(key.len()).any(|window| window == key.as_bytes()));
        }
        // The same secret in another's row, or under another name, is none.
        own.tamper("INSERT INTO tenant_settings (tenant, group_name, name, value, sealed) SELECT 'other', group_name, name, value, sealed FROM tenant_settings WHERE name = 'key'").await;
        let moved = own.registry.settings("other", "coupons").await.expect_err("it does not open");
        assert!(moved.to_string().contains("does not open"), "{moved}");
        own.tamper(
            "UPDATE tenant_settings SET name = 'key2' WHERE name = 'key' AND tenant = 'acme'",
        )
        .await;
        own.registry.settings("acme", "coupons").await.expect_err("it does not open");
        // Nor is it without the key.
        std::fs::remove_file(own.folder.path().join("keys/tokens.key")).expect("the key");
        let other = registry(&own.database, own.folder.path(), &own.clock).await;
        other.revision("acme", "coupons", 1).await.expect_err("it does not open");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_deploy_at_once_from_the_same_state_one_wins_and_the_others_are_told_by_whom()
{
    for own in Own::both().await {
        let own = own.with_acme(|_| {}).await;
        own.registry.store(new("coupons", "first")).await.expect("it is stored");
        let base = own.registry.pointer("acme", "coupons").await.expect("an answer").changes;
        let deploys: Vec<_> = (0..50)
            .map(|index| {
                let (registry, artifact) =
                    (Arc::clone(&own.registry), format!("component {index}"));
                let who = format!("token {index}");
                let revision = NewRevision { base: Some(base), who, ..new("coupons", &artifact) };
                tokio::spawn(async move { registry.store(revision).await })
            })
            .collect();
        let mut winners = Vec::new();
        let mut losers = Vec::new();
        for deploy in deploys {
            match deploy.await.expect("it ends") {
                Ok(revision) => winners.push(revision),
                refusal => losers.push(refused(refusal, Kind::Changed)),
            }
        }
        let [winner] = winners.as_slice() else { panic!("{} won", winners.len()) };
        assert_eq!((winner.number, losers.len()), (2, 49));
        let expected = format!(
            "group coupons of tenant acme was changed since you began: deployed at 2023-11-14T22:13:20Z by {}: now revision 2",
            winner.who
        );
        assert!(losers.iter().all(|loser| loser.starts_with(&expected)), "{losers:?}");
        // Nothing of those who lost is stored.
        let rows = own.sql("SELECT COUNT(*) FROM artifacts").await.rows;
        assert_eq!(rows, [[Value::Integer(2)]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_revisions_are_kept_and_what_nobody_names_goes() {
    for own in Own::both().await {
        let own = own.with_acme(|tenant| tenant.quotas.revisions = 3).await;
        for index in 1..=4 {
            own.registry.store(new("coupons", &format!("{index}"))).await.expect("it is stored");
        }
        let numbers = async || {
            let revisions = own.registry.revisions("acme", "coupons").await.expect("an answer");
            revisions.iter().map(|revision| revision.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers().await, [4, 3, 2]);
        assert_eq!(own.registry.artifact(&sha256("1")).await.expect("an answer"), None);
        // The active one stays however old it is, and so does a canary.
        let base = own.registry.pointer("acme", "coupons").await.expect("an answer");
        let to = Pointer { active: Some(2), ..base.clone() };
        let rolled = own.registry.point("acme", "coupons", &base, &to, event("rolled back")).await;
        rolled.expect("it is rolled back");
        for index in 5..=8 {
            let canary = Some((5, Bounds::default()));
            let revision = NewRevision { canary, ..new("coupons", &format!("{index}")) };
            own.registry.store(revision).await.expect("it is stored");
        }
        assert_eq!(numbers().await, [8, 7, 6, 2]);
        let pointer = own.registry.pointer("acme", "coupons").await.expect("an answer");
        let canary = Canary { revision: 8, percent: 5, bounds: Bounds::default(), since: START };
        assert_eq!((pointer.active, pointer.canary.clone()), (Some(2), Some(canary)));
        // A component that another group has as well stays for that one.
        own.registry.store(new("other", "8")).await.expect("it is stored");
        for index in 9..=12 {
            own.registry.store(new("coupons", &format!("{index}"))).await.expect("it is stored");
        }
        assert_eq!(numbers().await, [12, 11, 10]);
        assert!(own.registry.artifact(&sha256("8")).await.expect("an answer").is_some());
        assert_eq!(own.registry.artifact(&sha256("9")).await.expect("an answer"), None);
        // Of a revision that is gone nothing can be made active.
        let to = Pointer { active: Some(2), ..pointer.clone() };
        let base = own.registry.pointer("acme", "coupons").await.expect("an answer");
        let gone = own.registry.point("acme", "coupons", &base, &to, event("rolled back")).await;
        let gone = refused(gone, Kind::Missing);
        assert_eq!(
            gone,
            "group coupons of tenant acme has no revision 2; those that are kept are 10, 11, 12"
        );
        let late = own.registry.point("acme", "coupons", &pointer, &base, event("promoted")).await;
        refused(late, Kind::Changed);
        own.registry.delete("acme", ready(Ok(()))).await.expect("it is deleted");
        assert_eq!(own.sql("SELECT COUNT(*) FROM artifacts").await.rows, [[Value::Integer(0)]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_quota_is_refused_by_its_name_with_the_command_that_raises_it() {
    for own in Own::both().await {
        let quotas = Quotas {
            groups: 2,
            deploys_per_hour: 6,
            artifact_bytes: 10,
            settings_bytes: 10,
            ..Quotas::default()
        };
        let own = own.with_acme(|tenant| tenant.quotas = quotas).await;
        let remedy = |quota: &str| format!("`wharf tenant set acme --quota {quota}=");
        let store = async |group: &str, artifact: &str| {
            own.registry.store(new(group, artifact)).await.map(|revision| revision.number)
        };
        assert_eq!(store("one", "12345").await.expect("it is stored"), 1);
        assert_eq!(store("two", "12345").await.expect("it is stored"), 1);
        let third = refused(store("three", "12345").await, Kind::Quota);
        assert!(third.contains("its quota groups is 2") && third.contains(&remedy("groups")));
        let large = refused(store("two", "123456").await, Kind::Quota);
        assert!(large.contains("its quota artifact_bytes is 10"), "{large}");
        // The same component counts once, and what was refused is stored nowhere.
        assert_eq!(store("two", "67890").await.expect("it is stored"), 2);
        let removed = own.registry.remove_group("acme", "two", event("removed")).await;
        removed.expect("it is removed");
        assert_eq!(store("three", "12345").await.expect("it is stored"), 1);
        for number in 2..=3 {
            assert_eq!(store("three", "12345").await.expect("it is stored"), number);
        }
        let often = refused(store("three", "12345").await, Kind::Quota);
        assert!(often.contains("its quota deploys_per_hour is 6"), "{often}");
        own.clock.advance(3600);
        assert_eq!(store("three", "12345").await.expect("it is stored"), 4);
        let set =
            async |value: &str| own.registry.set("acme", "one", "a", Some(plain(value))).await;
        set("123456789").await.expect("it is set");
        let much = refused(set("1234567890").await, Kind::Quota);
        assert!(much.contains("its quota settings_bytes is 10"), "{much}");
        assert!(much.contains(&remedy("settings_bytes")), "{much}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_is_of_one_tenant_alone() {
    for own in Own::both().await {
        let own = own
            .with_acme(|tenant| tenant.hosts = vec!["shop.example.com".into(), "*.acme.org".into()])
            .await;
        let create = async |host: &str| {
            let tenant = Tenant { hosts: vec![host.to_owned()], ..Tenant::new("other") };
            own.registry.create(&tenant).await
        };
        for (host, within) in [
            ("shop.example.com", "shop.example.com"),
            ("*.example.com", "shop.example.com"),
            ("a.b.acme.org", "*.acme.org"),
            ("*.b.acme.org", "*.acme.org"),
            ("*.org", "*.acme.org"),
        ] {
            let taken = refused(create(host).await, Kind::Taken);
            assert!(
                taken.contains(&format!("{host} is within {within} of tenant acme")),
                "{taken}"
            );
        }
        for host in ["Shop.example.com", "a b", "example.com:80", "", "*", "a..b", "-a.b", "*.*.a"]
        {
            refused(create(host).await, Kind::Unfit);
        }
        create("acme.org").await.expect("what is not below a suffix is free");
        refused(own.registry.create(&Tenant::new("acme")).await, Kind::Taken);
        refused(own.registry.create(&Tenant::new("default")).await, Kind::Taken);
        refused(own.registry.create(&Tenant::new("Acme")).await, Kind::Unfit);
        let mut acme = own.registry.tenant("acme").await.expect("an answer").expect("a tenant");
        assert_eq!(
            (acme.hosts.as_slice(), acme.created_at),
            (&["*.acme.org".to_owned(), "shop.example.com".to_owned()][..], START)
        );
        acme.hosts = vec!["acme.org".into()];
        refused(own.registry.change(&acme).await, Kind::Taken);
        acme.hosts = vec!["acme.net".into()];
        acme.grants.push("http:*.example.com".into());
        own.registry.change(&acme).await.expect("it is changed");
        assert_eq!(own.registry.tenant("acme").await.expect("an answer"), Some(acme.clone()));
        acme.grants.push("everything".into());
        refused(own.registry.change(&acme).await, Kind::Unfit);
        let names = own.registry.tenants().await.expect("an answer");
        let names: Vec<&str> = names.iter().map(|tenant| tenant.name.as_str()).collect();
        assert_eq!(names, ["acme", "other"]);
        assert!(own.registry.tenant("default").await.expect("an answer").is_some());
        refused(own.registry.delete("default", ready(Ok(()))).await, Kind::Unfit);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_tenants_that_take_overlapping_host_names_at_once_one_gets_them() {
    for own in Own::both().await {
        let created: Vec<_> = (0..10)
            .map(|index| {
                let registry = Arc::clone(&own.registry);
                let host = if index % 2 == 0 { "*.example.com" } else { "a.example.com" };
                let name = format!("tenant-{index}");
                let tenant = Tenant { hosts: vec![host.to_owned()], ..Tenant::new(&name) };
                tokio::spawn(async move { registry.create(&tenant).await })
            })
            .collect();
        let mut count = 0;
        for created in created {
            match created.await.expect("it ends") {
                Ok(()) => count += 1,
                taken => drop(refused(taken, Kind::Taken)),
            }
        }
        assert_eq!(count, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_token_is_known_by_its_hash_until_it_expires_or_is_revoked() {
    for own in Own::both().await {
        let own = own.with_acme(|_| {}).await;
        let verbs = [Verb::Deploy, Verb::Read];
        let made = own.registry.create_token(("acme", "ci"), &verbs, START + 100).await;
        let (token, written) = made.expect("a token");
        let verify = async |text: &str| own.registry.verify_token(text).await.expect("an answer");
        assert_eq!(verify(&written).await, Some(token.clone()));
        let listed = own.registry.tokens("acme").await.expect("an answer");
        assert_eq!(listed[0].used_at, Some(START));
        let stored = own.sql("SELECT hash FROM deploy_tokens").await.rows;
        assert_eq!(stored, [[Value::Text(sha256(&written))]]);
        let secret = written.rsplit('_').next().expect("a secret");
        let forged = format!("wharf_{}_{}", token.id, "0".repeat(64));
        for wrong in [&forged, secret, "", "wharf__", "wharf_x_y", &written[..written.len() - 1]] {
            assert_eq!(verify(wrong).await, None, "{wrong}");
        }
        own.clock.advance(99);
        assert!(verify(&written).await.is_some());
        own.clock.advance(1);
        assert_eq!(verify(&written).await, None);
        let made = own.registry.create_token(("acme", "ci"), &verbs, START + 1000).await;
        let (token, written) = made.expect("a token");
        assert!(verify(&written).await.is_some());
        own.registry.revoke_token(&token.id).await.expect("it is revoked");
        assert_eq!(verify(&written).await, None);
        refused(own.registry.revoke_token(&token.id).await, Kind::Missing);
        refused(
            own.registry.create_token(("none", "ci"), &verbs, START + 1000).await,
            Kind::Missing,
        );
        refused(own.registry.create_token(("acme", "ci"), &[], START + 1000).await, Kind::Unfit);
        refused(
            own.registry.create_token(("acme", "a\nb"), &verbs, START + 1000).await,
            Kind::Unfit,
        );
        refused(own.registry.create_token(("acme", "ci"), &verbs, START).await, Kind::Unfit);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_hosts_are_told_of_every_change() {
    let Some(url) = postgres::fresh_database().await else { return };
    let own = Own::open(Some(url)).await;
    let mut notices = own.registry.notices().expect("notices");
    assert!(matches!(notices.next().await, Notice::Joined));
    let own = own.with_acme(|_| {}).await;
    own.registry.store(new("coupons", "one")).await.expect("it is stored");
    own.registry.set("acme", "coupons", "a", Some(plain("b"))).await.expect("it is set");
    // What is refused, and undone, is told to nobody.
    refused(own.registry.create(&Tenant::new("acme")).await, Kind::Taken);
    own.registry.remove_group("acme", "coupons", event("removed")).await.expect("it is removed");
    own.registry.delete("acme", ready(Ok(()))).await.expect("it is deleted");
    own.registry.create(&Tenant::new("last")).await.expect("a tenant");
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "last") {
        match notices.next().await {
            Notice::Told(tenant) => told.push(tenant),
            Notice::Joined => panic!("the connection was lost"),
        }
    }
    assert_eq!(told, ["acme", "acme", "acme", "acme", "acme", "last"]);
}
