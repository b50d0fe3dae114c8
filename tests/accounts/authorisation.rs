//! Who may do what: every route that the running host has, tried by everybody, with fields that nobody
//! may set. A route without a row here fails the test.

mod paths;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::RequestBuilder;
use serde_json::{Value as Json, json};
use wharf::database::{Database, Value};

use crate::support::{Answer, Ask as _, TestHost};
use world::World;

/// Who tries. What that is in the realms is told by [`World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Actor {
    /// Without a token.
    Anonymous,
    /// With something that is no token.
    Garbage,
    /// A user of another realm, with all rights there.
    Foreign,
    /// A user who was disabled, or was never let in, with a token and all rights.
    Disabled,
    /// Somebody else of the realm: another customer, a manager of the clinic, an admin of level 2.
    Other,
    /// Whom it is about: a customer, a doctor, a user of level 3.
    Owner,
    /// Who may do everything in the realm; the clinic has nobody like that.
    Admin,
}

use Actor::{Admin, Anonymous, Disabled, Foreign, Garbage, Other, Owner};

const ACTORS: [Actor; 7] = [Anonymous, Garbage, Foreign, Disabled, Other, Owner, Admin];
const EVERYBODY: &[Actor] = &ACTORS;
/// On public routes of the console, a token that is sent must be one.
const ALL_BUT_BAD_TOKENS: &[Actor] = &[Anonymous, Disabled, Other, Owner, Admin];
const SIGNED_IN: &[Actor] = &[Other, Owner, Admin];
const OWNER: &[Actor] = &[Owner];
const OWNER_OR_ADMIN: &[Actor] = &[Owner, Admin];
const LEVEL_TWO: &[Actor] = &[Other, Admin];
const ADMIN: &[Actor] = &[Admin];

/// A route, and what is sent to it.
struct Row {
    method: &'static str,
    path: &'static str,
    realm: &'static str,
    admitted: &'static [Actor],
    body: Body,
    /// The column of [`PRIVILEGED`] that it is there to change.
    changes: &'static str,
}

enum Body {
    Json(Json),
    /// A sign-up to the store, with a captcha.
    Customer,
    /// A sign-up to the clinic.
    Doctor,
    /// A sign-up to the console, with a portrait.
    Staff,
}

fn row(
    method: &'static str,
    path: &'static str,
    realm: &'static str,
    admitted: &'static [Actor],
) -> Row {
    Row { method, path, realm, admitted, body: Body::Json(json!({})), changes: "" }
}

impl Row {
    fn json(self, body: Json) -> Row {
        Row { body: Body::Json(body), ..self }
    }

    fn body(self, body: Body) -> Row {
        Row { body, ..self }
    }

    fn changes(self, changes: &'static str) -> Row {
        Row { changes, ..self }
    }
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let address = json!({ "province": "p", "city": "c", "district": "d", "address": "a", "zip": "1", "contact_name": "n", "contact_phone": "1" });
    let change = json!({ "oldPassword": "secret-1", "newPassword": "secret-2", "newPassword_confirmation": "secret-2" });
    let login = json!({ "nickname": "nobody", "passwd": "wrong-password", "captcha_id": "a", "captcha_code": "abcde" });
    let mut rows = vec![
        row("*", "/", "console", EVERYBODY),
        row("*", "/{*path}", "console", EVERYBODY),
        row("POST", "/api/auth/login", "store", EVERYBODY).json(json!({ "username": "nobody", "password": "wrong-password" })),
        row("POST", "/api/auth/login", "clinic", EVERYBODY).json(json!({ "email": "nobody@example.com", "password": "wrong-password" })),
        row("POST", "/api/auth/register", "store", EVERYBODY).body(Body::Customer),
        row("POST", "/api/auth/register", "clinic", EVERYBODY).body(Body::Doctor),
        row("POST", "/api/captchas", "store", EVERYBODY),
        row("GET", "/api/response_code", "store", EVERYBODY),
        row("GET", "/api/unauthorized", "store", EVERYBODY),

        row("DELETE", "/api/auth/logout", "store", SIGNED_IN),
        row("PUT", "/api/auth/refresh", "store", SIGNED_IN),
        row("GET", "/api/auth/me", "store", SIGNED_IN),
        row("GET", "/api/user_info", "store", SIGNED_IN),
        row("PUT", "/api/user_info/{username}", "store", OWNER_OR_ADMIN).json(json!({ "name": "changed" })),
        row("DELETE", "/api/user_info/{username}", "store", OWNER_OR_ADMIN).changes("status"),
        row("PUT", "/api/user/password/{username}", "store", OWNER_OR_ADMIN).json(change).changes("password"),
        row("GET", "/api/user_addresses", "store", SIGNED_IN),
        row("POST", "/api/user_addresses", "store", SIGNED_IN).json(address.clone()),
        row("PUT", "/api/user_addresses/{address_id}", "store", OWNER_OR_ADMIN).json(address),
        row("DELETE", "/api/user_addresses/{address_id}", "store", OWNER_OR_ADMIN),
        row("GET", "/api/user_profiles", "store", SIGNED_IN),
        row("PUT", "/api/user_profiles/{profile_id}", "store", OWNER_OR_ADMIN).json(json!({ "real_name": "changed" })),
        row("DELETE", "/api/user_profiles/{profile_id}", "store", OWNER_OR_ADMIN),

        row("POST", "/api/auth/logout", "clinic", SIGNED_IN),
        row("POST", "/api/auth/refresh", "clinic", SIGNED_IN),
        row("POST", "/api/auth/me", "clinic", SIGNED_IN),
        row("GET", "/api/doctor/me", "clinic", OWNER),
        row("GET", "/api/doctor/certificate", "clinic", OWNER),
        row("POST", "/api/doctor/certificate/upload", "clinic", OWNER),

        row("GET", "/captcha", "console", ALL_BUT_BAD_TOKENS),
        row("GET", "/uploads/{day}/{file}", "console", EVERYBODY),
        row("POST", "/login", "console", ALL_BUT_BAD_TOKENS).json(login),
        row("POST", "/signUp", "console", ALL_BUT_BAD_TOKENS).body(Body::Staff),
        row("PUT", "/signUp", "console", ALL_BUT_BAD_TOKENS).body(Body::Staff),
        row("GET", "/list/user", "console", LEVEL_TWO),
        row("GET", "/user/{id}", "console", LEVEL_TWO),
        row("PUT", "/user/{id}", "console", ADMIN).json(json!({ "name": "changed" })),
        row("PUT", "/audit/user/{id}", "console", ADMIN).changes("status"),
        row("DELETE", "/user/{id}", "console", ADMIN),
    ];
    let open = ["/audit/user/{id}", "/captcha", "/list/user", "/login", "/signUp", "/user/{id}"];
    rows.extend(open.map(|path| row("OPTIONS", path, "console", EVERYBODY)));
    rows
}

/// What nobody may say of themselves, under every name that a table or an answer has for it.
fn mass_assignment() -> Json {
    json!({
        "id": 1, "user_id": 1, "realm": "console", "role": "admin", "roles": ["admin"], "role_id": 1, "is_admin": true,
        "admin": 1, "permissions": ["edit_users"], "status": 0, "account_status": 1, "level": 1, "user_level": 1,
        "type": 3, "certificate_checked": 2, "certificat_checked": 2, "email_verified_at": 1, "created_at": 1,
        "remember_token": "x", "generation": 99, "guard_name": "api", "pivot": { "role_id": 1 }, "users.status": 0,
    })
}

/// Columns of a user that are not theirs to change.
const PRIVILEGED: [&str; 9] = [
    "realm",
    "status",
    "password",
    "email_verified_at",
    "created_at",
    "level",
    "type",
    "certificate_checked",
    "roles",
];

/// All that the tenant has: by table and id, first the privileged columns, then the others.
async fn data(database: &Database) -> BTreeMap<(&'static str, i64), Vec<Value>> {
    let tables = [
        (
            "users",
            "SELECT users.id, realm, status, password, email_verified_at, created_at, level, type, certificate_checked,
                 (SELECT COUNT(*) FROM user_roles WHERE user_id = users.id) AS roles,
                 name, username, users.email, phone, avatar, updated_at, position, invitation_code
             FROM users LEFT JOIN console_users ON console_users.user_id = users.id
             LEFT JOIN clinic_users ON clinic_users.user_id = users.id",
        ),
        ("addresses", "SELECT id, user_id, address, contact_name, updated_at FROM user_addresses"),
        ("profiles", "SELECT id, user_id, real_name, updated_at FROM user_profiles"),
    ];
    let mut data = BTreeMap::new();
    for (table, sql) in tables {
        for mut row in database.query(sql, Vec::new()).await.expect("rows").rows {
            let Value::Integer(id) = row.remove(0) else { panic!("no id") };
            data.insert((table, id), row);
        }
    }
    data
}

/// Whether somebody was turned away for who they are.
fn is_refused(answer: &Answer) -> bool {
    const CONSOLE: [&str; 6] = [
        "权限不足，操作失败",
        "请求参数不可解析，访问异常！",
        "登录凭证过期，请重新登录",
        "非法登录信息",
        "账户正在审核中，请等待审核完成",
        "无效凭证信息，请重新登录",
    ];
    let body: Json = serde_json::from_str(&answer.body).unwrap_or_default();
    let code = body["code"].as_i64();
    let message = body["message"].as_str().unwrap_or_default();
    answer.status == 403
        || (answer.status == 401 && message == "Unauthenticated.")
        || matches!(code, Some(40003 | 50001))
        || (body["status"] == false && CONSOLE.contains(&message))
}

/// The request of a row, of an actor, with all that nobody may set.
async fn request(host: &TestHost, world: &World, row: &Row, actor: Actor) -> RequestBuilder {
    let method = if row.method == "*" { "PATCH" } else { row.method };
    let request = host.request(method.parse().expect("a method"), &world.fill(row.path));
    let request = match world.token(row.realm, actor) {
        None => request,
        Some(token) if row.realm == "console" => request.header("authorization", token),
        Some(token) => request.bearer_auth(token),
    };
    let name = World::newcomer();
    let mut body = mass_assignment();
    let wanted = match &row.body {
        Body::Json(wanted) => wanted.clone(),
        Body::Customer => host
            .registration(&name)
            .await
            .into_iter()
            .map(|(name, value)| (name, Json::String(value)))
            .collect(),
        Body::Doctor => {
            json!({ "username": name, "password": "12345678", "email": format!("{name}@example.com"), "sex": 0, "age": 24 })
        }
        Body::Staff => {
            let form = TestHost::console_form(&name, &World::phone());
            return request.multipart(
                form.text("level", "1")
                    .text("user_level", "1")
                    .text("status", "1")
                    .text("account_status", "1")
                    .text("id", "1"),
            );
        }
    };
    for (key, value) in wanted.as_object().expect("an object") {
        body[key] = value.clone();
    }
    request.json(&body)
}

/// That a request which was let in has given nobody a right.
fn assert_no_privilege(
    row: &Row,
    actor: Actor,
    world: &World,
    before: &BTreeMap<(&'static str, i64), Vec<Value>>,
    after: &BTreeMap<(&'static str, i64), Vec<Value>>,
) {
    let what = format!("{} {} by {actor:?}", row.method, row.path);
    for (key @ (table, id), now) in after {
        match before.get(key) {
            Some(then) if *table == "users" => {
                for (index, column) in PRIVILEGED.iter().enumerate() {
                    let may = *column == row.changes && *id == world.target(row.realm);
                    assert!(
                        may || then[index] == now[index],
                        "{what} changed {column} of user {id}: {then:?} → {now:?}"
                    );
                }
            }
            Some(then) => assert_eq!(then[0], now[0], "{what} changed the owner in {table}"),
            None if *table == "users" => {
                let status = if row.realm == "console" { -1 } else { 1 };
                let text = Value::Text(row.realm.to_owned());
                assert_eq!(
                    (&now[0], &now[1], &now[8]),
                    (&text, &Value::Integer(status), &Value::Integer(0)),
                    "{what}: {now:?}"
                );
                assert!(matches!(now[5], Value::Null | Value::Integer(3)), "{what}: {now:?}");
                assert!(matches!(now[6], Value::Null | Value::Integer(0)), "{what}: {now:?}");
            }
            None if matches!(row.body, Body::Customer) => {}
            None => {
                assert_eq!(now[0], Value::Integer(world.id(row.realm, actor)), "{what}: {now:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_is_for_and_nobody_else() {
    let host = TestHost::on_sqlite().await;
    let database = host.database().await;
    for row in rows() {
        let world = World::new(&host, &database).await;
        let before = data(&database).await;
        for actor in ACTORS.into_iter().filter(|actor| !row.admitted.contains(actor)) {
            let answer = request(&host, &world, &row, actor).await.answer().await;
            assert!(is_refused(&answer), "{} {} by {actor:?}: {answer:?}", row.method, row.path);
            assert!(!answer.status.is_server_error(), "{answer:?}");
        }
        assert_eq!(
            data(&database).await,
            before,
            "{} {}: refused, and changed something",
            row.method,
            row.path
        );
        for actor in row.admitted.iter().copied() {
            let world = World::new(&host, &database).await;
            let before = data(&database).await;
            let answer = request(&host, &world, &row, actor).await.answer().await;
            assert!(!is_refused(&answer), "{} {} by {actor:?}: {answer:?}", row.method, row.path);
            assert!(!answer.status.is_server_error(), "{} {}: {answer:?}", row.method, row.path);
            assert_no_privilege(&row, actor, &world, &before, &data(&database).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_running_host_has_a_row_and_every_row_a_route() {
    let host = TestHost::on_sqlite().await;
    let served: BTreeSet<(String, String)> =
        host.routes().iter().map(|route| (route.method.clone(), route.path.clone())).collect();
    let tried: BTreeSet<(String, String)> =
        rows().iter().map(|row| (row.method.to_owned(), row.path.to_owned())).collect();
    assert_eq!(served, tried);
    // What the host itself holds back is held back from the same people.
    for route in host.routes().iter().filter(|route| route.realm.is_some()) {
        let rows = rows();
        let row = rows
            .iter()
            .find(|row| row.method == route.method && row.path == route.path)
            .expect("a row");
        assert_eq!(Some(row.realm), route.realm.as_deref());
        assert!(
            ![Anonymous, Garbage, Foreign, Disabled]
                .iter()
                .any(|actor| row.admitted.contains(actor))
        );
    }
}
