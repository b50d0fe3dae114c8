//! A group that sends requests on to its tenant's other groups, and that wraps them in odd ways.

use std::cell::RefCell;
use std::collections::BTreeMap;

use wharf_kit::bindings::wharf::plugin::http::Caller;
use wharf_kit::middleware::{self, Action, Changes, Middleware};
use wharf_kit::outbound::{self, Behalf, Outgoing};
use wharf_kit::{Endpoint, Error, Request, Response, Value, answer, blobs, json};

wharf_kit::export!(ENDPOINTS);
wharf_kit::wrap!(Odd);

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::post("/relay", relay).summary("Sends the request on that its body describes."),
    Endpoint::get("/deep/{depth}", deep).summary("Calls itself so many times."),
    Endpoint::get("/wide/{calls}", wide)
        .summary("Calls itself so many times, one after the other."),
    Endpoint::get("/seen", seen).summary("Tells what it sees."),
    Endpoint::post("/seen", seen).summary("The same of a request with a body."),
    Endpoint::get("/signed-in", seen).signed_in("store").summary("The same of users of a realm."),
    Endpoint::post("/small", seen).body_limit(small).summary("Takes small bodies."),
    Endpoint::get("/trap", trap).summary("Panics."),
    Endpoint::get("/loop", endless).summary("Computes for ever."),
    Endpoint::get("/blob", blob).summary("Answers with a blob."),
];

fn small() -> u32 {
    10
}

fn relay(request: &Request) -> Result<Response, Error> {
    let asked: Value = serde_json(request.body())?;
    let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let headers = asked["headers"].as_object().into_iter().flatten();
    let sent = outbound::send(&Outgoing {
        method: text("method"),
        url: text("url"),
        headers: headers
            .map(|(name, value)| answer::header(name, value.as_str().unwrap_or_default()))
            .collect(),
        body: text("body").into_bytes(),
        behalf: if asked["as_caller"] == true { Behalf::Caller } else { Behalf::Nobody },
    });
    Ok(told(sent))
}

fn serde_json(body: &[u8]) -> Result<Value, Error> {
    let text = String::from_utf8_lossy(body);
    text.parse().map_err(|_| Error::Internal("the body is no JSON".into()))
}

fn told(sent: Result<Response, outbound::Error>) -> Response {
    let answered = match sent {
        Ok(Response { status, headers, body }) => {
            let headers = headers.iter().map(|(name, value)| (name.clone(), lossy(value)));
            json!({ "status": status, "headers": headers.collect::<wharf_kit::Map<_, _>>(), "body": lossy(&body) })
        }
        Err(error) => json!({ "error": format!("{error:?}") }),
    };
    answer::json(200, &answered)
}

fn lossy(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into()
}

fn to_self(path: &str) -> Result<Response, outbound::Error> {
    outbound::send(&Outgoing {
        method: "GET".to_owned(),
        url: format!("http://self{path}"),
        headers: Vec::new(),
        body: Vec::new(),
        behalf: Behalf::Nobody,
    })
}

fn deep(request: &Request) -> Result<Response, Error> {
    match request.id("depth").unwrap_or_default() {
        0 => Ok(answer::json(200, &json!("the bottom"))),
        depth => Ok(match to_self(&format!("/deep/{}", depth - 1)) {
            Ok(response) => response,
            error => told(error),
        }),
    }
}

fn wide(request: &Request) -> Result<Response, Error> {
    let calls = request.id("calls").unwrap_or_default();
    let good = (0..calls).filter(|_| to_self("/deep/0").is_ok_and(|answer| answer.status == 200));
    Ok(answer::json(200, &json!(good.count())))
}

fn seen(request: &Request) -> Result<Response, Error> {
    let caller = match request.caller() {
        Caller::Anonymous => "anonymous".to_owned(),
        Caller::Identity(identity) => identity.name.clone(),
        Caller::Rejected(_) => "rejected".to_owned(),
    };
    let mut headers: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (name, value) in request.headers() {
        headers.entry(name).or_default().push(lossy(value));
    }
    Ok(answer::json(
        200,
        &json!({
            "caller": caller,
            "headers": headers,
            "body": lossy(request.body()),
            "url": request.url(),
            "id": request.id_of_request(),
        }),
    ))
}

fn trap(_: &Request) -> Result<Response, Error> {
    panic!("on purpose")
}

fn endless(_: &Request) -> Result<Response, Error> {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

fn blob(_: &Request) -> Result<Response, Error> {
    let stored = blobs::put("relay", b"from a blob").and_then(|()| blobs::respond("relay"));
    stored.map_err(|error| Error::Internal(format!("{error:?}")))?;
    Ok(Response { status: 200, headers: Vec::new(), body: b"nobody sees this".to_vec() })
}

thread_local! {
    /// What the request asks to be done with its answer.
    static ASKED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What is done is what the header `x-odd` asks for.
pub struct Odd;

impl Middleware for Odd {
    fn before(request: middleware::Request) -> Action {
        let asked =
            request.header("x-odd").map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let header = |name: &str| answer::header(name, "odd");
        let changes = match asked.as_str() {
            "trap-before" => panic!("on purpose"),
            "loop" => loop {
                std::hint::black_box(0);
            },
            "respond" => return Action::Respond(answer::json(418, &json!("odd"))),
            "set" => Changes { set: vec![header("X-Several")], ..Changes::default() },
            "add" => Changes { add: vec![header("x-several")], ..Changes::default() },
            "remove" => Changes { remove: vec!["X-Several".to_owned()], ..Changes::default() },
            "authorization" => Changes { set: vec![header("Authorization")], ..Changes::default() },
            "split" => {
                Changes { add: vec![answer::header("x-a", "b\r\nx-c: d")], ..Changes::default() }
            }
            "call" => {
                let answered = to_self("/deep/0").map_or(0, |answer| answer.status);
                Changes {
                    add: vec![answer::header("x-called", &answered.to_string())],
                    ..Changes::default()
                }
            }
            _ => Changes::default(),
        };
        ASKED.set(asked);
        Action::Next(changes)
    }

    fn after(mut response: middleware::Response) -> middleware::Response {
        let asked = ASKED.take();
        assert_ne!(asked, "trap-after", "on purpose");
        let seen = format!("saw {asked}: {} {}", response.status, response.body.len());
        response.headers.push(answer::header("x-odd-saw", &seen));
        response
    }
}
