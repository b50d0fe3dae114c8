//! What a call is answered that is refused: what is wrong, and what to do next.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::api;
use crate::deploy::refusal::{Kind, Refusal};
use crate::error;
use crate::registry::tokens::Verb;

/// A refusal.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    told: api::Problem,
    /// Seconds after which it may work.
    wait: Option<u64>,
}

impl Problem {
    pub(super) fn new(
        (status, code): (StatusCode, &str),
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let told =
            api::Problem { code: code.to_owned(), message: message.into(), remedy: remedy.into() };
        Problem { status, told, wait: None }
    }

    /// What was sent cannot be read.
    pub(super) fn invalid(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Problem::new((StatusCode::BAD_REQUEST, "invalid"), message, remedy)
    }

    /// No token, or a wrong one: why is nobody's business.
    pub(super) fn unauthorized() -> Self {
        Problem::new(
            (StatusCode::UNAUTHORIZED, "unauthorized"),
            "the admin API takes a token that is valid, and none was given",
            "give one with --token or WHARF_TOKEN; the host's operator makes one with: wharf token create <tenant>",
        )
    }

    /// Wrong tokens too often.
    pub(super) fn too_often(wait: u64) -> Self {
        let told = Problem::new(
            (StatusCode::TOO_MANY_REQUESTS, "too-often"),
            "wrong tokens came from this address too often (admin.wrong_tokens)",
            format!("try again in {wait} s"),
        );
        Problem { wait: Some(wait), ..told }
    }

    /// The token is for other things.
    pub(super) fn lacks(verb: Verb, tenant: &str, has: &[Verb]) -> Self {
        let has: Vec<String> = has.iter().map(|verb| format!("`{verb}`")).collect();
        Problem::new(
            (StatusCode::FORBIDDEN, "forbidden"),
            format!("this token may {} {tenant}, and this takes `{verb}`", has.join(" and ")),
            format!(
                "the host's operator makes another with: wharf token create {tenant} --verb {verb}"
            ),
        )
    }

    /// Something that the operator alone may do.
    pub(super) fn operators(what: &str) -> Self {
        Problem::new(
            (StatusCode::FORBIDDEN, "forbidden"),
            format!("{what} takes the token of the host's operator, and this one is a tenant's"),
            "ask the host's operator, who finds it in keys/operator.token of the data folder",
        )
    }

    /// A tenant that is not there, or not for this token: nobody can tell which.
    pub(super) fn no_tenant(name: &str) -> Self {
        Problem::new(
            (StatusCode::NOT_FOUND, "not-found"),
            format!("there is no tenant {name:?}"),
            "look at: wharf tenant list",
        )
    }

    pub(super) fn no_such_call() -> Self {
        Problem::new(
            (StatusCode::NOT_FOUND, "not-found"),
            "the admin API has no such call",
            "this may be another version's: compare `wharf --version` here and where the host runs",
        )
    }

    pub(super) fn too_many() -> Self {
        let told = Problem::new(
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            "the admin API answers as many requests as it may (admin.requests)",
            "try again in a second",
        );
        Problem { wait: Some(1), ..told }
    }

    /// One tenant asks for more at once than it may.
    pub(super) fn too_many_of(tenant: &str) -> Self {
        let told = Problem::new(
            (StatusCode::TOO_MANY_REQUESTS, "too-many"),
            format!(
                "as many requests of tenant {tenant} are being answered as may be at once (admin.requests_per_tenant)"
            ),
            "try again when one of them has ended",
        );
        Problem { wait: Some(1), ..told }
    }

    /// What is told.
    pub(super) fn told(self) -> api::Problem {
        self.told
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut answer = (self.status, Json(api::Failed { error: self.told })).into_response();
        let headers = answer.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.wait {
            headers.insert(header::RETRY_AFTER, wait.into());
        }
        answer
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.kind {
            Kind::Invalid => (StatusCode::BAD_REQUEST, "invalid"),
            Kind::NotGranted => (StatusCode::FORBIDDEN, "not-granted"),
            Kind::NotFound => (StatusCode::NOT_FOUND, "not-found"),
            Kind::Conflict => (StatusCode::CONFLICT, "conflict"),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Kind::Unfit => (StatusCode::UNPROCESSABLE_ENTITY, "unfit"),
            Kind::Quota => (StatusCode::TOO_MANY_REQUESTS, "quota"),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Problem::new(kind, refusal.message, refusal.remedy)
    }
}

impl From<crate::registry::Error> for Problem {
    fn from(error: crate::registry::Error) -> Self {
        Refusal::from(error).into()
    }
}

impl From<crate::database::Failure> for Problem {
    fn from(failure: crate::database::Failure) -> Self {
        Refusal::from(failure).into()
    }
}

impl From<error::Refusal> for Problem {
    fn from(refusal: error::Refusal) -> Self {
        let status = match refusal {
            error::Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
            error::Refusal::UrlTooLong => StatusCode::URI_TOO_LONG,
            error::Refusal::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            error::Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
        };
        Problem::new((status, "invalid"), refusal.to_string(), "send it as HTTP/1.1 says")
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let remedy = "compare `wharf --version` here and where the host runs";
        let told = Problem::invalid(rejection.body_text(), remedy);
        Problem { status: rejection.status(), ..told }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Problem::invalid(rejection.body_text(), "look at: wharf deploy --help")
    }
}
