//! `addresses`: where users of the realm `store` have things sent.

use wharf_kit::database::{self, Row, Value as Parameter};
use wharf_kit::{
    Endpoint, Error, Input, Map, Parameter as Documented, Request, Response, Value, clock, json,
    params, required,
};
use wharf_realms::page::Page;
use wharf_realms::store::{
    STORE, caller, check, column, date, done, failed, optional_date, written,
};
use wharf_realms::validate::Rule::Required;
use wharf_realms::validate::{Field, field};

wharf_kit::export!(ENDPOINTS);

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/user_addresses", list)
        .signed_in(STORE)
        .tag("addresses")
        .summary("The caller's addresses; everybody's for admins.")
        .parameters(&[
            wharf_kit::optional("page", "The page, from 1."),
            wharf_kit::optional("page_limit", "Rows of a page; 20 unless it is given."),
        ]),
    Endpoint::post("/api/user_addresses", create)
        .signed_in(STORE)
        .tag("addresses")
        .summary("Adds an address of the caller's.")
        .parameters(DOCUMENTED),
    Endpoint::put("/api/user_addresses/{address_id}", update)
        .signed_in(STORE)
        .tag("addresses")
        .summary("Replaces an address: one's own, or any for admins.")
        .parameters(DOCUMENTED),
    Endpoint::delete("/api/user_addresses/{address_id}", delete)
        .signed_in(STORE)
        .tag("addresses")
        .summary("Removes an address: one's own, or any for admins."),
];

const DOCUMENTED: &[Documented] = &[
    required("province", "The province."),
    required("city", "The city."),
    required("district", "The district."),
    required("address", "Street and house."),
    required("zip", "The postal code."),
    required("contact_name", "Who is to be asked for."),
    required("contact_phone", "Their phone number."),
];

/// The columns that a client writes, in the order of the answers.
const WRITTEN: [&str; 7] =
    ["province", "city", "district", "address", "zip", "contact_name", "contact_phone"];

const RULES: &[Field] = &[
    field("province", &[Required]).label("省"),
    field("city", &[Required]).label("城市"),
    field("district", &[Required]).label("地区"),
    field("address", &[Required]).label("详细地址"),
    field("zip", &[Required]).label("邮编"),
    field("contact_name", &[Required]).label("姓名"),
    field("contact_phone", &[Required]).label("电话"),
];

fn list(request: &Request) -> Result<Response, Error> {
    let caller = caller(request)?;
    let page = Page::of(request.input());
    // An admin's filter lets every row pass: one statement serves both.
    let (all, user) = (i64::from(caller.is_admin), caller.id);
    let filter = "(user_id = $1 OR CAST($2 AS BIGINT) = 1)";
    let total = database::query_one(
        &format!("SELECT COUNT(*) AS total FROM user_addresses WHERE {filter}"),
        params![user, all],
    )?;
    let rows = database::query(
        &format!("SELECT * FROM user_addresses WHERE {filter} ORDER BY id LIMIT $3 OFFSET $4"),
        params![user, all, page.rows, page.offset()],
    )?;
    let total = total.map_or(0, |row| row.integer("total"));
    Ok(done(page.answer(request, total, rows.iter().map(address_json).collect())))
}

fn create(request: &Request) -> Result<Response, Error> {
    let caller = caller(request)?;
    let (sent, mut parameters) = read(request.input())?;
    let now = clock::now();
    parameters.extend(params![caller.id, now].iter().cloned());
    let made = database::query_one(
        "INSERT INTO user_addresses (province, city, district, address, zip, contact_name, contact_phone, user_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) RETURNING id",
        &parameters,
    );
    let made = written(made, || Value::Object(sent.clone()))?;
    let mut answer = sent;
    answer.insert("user_id".to_owned(), json!(caller.id));
    answer.insert("updated_at".to_owned(), json!(date(now)));
    answer.insert("created_at".to_owned(), json!(date(now)));
    answer.insert("id".to_owned(), made.map_or(Value::Null, |row| row.json("id")));
    Ok(done(Value::Object(answer)))
}

fn update(request: &Request) -> Result<Response, Error> {
    let caller = caller(request)?;
    let (sent, mut parameters) = read(request.input())?;
    let Some(id) = request.id("address_id") else {
        return Err(failed(Value::Object(sent)));
    };
    parameters
        .extend(params![clock::now(), id, caller.id, i64::from(caller.is_admin)].iter().cloned());
    let updated = database::query_one(
        "UPDATE user_addresses SET province = $1, city = $2, district = $3, address = $4, zip = $5,
                contact_name = $6, contact_phone = $7, updated_at = $8
         WHERE id = $9 AND (user_id = $10 OR CAST($11 AS BIGINT) = 1) RETURNING *",
        &parameters,
    );
    let updated = written(updated, || Value::Object(sent.clone()))?;
    let updated = updated.ok_or_else(|| failed(Value::Object(sent)))?;
    Ok(done(address_json(&updated)))
}

fn delete(request: &Request) -> Result<Response, Error> {
    let caller = caller(request)?;
    let id = request.id("address_id").ok_or_else(|| failed(Value::Null))?;
    let sql =
        "DELETE FROM user_addresses WHERE id = $1 AND (user_id = $2 OR CAST($3 AS BIGINT) = 1)";
    let deleted = database::execute(sql, params![id, caller.id, i64::from(caller.is_admin)]);
    match written(deleted, || Value::Null)? {
        0 => Err(failed(Value::Null)),
        _ => Ok(done(json!(request.path("address_id")))),
    }
}

/// The seven inputs as they are answered, and as parameters.
fn read(input: &Input) -> Result<(Map<String, Value>, Vec<Parameter>), Error> {
    check(input, RULES)?;
    let mut sent = input.only(&WRITTEN);
    let parameters = WRITTEN
        .iter()
        .map(|name| Ok(column(input.value(name), || json!(sent))?.into()))
        .collect::<Result<_, Error>>()?;
    sent.insert("zip".to_owned(), zip(&input.text("zip")));
    Ok((sent, parameters))
}

/// A postal code of plain digits is a number; others, which the original could not store, are text.
fn zip(text: &str) -> Value {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<i64>().ok().filter(|_| digits).map_or_else(|| json!(text), |number| json!(number))
}

fn address_json(address: &Row) -> Value {
    json!({
        "id": address.json("id"),
        "user_id": address.json("user_id"),
        "province": address.json("province"),
        "city": address.json("city"),
        "district": address.json("district"),
        "address": address.json("address"),
        "zip": zip(address.text("zip")),
        "contact_name": address.json("contact_name"),
        "contact_phone": address.json("contact_phone"),
        "last_used_at": optional_date(address.optional_integer("last_used_at")),
        "created_at": date(address.integer("created_at")),
        "updated_at": date(address.integer("updated_at")),
    })
}
