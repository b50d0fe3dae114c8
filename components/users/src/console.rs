//! The realm `console`: users as admins see, change, approve and remove them.

use wharf_kit::answer::header;
use wharf_kit::database::{self, Row, Transaction, Value as Column};
use wharf_kit::{
    Endpoint, Error, Request, Response, Value, blobs, clock, json, optional, params, tokens,
};
use wharf_realms::console::{
    self, ADMIN, CONSOLE, Field, SUPER_ADMIN, USER, admit, check, done, done_as, refused,
};
use wharf_realms::media::{self, Kind};
use wharf_realms::validate::Rule::Digits;
use wharf_realms::{account, date};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    console::get("/list/user", list)
        .summary("Users of level 3, newest first, for admins.")
        .parameters(&[optional("page", "The page, from 1.")]),
    console::open("/list/user"),
    console::get("/user/{id}", detail).summary("A user of level 3, for admins."),
    console::put("/user/{id}", update)
        .summary("Changes what is sent of a user of level 3, for super admins.")
        .parameters(&[
            optional(
                "nickname",
                "2 to 16 Chinese characters, letters, digits, dashes and underscores.",
            ),
            optional(
                "name",
                "2 to 16 Chinese characters, letters, digits, dashes and underscores.",
            ),
            optional("phone", "A mobile number."),
            optional(
                "position",
                "2 to 20 Chinese characters, letters, digits, dashes and underscores.",
            ),
            optional("email", "An e-mail address."),
        ]),
    console::delete("/user/{id}", delete).summary("Removes a user of level 3, for super admins."),
    console::open("/user/{id}"),
    console::put("/audit/user/{id}", approve).summary("Lets a user sign in, for super admins."),
    console::open("/audit/user/{id}"),
    console::get("/uploads/{day}/{file}", portrait).unlimited().summary("A user's portrait."),
];

/// Users of a page.
const ROWS: i64 = 15;

/// The status of users whom an admin has approved.
const APPROVED: i64 = 1;

fn list(request: &Request) -> Result<Response, Error> {
    check(request, &[console::optional("page", &[(Digits, "参数类型错误")])])?;
    admit(request, ADMIN)?;
    let wanted = request.input().text("page").parse::<i64>().unwrap_or(1).max(1);
    let counted = database::query_one(
        "SELECT COUNT(*) AS total FROM console_users WHERE level = $1",
        params![USER],
    )?;
    let total = counted.map_or(0, |row| row.integer("total"));
    let last = (total + ROWS - 1) / ROWS;
    let rows = database::query(
        "SELECT users.id, users.username, users.name, users.phone, position, users.email, users.status, users.created_at
         FROM console_users JOIN users ON users.id = console_users.user_id
         WHERE level = $1 ORDER BY console_users.user_id DESC LIMIT $2 OFFSET $3",
        params![USER, ROWS, (wanted - 1).saturating_mul(ROWS)],
    )?;
    let data = json!({
        "total": total,
        "per_page": ROWS,
        "current_page": wanted.min(last.max(1)),
        "last_page": last,
        "data": rows.iter().map(listed).collect::<Vec<_>>(),
    });
    Ok(done(request, data, "success"))
}

fn listed(user: &Row) -> Value {
    let mut listed = shown(user);
    let status = if user.integer("status") == APPROVED { "已审核" } else { "待审核" };
    listed["account_status"] = json!(status);
    listed["create_time"] = json!(date(CONSOLE, user.integer("created_at")));
    listed
}

fn shown(user: &Row) -> Value {
    json!({
        "id": user.json("id"),
        "nickname": user.json("username"),
        "name": user.json("name"),
        "phone": user.json("phone"),
        "position": user.json("position"),
        "email": user.json("email"),
    })
}

fn detail(request: &Request) -> Result<Response, Error> {
    let id = id(request)?;
    admit(request, ADMIN)?;
    let found = database::query_one(
        "SELECT users.id, users.username, users.name, users.phone, position, users.email
         FROM console_users JOIN users ON users.id = console_users.user_id
         WHERE user_id = $1 AND level = $2",
        params![id, USER],
    )?;
    Ok(done(request, found.as_ref().map_or(Value::Null, shown), "success"))
}

const UPDATE: &[Field] = &[
    console::optional("nickname", console::NICKNAME),
    console::optional("phone", console::PHONE),
    console::optional("name", console::NAME),
    console::optional("position", console::POSITION),
    console::optional("email", console::EMAIL),
];

fn update(request: &Request) -> Result<Response, Error> {
    let id = id(request)?;
    check(request, UPDATE)?;
    admit(request, SUPER_ADMIN)?;
    let holder = account::find(CONSOLE, "username", &request.input().text("nickname"))?;
    if holder.is_some_and(|holder| holder != id) {
        return Err(refused(request, "该用户名已被使用"));
    }
    change(request, id).map_err(|error| match error {
        passing if passing.is_passing() => Error::Busy,
        _ => refused(request, "修改用户失败"),
    })?;
    Ok(done(request, Value::Null, "success"))
}

/// Writes what was sent and is not empty. Of users beyond level 3 nothing is changed.
fn change(request: &Request, id: i64) -> Result<(), database::Error> {
    let input = request.input();
    let columns =
        [("nickname", "username"), ("name", "name"), ("phone", "phone"), ("email", "email")];
    let mut set = vec!["updated_at = $1".to_owned()];
    let mut parameters = vec![Column::from(clock::now())];
    for (name, column) in columns {
        if !input.value(name).is_null() {
            parameters.push(input.text(name).into());
            set.push(format!("{column} = ${}", parameters.len()));
        }
    }
    let (by_id, by_level) = (parameters.len() + 1, parameters.len() + 2);
    parameters.extend([id.into(), USER.into()]);
    let sql = format!(
        "UPDATE users SET {} WHERE id IN (SELECT user_id FROM console_users WHERE user_id = ${by_id} AND level = ${by_level})",
        set.join(", ")
    );
    let transaction = Transaction::begin()?;
    transaction.execute(&sql, &parameters)?;
    if !input.value("position").is_null() {
        let sql = "UPDATE console_users SET position = $1 WHERE user_id = $2 AND level = $3";
        transaction.execute(sql, params![input.text("position"), id, USER])?;
    }
    transaction.commit()
}

fn approve(request: &Request) -> Result<Response, Error> {
    let id = id(request)?;
    admit(request, SUPER_ADMIN)?;
    let sql = "UPDATE users SET status = $1, updated_at = $2 WHERE realm = $3 AND id = $4";
    match database::execute(sql, params![APPROVED, clock::now(), CONSOLE, id])? {
        0 => Err(refused(request, "操作失败，请检查参数稍后重试")),
        _ => Ok(done_as(request, Value::Null, "success", "audit/user")),
    }
}

fn delete(request: &Request) -> Result<Response, Error> {
    let id = id(request)?;
    admit(request, SUPER_ADMIN)?;
    let removed = database::query_one(
        "DELETE FROM users WHERE id IN (SELECT user_id FROM console_users WHERE user_id = $1 AND level = $2) RETURNING avatar",
        params![id, USER],
    )?;
    if let Some(user) = removed {
        tokens::revoke_all_of_user(CONSOLE, id)?;
        // The portrait of somebody who was moved in may lie elsewhere; the user is gone in any case.
        let avatar = user.text("avatar");
        if avatar.starts_with("uploads/") {
            media::discard(avatar);
        }
    }
    Ok(done(request, json!(true), "success"))
}

/// The id in the path, which is all digits.
fn id(request: &Request) -> Result<i64, Error> {
    let text = request.path("id");
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits {
        // An id that no row can have is one that no row has.
        return Ok(text.parse().unwrap_or(0));
    }
    Err(console::not_found(request).into())
}

fn portrait(request: &Request) -> Result<Response, Error> {
    let key = format!("uploads/{}/{}", request.path("day"), request.path("file"));
    let kind = match Kind::of_key(&key).map(|kind| (kind, blobs::respond(&key))) {
        Some((kind, Ok(_))) => kind,
        Some((_, Err(blobs::Error::Unavailable))) => return Err(Error::Busy),
        _ => return Err(console::not_found(request).into()),
    };
    let headers = vec![
        header("content-type", kind.content_type()),
        header("x-content-type-options", "nosniff"),
    ];
    Ok(Response { status: 200, headers, body: Vec::new() })
}
