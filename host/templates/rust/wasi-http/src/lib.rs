//! `{{group}}`: a component of `wasi:http`, which runs unchanged wherever that is spoken.

use wstd::http::{Body, Request, Response, Result, StatusCode};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>> {
    // The mount is taken off: on the host this is /{{group}}/echo.
    match request.uri().path() {
        "/" => Ok(Response::new(Body::from("Hello!\n"))),
        "/echo" => Ok(Response::new(request.into_body())),
        _ => Ok(Response::builder().status(StatusCode::NOT_FOUND).body(Body::empty())?),
    }
}
