//! `addresses`: where users of the realm `store` have things sent.

use serde::Serializer;
use wharf_kit::database::Value as Column;
use wharf_kit::prelude::*;
use wharf_kit::{Map, Parameter, required};
use wharf_realms::page::Page;
use wharf_realms::store::{Caller, Date, Done, STORE, check, column, date, failed, written};
use wharf_realms::validate::Rule::Required;
use wharf_realms::validate::{Field, field};

wharf_kit::component![list, create, update, remove];

/// A row, and how it is answered.
#[derive(Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "so is the column called")]
struct Address {
    id: i64,
    user_id: i64,
    province: String,
    city: String,
    district: String,
    address: String,
    #[serde(serialize_with = "as_number")]
    zip: String,
    contact_name: String,
    contact_phone: String,
    last_used_at: Option<Date>,
    created_at: Date,
    updated_at: Date,
}

/// What a client writes: the inputs as they are answered, and as columns.
struct Written(Map<String, Value>, Vec<Column>);

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

impl FromRequest<'_> for Written {
    fn from_request(request: &Request) -> Result<Self> {
        let input = request.input();
        check(input, RULES)?;
        let mut sent = input.only(&WRITTEN);
        let columns = WRITTEN.iter().map(|name| column(input.value(name), || json!(sent)));
        let columns = columns.map(|column| Ok(column?.into())).collect::<Result<_>>()?;
        sent.insert("zip".to_owned(), zip(&input.text("zip")));
        Ok(Written(sent, columns))
    }

    fn parameters() -> Vec<Parameter> {
        vec![
            required("province", "The province."),
            required("city", "The city."),
            required("district", "The district."),
            required("address", "Street and house."),
            required("zip", "The postal code."),
            required("contact_name", "Who is to be asked for."),
            required("contact_phone", "Their phone number."),
        ]
    }
}

/// The caller's addresses; everybody's for admins.
#[get("/api/user_addresses", signed_in = STORE, tag = "addresses")]
fn list(caller: Caller, page: Page) -> Result<Done<Value>> {
    // An admin's filter lets every row pass: one statement serves both.
    let filter = "(user_id = $1 OR CAST($2 AS BIGINT) = 1)";
    let (user, all) = (caller.id, i64::from(caller.is_admin));
    let total = database::query_row_as(
        &format!("SELECT COUNT(*) FROM user_addresses WHERE {filter}"),
        params![user, all],
    )?;
    let rows: Vec<Address> = database::query_as(
        &format!("SELECT * FROM user_addresses WHERE {filter} ORDER BY id LIMIT $3 OFFSET $4"),
        params![user, all, page.rows, page.offset()],
    )?;
    Ok(Done(page.of(total, &rows)))
}

/// Adds an address of the caller's.
#[post("/api/user_addresses", signed_in = STORE, tag = "addresses")]
fn create(caller: Caller, Written(mut sent, mut columns): Written) -> Result<Done<Value>> {
    let now = clock::now();
    columns.extend([caller.id.into(), now.into()]);
    let made = database::query_row_as::<i64>(
        "INSERT INTO user_addresses (province, city, district, address, zip, contact_name, contact_phone, user_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) RETURNING id",
        &columns,
    );
    let id = written(made, || json!(sent))?;
    sent.insert("user_id".to_owned(), json!(caller.id));
    sent.insert("updated_at".to_owned(), json!(date(now)));
    sent.insert("created_at".to_owned(), json!(date(now)));
    sent.insert("id".to_owned(), json!(id));
    Ok(Done(sent.into()))
}

/// Replaces an address: one's own, or any for admins.
#[put("/api/user_addresses/{address_id}", signed_in = STORE, tag = "addresses")]
fn update(
    caller: Caller,
    Written(sent, mut columns): Written,
    request: &Request,
) -> Result<Done<Address>> {
    let refused = || failed(json!(sent));
    let id = request.id("address_id").ok_or_else(refused)?;
    let all = i64::from(caller.is_admin);
    columns.extend([clock::now().into(), id.into(), caller.id.into(), all.into()]);
    let updated = database::query_one_as(
        "UPDATE user_addresses SET province = $1, city = $2, district = $3, address = $4, zip = $5,
                contact_name = $6, contact_phone = $7, updated_at = $8
         WHERE id = $9 AND (user_id = $10 OR CAST($11 AS BIGINT) = 1) RETURNING *",
        &columns,
    );
    Ok(Done(written(updated, || json!(sent))?.ok_or_else(refused)?))
}

/// Removes an address: one's own, or any for admins.
#[delete("/api/user_addresses/{address_id}", signed_in = STORE, tag = "addresses")]
fn remove(caller: Caller, request: &Request) -> Result<Done<String>> {
    let id = request.id("address_id").ok_or_else(|| failed(Value::Null))?;
    let sql =
        "DELETE FROM user_addresses WHERE id = $1 AND (user_id = $2 OR CAST($3 AS BIGINT) = 1)";
    let deleted = database::execute(sql, params![id, caller.id, i64::from(caller.is_admin)]);
    match written(deleted, || Value::Null)? {
        0 => Err(failed(Value::Null)),
        _ => Ok(Done(request.path("address_id"))),
    }
}

/// A postal code of plain digits is a number; others, which the original could not store, are text.
fn zip(text: &str) -> Value {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<i64>().ok().filter(|_| digits).map_or_else(|| json!(text), |number| json!(number))
}

fn as_number<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    zip(text).serialize(serializer)
}
