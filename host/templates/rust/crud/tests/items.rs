//! What clients see, beside what `{{group}}.http` says. `cargo test` runs it, each test with a host of its own.

use serde_json::{Value, json};
use wharf_kit::harness::Host;

#[test]
fn an_item_is_found_until_it_is_removed() {
    let host = Host::start();
    let made = host.post("/{{group}}").json(&json!({ "name": "apple", "amount": 3 })).send();
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/{{group}}/{}", made.json::<Value>()["id"]);
    assert_eq!(host.get(&path).send().json::<Value>()["name"], "apple");
    assert_eq!(host.delete(&path).send().status, 204);
    assert_eq!(host.get(&path).send().status, 404);
}
