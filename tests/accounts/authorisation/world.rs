//! People of all realms, with tokens, and what is theirs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use wharf::database::{Database, Rows, Value};

use super::{Actor, Admin, Disabled, Other, Owner};
use crate::accounts::signed;
use crate::support::TestHost;

/// Realm, actor, status, level or type.
#[rustfmt::skip]
const PEOPLE: [(&str, Actor, i64, i64); 12] = [
    ("store", Owner, 1, 0), ("store", Other, 1, 0), ("store", Disabled, -1, 0), ("store", Admin, 1, 0),
    ("clinic", Owner, 1, 0), ("clinic", Other, 1, 1), ("clinic", Disabled, -1, 0), ("clinic", Admin, 1, 3),
    ("console", Owner, 1, 3), ("console", Other, 1, 2), ("console", Disabled, -1, 1), ("console", Admin, 1, 1),
];

/// The md5 of `secret-1`, as the original systems stored it.
const PASSWORD: &str = "5926ed10493e613137208e1d5360d8f3";

/// Fresh people, whom no other test of a route has touched.
pub(crate) struct World {
    number: u32,
    people: BTreeMap<(&'static str, Actor), (i64, String)>,
    address: i64,
    profile: i64,
}

static COUNT: AtomicU32 = AtomicU32::new(1);

impl World {
    pub(crate) async fn new(host: &TestHost, database: &Database) -> World {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = host.clock.now();
        let mut people = BTreeMap::new();
        let values: Vec<String> = PEOPLE
            .iter()
            .map(|(realm, actor, status, _)| {
                let name = name(number, *actor);
                format!("('{realm}', 'n', '{name}', '{name}@example.com', {status}, '{PASSWORD}', {now}, {now})")
            })
            .collect();
        let sql = format!(
            "INSERT INTO users (realm, name, username, email, status, password, created_at, updated_at) VALUES {} RETURNING id",
            values.join(", ")
        );
        let ids = query(database, &sql).await.rows;
        let mut side = [const { Vec::new() }; 3];
        for ((realm, actor, _, level), row) in PEOPLE.into_iter().zip(ids) {
            let Value::Integer(id) = row[0] else { panic!("no id") };
            let token = format!("{number:016x}{id:016x}");
            match realm {
                "clinic" => side[0].push(format!("({id}, {level})")),
                "console" => {
                    side[1].push(format!("({id}, 'p', {level})"));
                    side[2].push(format!("('{token}', {id}, {})", now + 1000));
                }
                _ => {}
            }
            let claims = json!({
                "iss": "wharf:default", "aud": realm, "sub": id.to_string(), "iat": now, "nbf": now, "exp": now + 1000,
                "jti": token, "name": name(number, actor), "roles": [], "generation": now,
            });
            people.insert((realm, actor), (id, signed(host, &claims)));
        }
        let (owner, admin) = (people[&("store", Owner)].0, people[&("store", Admin)].0);
        let disabled = people[&("store", Disabled)].0;
        for sql in [
            format!(
                "INSERT INTO clinic_users (user_id, type) VALUES {} RETURNING user_id",
                side[0].join(", ")
            ),
            format!(
                "INSERT INTO console_users (user_id, position, level) VALUES {} RETURNING user_id",
                side[1].join(", ")
            ),
            format!(
                "INSERT INTO console_sessions (token_id, user_id, expires_at) VALUES {} RETURNING user_id",
                side[2].join(", ")
            ),
            format!(
                "INSERT INTO user_roles (user_id, role_id) SELECT {admin}, id FROM roles UNION SELECT {disabled}, id FROM roles RETURNING user_id"
            ),
        ] {
            query(database, &sql).await;
        }
        let address = format!(
            "INSERT INTO user_addresses (user_id, province, city, district, address, zip, contact_name, contact_phone, created_at, updated_at) VALUES ({owner}, 'p', 'c', 'd', 'a', '1', 'n', '1', 0, 0) RETURNING id"
        );
        let profile = format!(
            "INSERT INTO user_profiles (user_id, created_at, updated_at) VALUES ({owner}, 0, 0) RETURNING id"
        );
        let (address, profile) = (one(database, &address).await, one(database, &profile).await);
        World { number, people, address, profile }
    }

    /// The token that an actor sends.
    pub(crate) fn token(&self, realm: &'static str, actor: Actor) -> Option<String> {
        match actor {
            Actor::Anonymous => None,
            Actor::Garbage => Some("gar.ba.ge".to_owned()),
            Actor::Foreign => {
                let elsewhere =
                    if realm == "store" { ("console", Admin) } else { ("store", Admin) };
                Some(self.people[&elsewhere].1.clone())
            }
            _ => Some(self.people[&(realm, actor)].1.clone()),
        }
    }

    pub(crate) fn id(&self, realm: &'static str, actor: Actor) -> i64 {
        self.people.get(&(realm, actor)).map_or(0, |(id, _)| *id)
    }

    /// The user that routes are about.
    pub(crate) fn target(&self, realm: &'static str) -> i64 {
        self.id(realm, Owner)
    }

    /// A path about the owner and what is the owner's.
    pub(crate) fn fill(&self, path: &str) -> String {
        path.replace("{username}", &name(self.number, Owner))
            .replace("{address_id}", &self.address.to_string())
            .replace("{profile_id}", &self.profile.to_string())
            .replace("{id}", &self.target("console").to_string())
            .replace("{day}/{file}", "20231115/none.png")
            .replace("{*path}", "nothing/here")
    }

    /// A name that nobody has.
    pub(crate) fn newcomer() -> String {
        format!("newcomer{}", COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// A phone number that nobody has.
    pub(crate) fn phone() -> String {
        format!("138{:08}", COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

fn name(number: u32, actor: Actor) -> String {
    format!("{actor:?}{number}").to_lowercase()
}

async fn query(database: &Database, sql: &str) -> Rows {
    database.query(sql, Vec::new()).await.expect("the statement runs")
}

async fn one(database: &Database, sql: &str) -> i64 {
    match query(database, sql).await.rows[0][0] {
        Value::Integer(id) => id,
        _ => panic!("no id"),
    }
}
