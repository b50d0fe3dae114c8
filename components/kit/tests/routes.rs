//! What the attributes and types say of routes, as the host is told when it asks a component for them.

use garde::Validate;
use serde::Deserialize;
use wharf_kit::bindings::exports::wharf::plugin::handler::{Access, Route, Throttle};
use wharf_kit::prelude::*;
use wharf_kit::{Kind, Place};

wharf_kit::component![list, create, exchange, upload, page, anything, preflight];

#[expect(dead_code, reason = "what is read is told, and not looked at")]
#[derive(Deserialize, Validate, Parameters)]
#[serde(rename_all = "camelCase")]
struct Search {
    /// How good it is,
    /// at least.
    ///
    /// More than anybody reads.
    #[garde(skip)]
    least_stars: Option<u8>,
    /// Whose it is.
    #[garde(skip)]
    #[serde(rename = "owner")]
    whose: i64,
    #[garde(skip)]
    #[serde(default)]
    tags: Vec<String>,
    #[garde(skip)]
    #[serde(skip)]
    _cached: bool,
    #[garde(skip)]
    #[serde(flatten)]
    shape: Shape,
}

#[expect(dead_code, reason = "what is read is told, and not looked at")]
#[derive(Deserialize, Parameters)]
struct Shape {
    /// The form.
    form: Form,
}

#[derive(Deserialize, Parameters)]
enum Form {
    Round,
}

/// What there is.
///
/// This is no part of the summary.
#[get("/things", tag = "things")]
fn list(Valid(Query(_)): Valid<Query<Search>>) {}

#[post("/things", signed_in = SHOP, body_limit = 7 * 1024)]
fn create(_: Identity, _: Json<Option<Shape>>) {}

const SHOP: &str = "store";

#[put("/tokens", exchanges = "store", body_limit = largest)]
fn exchange() {}

fn largest() -> u32 {
    9
}

#[patch("/things/{id}/{name}", parameters = &[file("photo", "A picture.")])]
fn upload(_: Path<(i64, String)>, _: Files) {}

#[expect(dead_code, reason = "what is read is told, and not looked at")]
#[derive(Deserialize, Parameters)]
struct Leaf {
    /// The second.
    b: u32,
    /// The first.
    a: String,
}

#[delete("/pages/{a}/{b}/{*rest}", unlimited)]
fn page(_: Path<Leaf>) {}

#[every("/{*rest}")]
fn anything() {}

#[options("/things")]
fn preflight() {}

fn routes() -> Vec<Route> {
    wharf_kit::routes(SERVED)
}

/// The parameters of a route: place, name, kind, whether it is required, description.
fn parameters(route: &Route) -> Vec<(Place, &str, Kind, bool, &str)> {
    let told = route.parameters.iter().map(|told| {
        (told.place, told.name.as_str(), told.kind, told.required, told.description.as_str())
    });
    told.collect()
}

#[test]
fn routes_stand_in_the_order_of_the_list() {
    let routes = routes();
    let listed: Vec<(&str, &str)> =
        routes.iter().map(|route| (route.method.as_str(), route.path.as_str())).collect();
    let expected = [
        ("GET", "/things"),
        ("POST", "/things"),
        ("PUT", "/tokens"),
        ("PATCH", "/things/{id}/{name}"),
        ("DELETE", "/pages/{a}/{b}/{*rest}"),
        ("*", "/{*rest}"),
        ("OPTIONS", "/things"),
    ];
    assert_eq!(listed, expected);
}

#[test]
fn attributes_say_who_may_call_and_how_much() {
    let routes = routes();
    assert_eq!((routes[0].tag.as_str(), routes[0].summary.as_str()), ("things", "What there is."));
    assert!(matches!(routes[0].access, Access::Public));
    assert!(matches!(&routes[1].access, Access::SignedIn(realm) if realm == "store"));
    assert!(matches!(&routes[2].access, Access::Exchanging(realm) if realm == "store"));
    let limits: Vec<Option<u32>> = routes.iter().map(|route| route.body_limit).collect();
    assert_eq!(limits, [None, Some(7168), Some(9), None, None, None, None]);
    let unlimited = routes.iter().map(|route| matches!(route.throttle, Throttle::Unlimited));
    assert_eq!(unlimited.collect::<Vec<_>>(), [false, false, false, false, true, false, true]);
}

#[test]
fn types_say_what_is_read() {
    let routes = routes();
    let (input, path) = (Place::Input, Place::Path);
    let expected = [
        (input, "leastStars", Kind::Integer, false, "How good it is, at least."),
        (input, "owner", Kind::Integer, true, "Whose it is."),
        (input, "tags", Kind::Text, false, ""),
        (input, "form", Kind::Text, true, "The form."),
    ];
    assert_eq!(parameters(&routes[0]), expected);
    assert_eq!(parameters(&routes[1]), [(input, "form", Kind::Text, false, "The form.")]);
    let expected = [
        (path, "id", Kind::Integer, true, ""),
        (path, "name", Kind::Text, true, ""),
        (Place::File, "photo", Kind::Binary, true, "A picture."),
    ];
    assert_eq!(parameters(&routes[3]), expected);
    let expected = [
        (path, "a", Kind::Text, true, "The first."),
        (path, "b", Kind::Integer, true, "The second."),
        (path, "rest", Kind::Text, true, ""),
    ];
    assert_eq!(parameters(&routes[4]), expected);
    assert_eq!(parameters(&routes[5]), [(path, "rest", Kind::Text, true, "")]);
}
