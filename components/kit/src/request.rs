//! A request, with what handlers ask of it.

use std::cell::OnceCell;

use bytes::Bytes;
use memchr::memmem;

use crate::bindings::wharf::plugin::http::{self, Caller, Identity};
use crate::{Error, File, Input, blobs};

/// A request. Its input is parsed when it is first asked for.
pub struct Request {
    /// All but the body, which has been taken out of it.
    head: http::Request,
    body: Bytes,
    input: OnceCell<Input>,
}

impl Request {
    pub(crate) fn new(mut head: http::Request) -> Self {
        let body = std::mem::take(&mut head.body).into();
        Request { head, body, input: OnceCell::new() }
    }

    /// The merged input.
    pub fn input(&self) -> &Input {
        self.input.get_or_init(|| {
            let kind = self.header("content-type").unwrap_or_default();
            Input::parse(&self.head.query, &kind, &self.body)
        })
    }

    /// The raw query, without its question mark; empty if there is none.
    pub fn raw_query(&self) -> &str {
        &self.head.query
    }

    /// The parameters of the path template with their values, in the order of the path.
    pub(crate) fn path_parameters(&self) -> &[(String, String)] {
        &self.head.path_parameters
    }

    /// The body as it arrived, which is shared and not copied.
    pub(crate) fn shared_body(&self) -> Bytes {
        self.body.clone()
    }

    /// The body as it arrived.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// A header's value, of several the first.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.head.headers.iter().find(|(candidate, _)| candidate == name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// All headers: lower-case names and the values' bytes.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.head.headers
    }

    /// The id that stands in the log lines and in the answer.
    pub fn id_of_request(&self) -> &str {
        &self.head.request_id
    }

    /// A parameter of the path template; empty if the template has none of this name.
    ///
    /// U+0000 is taken out, as from every input.
    pub fn path(&self, name: &str) -> String {
        let found = self.head.path_parameters.iter().find(|(candidate, _)| candidate == name);
        found.map_or_else(String::new, |(_, value)| value.replace('\0', ""))
    }

    /// A parameter of the path that is the id of a row.
    pub fn id(&self, name: &str) -> Option<i64> {
        self.path(name).parse().ok()
    }

    /// Who calls: the user of a valid token, nobody, or somebody whose token is refused.
    pub fn caller(&self) -> &Caller {
        &self.head.caller
    }

    /// The user who calls.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] on a public route that was called without a valid token.
    pub fn identity(&self) -> Result<&Identity, Error> {
        match &self.head.caller {
            Caller::Identity(identity) => Ok(identity),
            Caller::Anonymous | Caller::Rejected(_) => Err(Error::Unauthenticated),
        }
    }

    /// The raw path, percent-encoded, without the query.
    pub fn raw_path(&self) -> &str {
        &self.head.path
    }

    /// The host name that the client wrote, in lower case and without a port.
    pub fn host(&self) -> String {
        let authority = self.head.origin.split("://").nth(1).unwrap_or_default();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        host.to_ascii_lowercase()
    }

    /// Scheme, authority and path, as the client wrote them, without the query.
    pub fn url(&self) -> String {
        format!("{}{}", self.head.origin, self.head.path)
    }

    /// Stores a file of this request as a blob. The host takes it from the body as it arrived.
    pub fn keep(&self, file: &File, key: &str) -> Result<(), blobs::Error> {
        // Whichever place of the body holds these bytes: they are the same.
        match memmem::find(&self.body, &file.content) {
            Some(offset) => blobs::keep(key, offset as u64, file.content.len() as u64),
            None => blobs::put(key, &file.content),
        }
    }
}
