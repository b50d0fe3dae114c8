//! The realm `store`: users for admins and for themselves.

use wharf_kit::database::Value as Column;
use wharf_kit::passwords::{self, Verdict};
use wharf_kit::prelude::*;
use wharf_kit::{Endpoint, Parameter, optional, required, tokens};
use wharf_realms::account;
use wharf_realms::page::Page;
use wharf_realms::store::{
    Caller, Code, DISABLED, Done, STORE, USER, User, check, column, envelope_with, not_allowed,
    written,
};
use wharf_realms::validate::Rule::{AlphaDash, Confirmed, Min, Required, Same};
use wharf_realms::validate::{Field, field};

pub(super) const ENDPOINTS: &[Endpoint] = endpoints![list, update, disable, change_password];

const FILTER: &[Parameter] = &[optional("username", "Only this user.")];

/// All users for admins; others see themselves.
#[get("/api/user_info", signed_in = STORE, tag = "users", parameters = FILTER)]
fn list(caller: Caller, page: Page, request: &Request) -> Result<Done<Value>> {
    if !caller.is_admin {
        let sql = format!("SELECT {USER} FROM users WHERE realm = $1 AND id = $2");
        let own: Vec<User> = database::query_as(&sql, params![STORE, caller.id])?;
        return Ok(Done(json!(own)));
    }
    let mut filter = "realm = $1".to_owned();
    let mut columns = vec![Column::from(STORE)];
    if !request.input().value("username").is_null() {
        filter.push_str(" AND username = $2");
        columns.push(request.input().text("username").into());
    }
    let sql = format!("SELECT COUNT(*) FROM users WHERE {filter}");
    let total = database::query_row_as(&sql, &columns)?;
    let (limit, offset) = (columns.len() + 1, columns.len() + 2);
    columns.extend([page.rows.into(), page.offset().into()]);
    let sql = format!(
        "SELECT {USER} FROM users WHERE {filter} ORDER BY id LIMIT ${limit} OFFSET ${offset}"
    );
    let users: Vec<User> = database::query_as(&sql, &columns)?;
    Ok(Done(page.of(total, &users)))
}

const CHANGED: &[Parameter] = &[
    optional("name", "The name to be called by."),
    optional("email", "An e-mail address."),
    optional("phone", "A phone number."),
    optional("avatar", "The address of a picture."),
];

/// Changes what is sent of a user: one's own, or any for admins.
#[put("/api/user_info/{username}", signed_in = STORE, tag = "users", parameters = CHANGED)]
fn update(caller: Caller, request: &Request) -> Result<Done<Vec<User>>> {
    let target = owned_or_admin(caller, &request.path("username"))?;
    let sent = request.input().only(&["name", "email", "phone", "avatar"]);
    let mut set = vec!["updated_at = $1".to_owned()];
    let mut columns = vec![Column::from(clock::now())];
    for (name, value) in &sent {
        columns.push(column(value, || json!(sent))?.into());
        set.push(format!("{name} = ${}", columns.len()));
    }
    columns.push(target.into());
    let sql = format!(
        "UPDATE users SET {} WHERE id = ${} RETURNING {USER}",
        set.join(", "),
        columns.len()
    );
    Ok(Done(written(database::query_as(&sql, &columns), || Value::Object(sent))?))
}

/// Disables a user and ends their tokens.
#[delete("/api/user_info/{username}", signed_in = STORE, tag = "users")]
fn disable(caller: Caller, request: &Request) -> Result<Done<()>> {
    let target = owned_or_admin(caller, &request.path("username"))?;
    if let Some(target) = target {
        let sql = "UPDATE users SET status = $1, updated_at = $2 WHERE id = $3";
        written(database::execute(sql, params![DISABLED, clock::now(), target]), || Value::Null)?;
        tokens::revoke_all_of_user(STORE, target)?;
    }
    Ok(Done(()))
}

const PASSWORD: &[Field] = &[
    field("oldPassword", &[Required]),
    field("newPassword", &[Required, AlphaDash, Min(6), Confirmed]),
    field("newPassword_confirmation", &[Required, Same("newPassword")]),
];

const PASSWORDS: &[Parameter] = &[
    required("oldPassword", "The password until now."),
    required("newPassword", "At least 6 letters, digits, dashes and underscores."),
    required("newPassword_confirmation", "The same again."),
];

/// Changes a password and ends the tokens of its user.
#[put("/api/user/password/{username}", signed_in = STORE, tag = "users", parameters = PASSWORDS)]
fn change_password(caller: Caller, request: &Request) -> Result<Response> {
    let input = request.input();
    check(input, PASSWORD)?;
    let target = owned_or_admin(caller, &request.path("username"))?;
    let (old, new) = (input.text("oldPassword"), input.text("newPassword"));
    let refuse = |message| Ok(envelope_with(Value::Null, Code::Invalid, message));
    if old == new {
        return refuse("新密码不能与旧密码相同");
    }
    let stored: Option<String> = match target {
        Some(target) => {
            let sql = "SELECT password FROM users WHERE id = $1";
            database::query_one_as(sql, params![target])?
        }
        None => None,
    };
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
    Done(()).into_response()
}

/// The id of the user of this name, if the caller is that user or an admin; an admin may ask for nobody.
fn owned_or_admin(caller: Caller, username: &str) -> Result<Option<i64>> {
    let target = account::find(STORE, "username", username)?;
    if caller.is_admin || target == Some(caller.id) { Ok(target) } else { Err(not_allowed()) }
}
