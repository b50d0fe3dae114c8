use wharf_kit::prelude::*;

wharf_kit::component![waits, generic, lives, any, no_parameter, too_few];

#[get("/a")]
async fn waits() {}

#[get("/a")]
fn generic<T>() {}

#[get("/a")]
fn lives<'r>(_: &'r Request) {}

#[get("/a")]
fn any(_: impl FromRequest<'static>) {}

#[get("/a")]
fn no_parameter(_: Path<i64>) {}

#[get("/{a}/{b}/{c}")]
fn too_few(_: Path<(i64, i64)>) {}

#[get("/a")]
struct NoFunction;

fn main() {}
