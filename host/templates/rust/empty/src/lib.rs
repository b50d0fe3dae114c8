//! `{{group}}`: a greeting, to begin with.

use wharf_kit::prelude::*;

wharf_kit::component![greet];

#[derive(Serialize)]
struct Greeting {
    greeting: String,
}

/// Greets somebody.
#[get("/{{group}}/{name}", tag = "{{group}}")]
fn greet(Path(name): Path<String>) -> Result<Json<Greeting>> {
    wharf_kit::info!("greeting {name}");
    Ok(Json(Greeting { greeting: format!("Hello, {name}!") }))
}
