//! `profiles`: who the users of the realm `store` are.

use wharf_kit::database::{self, Row, Value as Parameter};
use wharf_kit::{Endpoint, Error, Map, Request, Response, Value, clock, json, optional, params};
use wharf_realms::is_day;
use wharf_realms::page::Page;
use wharf_realms::store::{STORE, caller, column, date, done, failed, written};

wharf_kit::export!(ENDPOINTS);

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/user_profiles", list)
        .signed_in(STORE)
        .tag("profiles")
        .summary("The caller's profile; everybody's for admins.")
        .parameters(&[
            optional("page", "The page, from 1, for admins."),
            optional("page_limit", "Rows of a page; 20 unless it is given."),
        ]),
    Endpoint::put("/api/user_profiles/{profile_id}", update)
        .signed_in(STORE)
        .tag("profiles")
        .summary("Changes what is sent of a profile: one's own, or any for admins.")
        .parameters(&[
            optional("real_name", "The name on papers."),
            optional("sex", "1 male, 0 female, -1 other."),
            optional("birthday", "A day, as YYYY-MM-DD."),
            optional("age", "The age, as text."),
        ]),
    Endpoint::delete("/api/user_profiles/{profile_id}", delete)
        .signed_in(STORE)
        .tag("profiles")
        .summary("Removes a profile: one's own, or any for admins."),
];

fn list(request: &Request) -> Result<Response, Error> {
    let caller = caller(request)?;
    if !caller.is_admin {
        let sql = "SELECT * FROM user_profiles WHERE user_id = $1 ORDER BY id LIMIT 1";
        let own = database::query_one(sql, params![caller.id])?;
        return Ok(done(own.as_ref().map_or(Value::Null, profile_json)));
    }
    let page = Page::of(request.input());
    let total = database::query_one("SELECT COUNT(*) AS total FROM user_profiles", &[])?;
    let sql = "SELECT * FROM user_profiles ORDER BY id LIMIT $1 OFFSET $2";
    let rows = database::query(sql, params![page.rows, page.offset()])?;
    let total = total.map_or(0, |row| row.integer("total"));
    Ok(done(page.answer(request, total, rows.iter().map(profile_json).collect())))
}

fn update(request: &Request) -> Result<Response, Error> {
    let caller = caller(request)?;
    let sent = request.input().only(&["real_name", "sex", "birthday", "age"]);
    let refused = || failed(Value::Object(sent.clone()));
    let id = request.id("profile_id").ok_or_else(refused)?;
    let mut set = vec!["updated_at = $1".to_owned()];
    let mut parameters = vec![Parameter::from(clock::now())];
    for (name, value) in &sent {
        parameters.push(parameter(name, value, &sent)?);
        set.push(format!("{name} = ${}", parameters.len()));
    }
    let next = parameters.len() + 1;
    parameters.extend(params![id, caller.id, i64::from(caller.is_admin)].iter().cloned());
    let sql = format!(
        "UPDATE user_profiles SET {} WHERE id = ${next} AND (user_id = ${} OR CAST(${} AS BIGINT) = 1) RETURNING *",
        set.join(", "),
        next + 1,
        next + 2
    );
    let updated = written(database::query_one(&sql, &parameters), || Value::Object(sent.clone()))?;
    Ok(done(profile_json(&updated.ok_or_else(refused)?)))
}

fn delete(request: &Request) -> Result<Response, Error> {
    let caller = caller(request)?;
    let id = request.id("profile_id").ok_or_else(|| failed(Value::Null))?;
    let sql =
        "DELETE FROM user_profiles WHERE id = $1 AND (user_id = $2 OR CAST($3 AS BIGINT) = 1)";
    let deleted = database::execute(sql, params![id, caller.id, i64::from(caller.is_admin)]);
    match written(deleted, || Value::Null)? {
        0 => Err(failed(Value::Null)),
        _ => Ok(done(json!(request.path("profile_id")))),
    }
}

/// A value as its column takes it, or the refusal that the column would give.
fn parameter(name: &str, value: &Value, sent: &Map<String, Value>) -> Result<Parameter, Error> {
    let refused = || failed(Value::Object(sent.clone()));
    let text = column(value, || json!(sent))?;
    match (name, text) {
        ("sex", Some(text)) => Ok(text.parse::<i64>().map_err(|_| refused())?.into()),
        ("birthday", Some(day)) if !is_day(&day) => Err(refused()),
        // `sex` may not be NULL: the database says so.
        ("sex", None) => Ok(None::<i64>.into()),
        (_, text) => Ok(text.into()),
    }
}

fn profile_json(profile: &Row) -> Value {
    json!({
        "id": profile.json("id"),
        "user_id": profile.json("user_id"),
        "real_name": profile.json("real_name"),
        "sex": profile.json("sex"),
        "birthday": profile.json("birthday"),
        "age": profile.json("age"),
        "created_at": date(profile.integer("created_at")),
        "updated_at": date(profile.integer("updated_at")),
    })
}
