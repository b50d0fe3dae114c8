//! What bookmarks have no need of.

use wharf_kit::prelude::*;

/// How long a body is.
#[post("/odd/length")]
pub(crate) fn length(body: Bytes) -> String {
    body.len().to_string()
}

/// Who calls, if anybody does.
#[get("/odd/whoami")]
pub(crate) fn whoami(user: Option<Identity>) -> (u16, String) {
    user.map_or((203, "nobody".to_owned()), |user| (200, user.realm))
}

/// Who calls, and why a token was refused.
#[get("/odd/caller")]
pub(crate) fn caller(caller: Caller, user: Result<Identity>) -> &'static str {
    match (caller, user) {
        (Caller::Anonymous, Err(_)) => "anonymous",
        (Caller::Identity(_), Ok(_)) => "identity",
        (Caller::Rejected(_), Err(_)) => "rejected",
        _ => "it cannot be both",
    }
}

/// A header of the request.
#[get("/odd/echo")]
pub(crate) fn echo(request: &Request) -> Option<String> {
    request.header("x-echo")
}

/// Any JSON, as deep as it may be.
#[post("/odd/deep")]
pub(crate) fn deep(Json(value): Json<Value>) -> Json<Value> {
    Json(value)
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Wrong {
    id: String,
    more: Option<i64>,
    url: String,
}

/// A statement that forgets a column.
#[get("/odd/no-such-column")]
pub(crate) fn no_such_column() -> Result<Json<Vec<Wrong>>> {
    Ok(Json(database::query_as("SELECT title AS id FROM bookmarks", params![])?))
}

/// A column of another type.
#[get("/odd/another-type")]
pub(crate) fn another_type() -> Result<Json<Vec<Wrong>>> {
    Ok(Json(database::query_as("SELECT id, url FROM bookmarks", params![])?))
}

/// A rule that the handler knows.
#[get("/odd/broken-rule")]
pub(crate) fn broken_rule() -> Result<NoContent> {
    Err(Error::invalid([("name", "is taken"), ("name", "is short")]))
}

/// What no other route has, refused in words of its own.
#[every("/odd/{*rest}", failing = told)]
pub(crate) fn elsewhere(Path(rest): Path<String>) -> Result<NoContent> {
    Err(Error::not_found(&rest))
}

fn told(request: &Request, error: Error) -> Response {
    let answer = error.answer();
    answer.with_header("x-told", &request.path("rest"))
}
