//! The realm `store`: users for admins and for themselves.

use wharf_kit::database::{self, Value as Parameter};
use wharf_kit::passwords::Verdict;
use wharf_kit::{
    Endpoint, Error, Request, Response, Value, clock, json, optional, params, passwords, required,
    tokens,
};
use wharf_realms::account;
use wharf_realms::page::Page;
use wharf_realms::store::{
    Caller, Code, DISABLED, STORE, USER, caller, check, column, done, envelope_with, not_allowed,
    user, written,
};
use wharf_realms::validate::Rule::{AlphaDash, Confirmed, Min, Required, Same};
use wharf_realms::validate::{Field, field};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/user_info", list)
        .signed_in(STORE)
        .tag("users")
        .summary("All users for admins; others see themselves.")
        .parameters(&[
            optional("username", "Only this user."),
            optional("page", "The page, from 1."),
            optional("page_limit", "Rows of a page; 20 unless it is given."),
        ]),
    Endpoint::put("/api/user_info/{username}", update)
        .signed_in(STORE)
        .tag("users")
        .summary("Changes what is sent of a user: one's own, or any for admins.")
        .parameters(&[
            optional("name", "The name to be called by."),
            optional("email", "An e-mail address."),
            optional("phone", "A phone number."),
            optional("avatar", "The address of a picture."),
        ]),
    Endpoint::delete("/api/user_info/{username}", disable)
        .signed_in(STORE)
        .tag("users")
        .summary("Disables a user and ends their tokens."),
    Endpoint::put("/api/user/password/{username}", change_password)
        .signed_in(STORE)
        .tag("users")
        .summary("Changes a password and ends the tokens of its user.")
        .parameters(&[
            required("oldPassword", "The password until now."),
            required("newPassword", "At least 6 letters, digits, dashes and underscores."),
            required("newPassword_confirmation", "The same again."),
        ]),
];

fn list(request: &Request) -> Result<Response, Error> {
    let caller = caller(request)?;
    if !caller.is_admin {
        let sql = format!("SELECT {USER} FROM users WHERE realm = $1 AND id = $2");
        let own = database::query(&sql, params![STORE, caller.id])?;
        return Ok(done(own.iter().map(user).collect()));
    }
    let page = Page::of(request.input());
    let mut filter = "realm = $1".to_owned();
    let mut parameters = vec![Parameter::from(STORE)];
    if !request.input().value("username").is_null() {
        filter.push_str(" AND username = $2");
        parameters.push(request.input().text("username").into());
    }
    let total = database::query_one(
        &format!("SELECT COUNT(*) AS total FROM users WHERE {filter}"),
        &parameters,
    )?;
    let (limit, offset) = (parameters.len() + 1, parameters.len() + 2);
    parameters.extend([page.rows.into(), page.offset().into()]);
    let sql = format!(
        "SELECT {USER} FROM users WHERE {filter} ORDER BY id LIMIT ${limit} OFFSET ${offset}"
    );
    let users = database::query(&sql, &parameters)?;
    let total = total.map_or(0, |row| row.integer("total"));
    Ok(done(page.answer(request, total, users.iter().map(user).collect())))
}

fn update(request: &Request) -> Result<Response, Error> {
    let username = request.path("username");
    let target = owned_or_admin(caller(request)?, &username)?;
    let sent = request.input().only(&["name", "email", "phone", "avatar"]);
    let mut set = vec!["updated_at = $1".to_owned()];
    let mut parameters = vec![Parameter::from(clock::now())];
    for (name, value) in &sent {
        parameters.push(column(value, || json!(sent))?.into());
        set.push(format!("{name} = ${}", parameters.len()));
    }
    parameters.push(target.into());
    let sql = format!(
        "UPDATE users SET {} WHERE id = ${} RETURNING {USER}",
        set.join(", "),
        parameters.len()
    );
    let updated = written(database::query(&sql, &parameters), || Value::Object(sent))?;
    Ok(done(updated.iter().map(user).collect()))
}

fn disable(request: &Request) -> Result<Response, Error> {
    let target = owned_or_admin(caller(request)?, &request.path("username"))?;
    if let Some(target) = target {
        let sql = "UPDATE users SET status = $1, updated_at = $2 WHERE id = $3";
        written(database::execute(sql, params![DISABLED, clock::now(), target]), || Value::Null)?;
        tokens::revoke_all_of_user(STORE, target)?;
    }
    Ok(done(Value::Null))
}

const PASSWORD: &[Field] = &[
    field("oldPassword", &[Required]),
    field("newPassword", &[Required, AlphaDash, Min(6), Confirmed]),
    field("newPassword_confirmation", &[Required, Same("newPassword")]),
];

fn change_password(request: &Request) -> Result<Response, Error> {
    let caller = caller(request)?;
    let input = request.input();
    check(input, PASSWORD)?;
    let target = owned_or_admin(caller, &request.path("username"))?;
    let (old, new) = (input.text("oldPassword"), input.text("newPassword"));
    let refuse = |message| Ok(envelope_with(Value::Null, Code::Invalid, message));
    if old == new {
        return refuse("新密码不能与旧密码相同");
    }
    let stored = match target {
        Some(target) => {
            database::query_one("SELECT password FROM users WHERE id = $1", params![target])?
        }
        None => None,
    };
    let stored = stored.map(|row| row.text("password").to_owned());
    let (Some(target), Verdict::Matches | Verdict::Upgraded(_)) =
        (target, passwords::verify(&old, stored.as_deref())?)
    else {
        return refuse("旧密码错误");
    };
    let hash = passwords::hash(&new)?;
    // Before the change, so that nothing is changed where this cannot be remembered; and after it, for
    // whoever signed in with the old password in between.
    tokens::revoke_all_of_user(STORE, target)?;
    let sql = "UPDATE users SET password = $1, updated_at = $2 WHERE id = $3";
    written(database::execute(sql, params![hash, clock::now(), target]), || Value::Null)?;
    tokens::revoke_all_of_user(STORE, target)?;
    Ok(done(Value::Null))
}

/// The id of the user of this name, if the caller is that user or an admin; an admin may ask for nobody.
fn owned_or_admin(caller: Caller, username: &str) -> Result<Option<i64>, Error> {
    let target = account::find(STORE, "username", username)?;
    if caller.is_admin || target == Some(caller.id) { Ok(target) } else { Err(not_allowed()) }
}
