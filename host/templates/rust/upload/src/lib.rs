//! `{{group}}`: files that clients upload, and what is known of each.

use wharf_kit::prelude::*;
use wharf_kit::{blobs, random};

wharf_kit::component![list, upload, download, remove];

/// What is known of a file.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: i64,
    /// The name that its sender gave it.
    name: String,
    bytes: i64,
    /// When it came, in unix seconds.
    created_at: i64,
}

/// The files, the newest first.
#[get("/{{group}}", tag = "{{group}}")]
fn list() -> Result<Json<Vec<Stored>>> {
    let sql = "SELECT id, name, bytes, created_at FROM {{table}} ORDER BY id DESC LIMIT 50";
    Ok(Json(database::query_as(sql, params![])?))
}

/// Keeps the file that is sent in the field `file` of a multipart form.
#[post("/{{group}}", tag = "{{group}}", body_limit = 10_000_000)]
fn upload(files: Files<'_>) -> Result<Created<Stored>> {
    let file = files.required("file")?;
    // Never a key that a client chooses: it would choose somebody else's.
    let key = random::bytes(16).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    files.keep(file, &key)?;
    let bytes = i64::try_from(file.content.len()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO {{table}} (name, blob, bytes, created_at) VALUES ($1, $2, $3, $4)
               RETURNING id, name, bytes, created_at";
    let parameters = params![file.name.as_str(), key.as_str(), bytes, clock::now()];
    Ok(Created(database::query_row_as(sql, parameters)?))
}

/// A file's content.
#[get("/{{group}}/{id}", tag = "{{group}}")]
fn download(Path(id): Path<i64>) -> Result<Option<Response>> {
    let Some(key) = key_of(id)? else { return Ok(None) };
    // The host sends the blob; it does not pass through this instance.
    blobs::respond(&key)?;
    // Whatever it is, a browser shows nothing of it as a page of this origin.
    let response = Response { status: 200, headers: Vec::new(), body: Vec::new() }
        .with_header("content-type", "application/octet-stream")
        .with_header("x-content-type-options", "nosniff");
    Ok(Some(response))
}

/// Removes a file.
#[delete("/{{group}}/{id}", tag = "{{group}}")]
fn remove(Path(id): Path<i64>) -> Result<Option<NoContent>> {
    let Some(key) = key_of(id)? else { return Ok(None) };
    database::execute("DELETE FROM {{table}} WHERE id = $1", params![id])?;
    blobs::delete(&key)?;
    Ok(Some(NoContent))
}

/// Where a file's content lies.
fn key_of(id: i64) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Kept {
        blob: String,
    }
    let kept = database::query_one_as("SELECT blob FROM {{table}} WHERE id = $1", params![id])?;
    Ok(kept.map(|Kept { blob }| blob))
}
