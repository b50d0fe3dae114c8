//! Bookmarks as pages show them.

use wharf_kit::prelude::*;

use crate::Shelf;

/// Where something stands on a shelf.
#[derive(Deserialize, Parameters)]
pub(crate) struct Place {
    /// The shelf.
    shelf: Shelf,
    /// How its address begins, behind the scheme.
    prefix: String,
}

/// The addresses on a shelf.
#[get("/shelves/{shelf}/{*prefix}")]
pub(crate) fn on_shelf(Path(place): Path<Place>) -> Result<String> {
    let sql = "SELECT url FROM bookmarks WHERE shelf = $1 AND url LIKE $2 ORDER BY url";
    let like = format!("https://{}%", place.prefix);
    let urls: Vec<String> = database::query_as(sql, params![place.shelf.name(), like])?;
    Ok(urls.join("\n"))
}

/// How many there are, as a page.
#[get("/shelves")]
pub(crate) fn page() -> Result<Html<String>> {
    let total: i64 = database::query_row_as("SELECT COUNT(*) AS total FROM bookmarks", params![])?;
    Ok(Html(format!("<p>{total} bookmarks")))
}
