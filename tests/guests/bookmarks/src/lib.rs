//! Bookmarks, written with everything of the kit once: `tests/kit.rs` asks for it over a socket.

mod odd;
mod shelves;

use wharf_kit::prelude::*;

wharf_kit::component![
    list,
    create,
    search,
    show,
    change,
    remove,
    rate,
    set_icon,
    icon,
    import,
    shelves::on_shelf,
    shelves::page,
    odd::length,
    odd::whoami,
    odd::caller,
    odd::echo,
    odd::deep,
    odd::no_such_column,
    odd::another_type,
    odd::broken_rule,
    odd::elsewhere,
];

/// Where a bookmark stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, Parameters)]
#[serde(rename_all = "lowercase")]
enum Shelf {
    Later,
    Kept,
}

impl Shelf {
    fn name(self) -> &'static str {
        match self {
            Shelf::Later => "later",
            Shelf::Kept => "kept",
        }
    }
}

/// A row, and how it is answered.
#[derive(Serialize, Deserialize)]
struct Bookmark {
    id: i64,
    url: String,
    title: Option<String>,
    shelf: Shelf,
    stars: u8,
    weight: f64,
    is_read: bool,
    added_at: i64,
}

/// The columns of a [`Bookmark`].
macro_rules! columns {
    () => {
        "id, url, title, shelf, stars, weight, is_read, added_at"
    };
}

/// A bookmark that is to be made.
#[derive(Deserialize, Validate, Parameters)]
#[serde(rename_all = "camelCase")]
struct NewBookmark {
    /// Where it leads.
    #[garde(length(bytes, min = 1, max = 200), prefix("https://"))]
    url: String,
    /// What it is called.
    #[garde(inner(length(chars, max = 40)))]
    title: Option<String>,
    /// `later` or `kept`.
    #[garde(skip)]
    shelf: Shelf,
    /// How good it is, from 0 to 5.
    #[serde(default)]
    #[garde(range(max = 5))]
    stars: u8,
    /// What it counts for
    /// in lists.
    ///
    /// Nobody reads this paragraph in the API description.
    #[garde(skip)]
    weight: f64,
    /// Whether it was read.
    #[garde(skip)]
    is_read: bool,
}

/// What a list may leave out.
#[derive(Deserialize, Validate, Parameters)]
struct Search {
    /// At least so many stars.
    #[garde(inner(range(max = 5)))]
    stars: Option<u8>,
    /// Only these shelves.
    #[serde(default)]
    #[garde(length(max = 2))]
    shelf: Vec<Shelf>,
}

/// The bookmarks, the heaviest first.
///
/// This is no part of the summary.
#[get("/bookmarks", tag = "bookmarks")]
fn list(Valid(Query(search)): Valid<Query<Search>>) -> Result<Json<Vec<Bookmark>>> {
    found(&search).map(Json)
}

/// Makes a bookmark.
#[post("/bookmarks", tag = "bookmarks", body_limit = 4096)]
fn create(Valid(Json(new)): Valid<Json<NewBookmark>>) -> Result<Created<Bookmark>> {
    let made = database::query_row_as(
        concat!(
            "INSERT INTO bookmarks (url, title, shelf, stars, weight, is_read, added_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ",
            columns!()
        ),
        params![
            new.url,
            new.title,
            new.shelf.name(),
            new.stars,
            new.weight,
            new.is_read,
            clock::now()
        ],
    );
    match made {
        Err(database::Error::UniqueViolation(_)) => {
            Err(Error::conflict("there is a bookmark with this address already"))
        }
        made => Ok(Created(made?)),
    }
}

/// As the list, for clients that send what they look for in whatever form.
#[post("/bookmarks/search", unlimited)]
fn search(Inputs(search): Inputs<Search>) -> Result<Json<Vec<Bookmark>>> {
    found(&search).map(Json)
}

fn found(search: &Search) -> Result<Vec<Bookmark>> {
    let on = |shelf: Shelf| {
        search.shelf.is_empty() || search.shelf.iter().any(|one| one.name() == shelf.name())
    };
    let all: Vec<Bookmark> = database::query_as(
        concat!("SELECT ", columns!(), " FROM bookmarks WHERE stars >= $1 ORDER BY weight DESC"),
        params![search.stars.unwrap_or(0)],
    )?;
    Ok(all.into_iter().filter(|bookmark| on(bookmark.shelf)).collect())
}

/// One bookmark.
#[get("/bookmarks/{id}", tag = "bookmarks")]
fn show(Path(id): Path<i64>) -> Result<Option<Json<Bookmark>>> {
    let sql = concat!("SELECT ", columns!(), " FROM bookmarks WHERE id = $1");
    Ok(database::query_one_as(sql, params![id])?.map(Json))
}

/// What a form changes.
#[derive(Deserialize, Validate, Parameters)]
struct Change {
    /// What it is called; nothing takes the title away.
    #[garde(inner(length(chars, max = 40)))]
    title: Option<String>,
    /// Whether it was read.
    #[serde(default)]
    #[garde(skip)]
    is_read: bool,
}

/// Changes a bookmark, as a form of a page sends it.
#[put("/bookmarks/{id}")]
fn change(
    Path(id): Path<i64>,
    Valid(Form(change)): Valid<Form<Change>>,
) -> Result<Option<Json<Bookmark>>> {
    let sql = concat!(
        "UPDATE bookmarks SET title = $1, is_read = $2 WHERE id = $3 RETURNING ",
        columns!()
    );
    Ok(database::query_one_as(sql, params![change.title, change.is_read, id])?.map(Json))
}

/// Removes a bookmark.
#[delete("/bookmarks/{id}", signed_in = "store")]
fn remove(Path(id): Path<i64>, user: Identity) -> Result<NoContent> {
    if database::execute("DELETE FROM bookmarks WHERE id = $1", params![id])? == 0 {
        return Err(Error::not_found("there is no such bookmark"));
    }
    wharf_kit::info!("user {} removed bookmark {id}", user.user_id);
    Ok(NoContent)
}

/// Rates a bookmark.
#[patch("/bookmarks/{id}/stars/{stars}")]
fn rate(Path((id, stars)): Path<(i64, u8)>) -> Result<Option<(u16, Json<u8>)>> {
    let sql = "UPDATE bookmarks SET stars = $1 WHERE id = $2 RETURNING stars";
    Ok(database::query_one_as(sql, params![stars, id])?.map(|stars| (202, Json(stars))))
}

/// Bytes of an icon.
const LARGEST_ICON: u32 = 64 * 1024;

/// Takes an icon.
#[post("/bookmarks/{id}/icon", body_limit = LARGEST_ICON, parameters = &[file("icon", "A small picture.")])]
fn set_icon(Path(id): Path<i64>, files: Files) -> Result<Option<()>> {
    let icon = files.required("icon")?;
    files.keep(icon, &format!("icons/{id}"))?;
    let sql = "UPDATE bookmarks SET icon = $1 WHERE id = $2 RETURNING id";
    Ok(database::query_one_as::<i64>(sql, params![&*icon.content, id])?.map(|_| ()))
}

/// An icon.
#[get("/bookmarks/{id}/icon")]
fn icon(Path(id): Path<i64>) -> Result<Option<Response>> {
    let sql = "SELECT icon FROM bookmarks WHERE id = $1";
    let icon: Option<Vec<u8>> = database::query_one_as(sql, params![id])?.flatten();
    let answer = |body| Response { status: 200, headers: Vec::new(), body };
    Ok(icon.map(|icon| answer(icon).with_header("content-type", "application/octet-stream")))
}

/// Makes a bookmark of each line of text, or of none.
#[post("/bookmarks/import", body_limit = import_limit)]
fn import(lines: String) -> Result<Created<Vec<(i64, String)>>> {
    let transaction = Transaction::begin()?;
    for url in lines.lines() {
        let sql = "INSERT INTO bookmarks (url, shelf, stars, weight, is_read, added_at) VALUES ($1, 'later', 0, 0, $2, $3)";
        transaction.execute(sql, params![url, false, clock::now()])?;
    }
    let all = transaction.query_as("SELECT id, url FROM bookmarks ORDER BY id", params![])?;
    transaction.commit()?;
    Ok(Created(all))
}

fn import_limit() -> u32 {
    100 * 1024
}
