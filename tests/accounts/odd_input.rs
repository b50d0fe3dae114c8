//! Bodies and queries that no client should send, to every route that the running host has.

use reqwest::Method;

use super::authorisation::Actor;
use super::authorisation::world::World;
use crate::store::odd_bodies::{QUERIES, bodies};
use crate::support::{Ask as _, TestHost};

#[tokio::test(flavor = "multi_thread")]
async fn no_route_fails_of_what_it_is_sent() {
    let host = TestHost::on_sqlite().await;
    let world = World::new(&host, &host.database().await).await;
    let ends_the_token = ["/api/auth/logout", "/api/auth/refresh"];
    for route in host.routes().iter().filter(|route| !ends_the_token.contains(&&*route.path)) {
        let method: Method =
            if route.method == "*" { "PATCH" } else { &route.method }.parse().expect("a method");
        let realm = match route.realm.as_deref() {
            Some("clinic") => "clinic",
            None if !route.path.starts_with("/api/") => "console",
            _ => "store",
        };
        // Whoever may go as far as the database: of the clinic the doctor, elsewhere an admin.
        let actor = if realm == "clinic" { Actor::Owner } else { Actor::Admin };
        let token = world.token(realm, actor).expect("a token");
        let path = world.fill(&route.path);
        let ask = |path: &str| {
            let request = host.request(method.clone(), path);
            if realm == "console" {
                request.header("authorization", &token)
            } else {
                request.bearer_auth(&token)
            }
        };
        for (kind, body) in bodies() {
            let answer = ask(&path).header("content-type", kind).body(body).answer().await;
            let status = answer.status.as_u16();
            assert!(status < 500 && status != 401, "{method} {path} {kind}: {answer:?}");
        }
        for query in QUERIES {
            let answer = ask(&format!("{path}?{query}")).answer().await;
            let status = answer.status.as_u16();
            assert!(status < 500 && status != 401, "{method} {path}?{query}: {answer:?}");
        }
    }
}
