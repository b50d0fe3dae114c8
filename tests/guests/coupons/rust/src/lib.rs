//! The coupons service in Rust; what it promises is written in `../README.md`.

use serde::Deserialize;
use wharf_kit::bindings::wharf::plugin::http::Caller;
use wharf_kit::database::{self, Row};
use wharf_kit::log::{self, Level};
use wharf_kit::{
    Endpoint, Error, Map, Request, Response, Value, answer, cache, clock, json, optional, params,
    required, settings,
};

wharf_kit::export!(ENDPOINTS);

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/coupons", list)
        .tag("coupons")
        .summary("The coupons by code, a page at a time.")
        .parameters(&[optional("after", "The code that the page comes after.")]),
    Endpoint::post("/api/coupons", create)
        .tag("coupons")
        .summary("Creates a coupon.")
        .parameters(&[required("code", "The code."), required("percent", "The discount.")]),
    Endpoint::get("/api/coupons/{code}", show).tag("coupons").summary("One coupon."),
    Endpoint::post("/api/coupons/{code}/redeem", redeem)
        .tag("coupons")
        .summary("Redeems a coupon, once."),
];

const PAGE: usize = 50;
/// One more than a page has, to know whether another follows.
const ASKED: i64 = 51;
const CODE_BYTES: usize = 64;
const PAGE_SECONDS: u32 = 60;
const GENERATION_SECONDS: u32 = 86_400;
const GENERATION: &str = "coupons/generation";

fn list(request: &Request) -> Result<Response, Error> {
    let after = request.input().text("after");
    // Whatever changes a coupon makes a new generation, so a page of an older one is never read again.
    let generation = cache::get(GENERATION).unwrap_or_default();
    let key = format!("coupons/{generation:02x?}/{after}");
    if let Some(cached) = cache::get(&key) {
        return Ok(page(cached, "hit"));
    }
    let mut rows = database::query(
        "SELECT code, percent, redeemed_by, redeemed_at FROM coupons WHERE code > $1 ORDER BY code LIMIT $2",
        params![after, ASKED],
    )?;
    let is_more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let next = rows.last().filter(|_| is_more).map(|row| row.json("code"));
    let coupons: Vec<Value> = rows.iter().map(coupon_json).collect();
    let body = json!({ "coupons": coupons, "next": next }).to_string().into_bytes();
    cache::set(&key, &body, PAGE_SECONDS);
    Ok(page(body, "miss"))
}

fn page(body: Vec<u8>, cached: &str) -> Response {
    let headers =
        vec![answer::header("content-type", "application/json"), answer::header("x-cache", cached)];
    Response { status: 200, headers, body }
}

fn create(request: &Request) -> Result<Response, Error> {
    let (code, percent) = sent(request.body());
    let most = settings::get("most_percent").and_then(|most| most.parse().ok()).unwrap_or(100);
    let code = code.filter(|code| is_code(code));
    let percent = percent.filter(|percent| (1..=most).contains(percent));
    let (Some(code), Some(percent)) = (&code, percent) else {
        return Ok(refused(code.is_none(), percent.is_none(), most));
    };
    let sql = "INSERT INTO coupons (code, percent) VALUES ($1, $2)";
    match database::execute(sql, params![code.as_str(), percent]) {
        Ok(_) => {}
        Err(database::Error::UniqueViolation(_)) => {
            return Ok(message(409, "there is a coupon with this code already"));
        }
        Err(error) => return Err(error.into()),
    }
    changed();
    let made =
        json!({ "code": code, "percent": percent, "redeemed_by": null, "redeemed_at": null });
    Ok(answer::json(201, &made))
}

fn refused(is_code_wrong: bool, is_percent_wrong: bool, most: i64) -> Response {
    let mut fields = Map::new();
    if is_code_wrong {
        let rule = format!("must be text of 1 to {CODE_BYTES} bytes without control characters");
        fields.insert("code".to_owned(), rule.into());
    }
    if is_percent_wrong {
        let rule = format!("must be a whole number from 1 to {most}");
        fields.insert("percent".to_owned(), rule.into());
    }
    answer::json(422, &json!({ "message": "the coupon is not valid", "fields": fields }))
}

fn show(request: &Request) -> Result<Response, Error> {
    let coupon = find(&request.path("code"))?;
    Ok(coupon.map_or_else(none, |row| answer::json(200, &coupon_json(&row))))
}

fn redeem(request: &Request) -> Result<Response, Error> {
    let code = request.path("code");
    let who = match request.caller() {
        Caller::Identity(user) => format!("{}/{}", user.realm, user.user_id),
        Caller::Anonymous | Caller::Rejected(_) => "anonymous".to_owned(),
    };
    let redeemed = database::query_one(
        "UPDATE coupons SET redeemed_by = $1, redeemed_at = $2
         WHERE code = $3 AND redeemed_at IS NULL RETURNING code, percent, redeemed_by, redeemed_at",
        params![who.as_str(), clock::now(), code.as_str()],
    )?;
    if let Some(row) = redeemed {
        changed();
        log::write(Level::Info, &format!("coupon {code} redeemed by {who}"));
        return Ok(answer::json(200, &coupon_json(&row)));
    }
    Ok(find(&code)?.map_or_else(none, |_| message(409, "this coupon was redeemed before")))
}

fn find(code: &str) -> Result<Option<Row>, Error> {
    let sql = "SELECT code, percent, redeemed_by, redeemed_at FROM coupons WHERE code = $1";
    Ok(database::query_one(sql, params![code])?)
}

fn none() -> Response {
    message(404, "there is no such coupon")
}

fn message(status: u16, text: &str) -> Response {
    answer::json(status, &json!({ "message": text }))
}

fn changed() {
    cache::increment(GENERATION, GENERATION_SECONDS);
}

fn coupon_json(row: &Row) -> Value {
    json!({
        "code": row.json("code"),
        "percent": row.json("percent"),
        "redeemed_by": row.json("redeemed_by"),
        "redeemed_at": row.json("redeemed_at"),
    })
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Percent {
    percent: f64,
}

/// Code and percent, each on its own, if the body is a JSON object that has one of its type.
fn sent(body: &[u8]) -> (Option<String>, Option<i64>) {
    let code = serde_json::from_slice(body).map(|Code { code }| code);
    let percent = serde_json::from_slice(body).map(|Percent { percent }| percent);
    #[expect(clippy::cast_possible_truncation, reason = "what is too large saturates")]
    let whole = percent.ok().filter(|percent| percent.fract() == 0.0).map(|percent| percent as i64);
    (code.ok(), whole)
}

fn is_code(code: &str) -> bool {
    (1..=CODE_BYTES).contains(&code.len()) && !code.chars().any(|c| c.is_ascii_control())
}
