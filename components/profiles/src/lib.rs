//! `profiles`: who the users of the realm `store` are.

use wharf_kit::database::Value as Column;
use wharf_kit::prelude::*;
use wharf_kit::{Map, Parameter, optional};
use wharf_realms::is_day;
use wharf_realms::page::Page;
use wharf_realms::store::{Caller, Date, Done, STORE, column, failed, written};

wharf_kit::component![list, update, remove];

/// A row, and how it is answered.
#[derive(Serialize, Deserialize)]
struct Profile {
    id: i64,
    user_id: i64,
    real_name: Option<String>,
    sex: i64,
    birthday: Option<String>,
    age: Option<String>,
    created_at: Date,
    updated_at: Date,
}

/// The caller's profile; everybody's for admins.
#[get("/api/user_profiles", signed_in = STORE, tag = "profiles")]
fn list(caller: Caller, page: Page) -> Result<Done<Value>> {
    if !caller.is_admin {
        let sql = "SELECT * FROM user_profiles WHERE user_id = $1 ORDER BY id LIMIT 1";
        let own: Option<Profile> = database::query_one_as(sql, params![caller.id])?;
        return Ok(Done(json!(own)));
    }
    let total = database::query_row_as("SELECT COUNT(*) FROM user_profiles", params![])?;
    let sql = "SELECT * FROM user_profiles ORDER BY id LIMIT $1 OFFSET $2";
    let rows: Vec<Profile> = database::query_as(sql, params![page.rows, page.offset()])?;
    Ok(Done(page.of(total, &rows)))
}

const WRITTEN: &[Parameter] = &[
    optional("real_name", "The name on papers."),
    optional("sex", "1 male, 0 female, -1 other."),
    optional("birthday", "A day, as YYYY-MM-DD."),
    optional("age", "The age, as text."),
];

/// Changes what is sent of a profile: one's own, or any for admins.
#[put("/api/user_profiles/{profile_id}", signed_in = STORE, tag = "profiles", parameters = WRITTEN)]
fn update(caller: Caller, request: &Request) -> Result<Done<Profile>> {
    let sent = request.input().only(&["real_name", "sex", "birthday", "age"]);
    let refused = || failed(json!(sent));
    let id = request.id("profile_id").ok_or_else(refused)?;
    let mut set = vec!["updated_at = $1".to_owned()];
    let mut columns = vec![Column::from(clock::now())];
    for (name, value) in &sent {
        columns.push(stored(name, value, &sent)?);
        set.push(format!("{name} = ${}", columns.len()));
    }
    let next = columns.len() + 1;
    columns.extend([id.into(), caller.id.into(), i64::from(caller.is_admin).into()]);
    let sql = format!(
        "UPDATE user_profiles SET {} WHERE id = ${next} AND (user_id = ${} OR CAST(${} AS BIGINT) = 1) RETURNING *",
        set.join(", "),
        next + 1,
        next + 2
    );
    let updated = written(database::query_one_as(&sql, &columns), || json!(sent))?;
    Ok(Done(updated.ok_or_else(refused)?))
}

/// Removes a profile: one's own, or any for admins.
#[delete("/api/user_profiles/{profile_id}", signed_in = STORE, tag = "profiles")]
fn remove(caller: Caller, request: &Request) -> Result<Done<String>> {
    let id = request.id("profile_id").ok_or_else(|| failed(Value::Null))?;
    let sql =
        "DELETE FROM user_profiles WHERE id = $1 AND (user_id = $2 OR CAST($3 AS BIGINT) = 1)";
    let deleted = database::execute(sql, params![id, caller.id, i64::from(caller.is_admin)]);
    match written(deleted, || Value::Null)? {
        0 => Err(failed(Value::Null)),
        _ => Ok(Done(request.path("profile_id"))),
    }
}

/// A value as its column takes it, or the refusal that the column would give.
fn stored(name: &str, value: &Value, sent: &Map<String, Value>) -> Result<Column> {
    let refused = || failed(json!(sent));
    match (name, column(value, || json!(sent))?) {
        ("sex", Some(text)) => Ok(text.parse::<i64>().map_err(|_| refused())?.into()),
        ("birthday", Some(day)) if !is_day(&day) => Err(refused()),
        // `sex` may not be NULL: the database says so.
        ("sex", None) => Ok(None::<i64>.into()),
        (_, text) => Ok(text.into()),
    }
}
