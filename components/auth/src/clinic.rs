//! The realm `clinic`: e-mail addresses, flat bodies, HTTP's own statuses.

use wharf_kit::database::Row;
use wharf_kit::prelude::*;
use wharf_kit::tokens::{self, Subject, Token};
use wharf_kit::{Endpoint, Input, passwords, throttle};
use wharf_realms::account;
use wharf_realms::clinic::{CLINIC, Errors, User, message, taken, user};
use wharf_realms::store::DISABLED;
use wharf_realms::validate::Rule::{Between, Email, Integer, Max, Min, Plain, Required};
use wharf_realms::validate::{Field, field};

pub(super) const ENDPOINTS: &[Endpoint] = endpoints![logout, refresh, me];

const REGISTER: &[Field] = &[
    field("username", &[Required, Plain, Min(3), Max(16)]).label("用户名"),
    field("password", &[Required, Plain, Min(8), Max(20)]).label("密码"),
    field("email", &[Required, Email, Max(255)]).label("邮箱"),
    field("sex", &[Required, Integer, Between(0, 2)]).label("性别"),
    field("age", &[Required, Integer, Between(0, 150)]).label("年龄"),
];

pub(super) fn register(request: &Request) -> Result<Response> {
    let input = request.input();
    let mut errors = Errors::of(input, REGISTER);
    find_taken(input, &mut errors)?;
    errors.check()?;
    throttle::attempt(None)?;
    let password = passwords::hash(&input.text("password"))?;
    match insert(input, &password) {
        Ok(()) => Ok(message(200, "注册成功")),
        // Somebody was quicker with the name or the address.
        Err(database::Error::UniqueViolation(_)) => {
            let mut errors = Errors::default();
            find_taken(input, &mut errors)?;
            errors.check()?;
            Err(Error::Busy)
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells what another user has.
fn find_taken(input: &Input, errors: &mut Errors) -> Result<()> {
    for (column, label) in [("username", "用户名"), ("email", "邮箱")] {
        if account::find(CLINIC, column, &input.text(column))?.is_some() {
            errors.add(column, &taken(label));
        }
    }
    Ok(())
}

fn insert(input: &Input, password: &str) -> Result<(), database::Error> {
    let number = |name| input.text(name).parse::<i64>().ok();
    let transaction = Transaction::begin()?;
    let made: i64 = transaction.query_row_as(
        "INSERT INTO users (realm, name, username, email, password, created_at, updated_at)
         VALUES ($1, $2, $2, $3, $4, $5, $5) RETURNING id",
        params![CLINIC, input.text("username"), input.text("email"), password, clock::now()],
    )?;
    transaction.execute(
        "INSERT INTO clinic_users (user_id, type, sex, age) VALUES ($1, 0, $2, $3)",
        params![made, number("sex"), number("age")],
    )?;
    transaction.commit()
}

const LOGIN: &[Field] = &[
    field("email", &[Required, Email]).label("邮箱"),
    field("password", &[Required, Plain]).label("密码"),
];

pub(super) fn login(request: &Request) -> Result<Response> {
    let input = request.input();
    Errors::of(input, LOGIN).check()?;
    let email = input.text("email");
    account::attempt(CLINIC, &email)?;
    let found = database::query_one(
        "SELECT users.id, username, password, status, type
         FROM users JOIN clinic_users ON clinic_users.user_id = users.id
         WHERE users.realm = $1 AND users.email = $2",
        params![CLINIC, email],
    )?;
    let verified = account::verify(found.as_ref(), &input.text("password"))?;
    let user = found.filter(|user| user.integer("status") != DISABLED);
    if let (Some(user), Some(verified)) = (user, verified) {
        let token = issue(&user)?;
        if verified.still_holds()? {
            return bearer(&token).into_response();
        }
    }
    Ok(message(401, "登录验证失败"))
}

fn issue(user: &Row) -> Result<Token> {
    let token = tokens::issue(&Subject {
        user_id: user.integer("id"),
        realm: CLINIC.to_owned(),
        name: user.text("username").to_owned(),
        roles: Vec::new(),
        // What the original system's own client reads from the token.
        claims: vec![
            ("type".to_owned(), user.integer("type").to_string()),
            ("username".to_owned(), json!(user.text("username")).to_string()),
        ],
    });
    Ok(token?)
}

/// The token, with its lifetime in seconds.
fn bearer(token: &Token) -> Json<Value> {
    Json(
        json!({ "access_token": token.text, "token_type": "bearer", "expires_in": token.expires_in }),
    )
}

/// Ends the token that it is called with.
#[post("/api/auth/logout", signed_in = CLINIC, tag = "clinic")]
fn logout(_: User) -> Result<Response> {
    tokens::revoke()?;
    Ok(message(200, "登出成功"))
}

/// Exchanges the token that it is called with for a new one.
#[post("/api/auth/refresh", exchanges = CLINIC, tag = "clinic")]
fn refresh(User(caller): User) -> Result<Json<Value>> {
    Ok(bearer(&tokens::refresh(caller.text("username"), &[])?))
}

/// The caller.
#[post("/api/auth/me", signed_in = CLINIC, tag = "clinic")]
fn me(User(caller): User) -> Json<Value> {
    Json(user(&caller))
}
