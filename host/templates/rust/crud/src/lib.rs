//! `{{group}}`: items in a table of their own.

use wharf_kit::prelude::*;

wharf_kit::component![list, create, show, update, delete];

/// An item, as it is stored and answered.
#[derive(Serialize, Deserialize)]
struct Item {
    id: i64,
    name: String,
    amount: i64,
    /// When it was made, in unix seconds.
    created_at: i64,
}

/// What a client sends of an item.
#[derive(Deserialize, Validate, Parameters)]
struct Sent {
    /// What it is called; no two items are called the same.
    #[garde(length(chars, min = 1, max = 100))]
    name: String,
    /// How many there are.
    #[garde(range(min = 0))]
    amount: i64,
}

/// Which page of the items.
#[derive(Deserialize, Parameters)]
struct Page {
    /// The id that the page comes after; from the beginning unless it is given.
    #[serde(default)]
    after: i64,
}

/// The items, 50 at a time.
#[get("/{{group}}", tag = "{{group}}")]
fn list(Query(page): Query<Page>) -> Result<Json<Vec<Item>>> {
    let sql = "SELECT id, name, amount, created_at FROM {{table}} WHERE id > $1 ORDER BY id LIMIT 50";
    Ok(Json(database::query_as(sql, params![page.after])?))
}

/// Adds an item.
#[post("/{{group}}", tag = "{{group}}")]
fn create(Valid(Json(sent)): Valid<Json<Sent>>) -> Result<Created<Item>> {
    let sql = "INSERT INTO {{table}} (name, amount, created_at) VALUES ($1, $2, $3)
               RETURNING id, name, amount, created_at";
    let made: Item =
        database::query_row_as(sql, params![sent.name, sent.amount, clock::now()]).map_err(taken)?;
    wharf_kit::info!("item {} was added", made.id);
    Ok(Created(made))
}

/// One item.
#[get("/{{group}}/{id}", tag = "{{group}}")]
fn show(Path(id): Path<i64>) -> Result<Option<Json<Item>>> {
    let sql = "SELECT id, name, amount, created_at FROM {{table}} WHERE id = $1";
    Ok(database::query_one_as(sql, params![id])?.map(Json))
}

/// Changes an item.
#[put("/{{group}}/{id}", tag = "{{group}}")]
fn update(Path(id): Path<i64>, Valid(Json(sent)): Valid<Json<Sent>>) -> Result<Option<Json<Item>>> {
    let sql = "UPDATE {{table}} SET name = $1, amount = $2 WHERE id = $3
               RETURNING id, name, amount, created_at";
    let changed = database::query_one_as(sql, params![sent.name, sent.amount, id]);
    Ok(changed.map_err(taken)?.map(Json))
}

/// Removes an item.
#[delete("/{{group}}/{id}", tag = "{{group}}")]
fn delete(Path(id): Path<i64>) -> Result<Option<NoContent>> {
    let removed = database::execute("DELETE FROM {{table}} WHERE id = $1", params![id])?;
    Ok((removed > 0).then_some(NoContent))
}

/// What went wrong where an item was written.
fn taken(error: database::Error) -> Error {
    match error {
        database::Error::UniqueViolation(_) => Error::conflict("there is an item of this name"),
        other => other.into(),
    }
}
