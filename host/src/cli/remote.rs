//! The client of the admin API, which the commands share that ask a host for something.

use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Certificate, Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::{api, operator};
use crate::plain;

/// What may stand in a segment of a path as it is (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How long connecting to a host may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Which host is asked, and with what token.
#[derive(Args)]
pub(super) struct Remote {
    /// Where the host's admin API is reached
    #[arg(long, env = "WHARF_HOST", value_name = "URL", default_value = "http://127.0.0.1:8081")]
    host: Url,
    /// The token to ask with [default: the operator's, from keys/operator.token of the data folder]
    #[arg(long, env = "WHARF_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// PEM file with a certificate to trust besides the system's
    #[arg(long, env = "WHARF_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The host's data folder, where it is on this machine
    #[arg(long, env = "WHARF_DATA", value_name = "FOLDER", default_value = "wharf-data")]
    data: PathBuf,
}

/// A host that is asked.
pub(super) struct Host {
    client: reqwest::Client,
    url: Url,
    token: String,
}

impl Remote {
    /// The host, which was not asked anything yet.
    ///
    /// # Errors
    /// A sentence that says what is missing and what to do.
    pub(super) fn host(self) -> Result<Host, String> {
        let token = match self.token {
            Some(token) => token,
            None => operator::read(&self.data)?,
        };
        let name = self.host.host_str().unwrap_or_default();
        let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_local = match address {
            Ok(address) => address.is_loopback(),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        };
        if self.host.scheme() != "https" && !is_local {
            eprintln!(
                "warning: the token crosses the network in plain HTTP to {}; use https://, or a tunnel to a loopback address",
                self.host
            );
        }
        // One version for all: an answer that comes step by step may take as long as compiling does.
        let mut client = reqwest::Client::builder().http1_only().connect_timeout(CONNECT);
        if let Some(file) = &self.ca {
            client = client.add_root_certificate(certificate(file)?);
        }
        let client = client.build().map_err(|error| format!("cannot ask a host: {error}"))?;
        Ok(Host { client, url: self.host, token })
    }
}

fn certificate(file: &Path) -> Result<Certificate, String> {
    let unusable = |error: &dyn std::fmt::Display| {
        format!("cannot use the certificate {}: {error}; give a PEM file", file.display())
    };
    let text = std::fs::read(file).map_err(|error| unusable(&error))?;
    Certificate::from_pem(&text).map_err(|error| unusable(&error))
}

impl Host {
    /// Asks and reads the answer.
    ///
    /// # Errors
    /// What the host says that is wrong and what to do, or why it could not be asked.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, String> {
        self.read(self.request(Method::GET, path)).await
    }

    /// Sends something and reads the answer.
    ///
    /// # Errors
    /// As [`Host::get`].
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, String> {
        self.read(self.request(method, path).json(body)).await
    }

    /// Has something deleted.
    ///
    /// # Errors
    /// As [`Host::get`].
    pub(super) async fn delete(&self, path: &[&str]) -> Result<(), String> {
        self.answer(self.request(Method::DELETE, path)).await.map(drop)
    }

    /// A call, with a path of these segments and the token.
    pub(super) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.url.as_str().trim_end_matches('/').to_owned();
        url.push_str("/v1");
        for segment in path {
            url.push('/');
            url.extend(utf8_percent_encode(segment, SEGMENT));
        }
        self.client.request(method, url).bearer_auth(&self.token)
    }

    /// Sends a call and reads its answer.
    ///
    /// # Errors
    /// As [`Host::get`].
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, String> {
        let answer = self.answer(request).await?;
        answer.json().await.map_err(|error| self.strange(&error))
    }

    /// Sends a call; the answer is a success.
    ///
    /// # Errors
    /// As [`Host::get`].
    pub(super) async fn answer(&self, request: RequestBuilder) -> Result<Response, String> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        match answer.json::<api::Failed>().await {
            Ok(failed) => Err(failed.error.to_string()),
            Err(_) => Err(format!(
                "{} answers {status}, and not as an admin API does; name its address with --host",
                self.url
            )),
        }
    }

    /// Why a host could not be asked.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> String {
        if error.is_connect() || error.is_timeout() {
            let why = cause(error);
            return format!(
                "no host answers at {} ({why}): start one with `wharf serve`, or name it with --host",
                self.url
            );
        }
        format!("the connection to {} broke: {}; try again", self.url, cause(error))
    }

    fn strange(&self, error: &dyn std::error::Error) -> String {
        format!(
            "{} answers what this wharf does not understand ({}); use the same version here and there",
            self.url,
            cause(error)
        )
    }
}

/// An answer that comes line by line, each a JSON document (NDJSON).
pub(super) struct Lines<'a> {
    host: &'a Host,
    answer: Response,
    buffer: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// The lines of an answer.
    pub(super) fn of(host: &'a Host, answer: Response) -> Self {
        Lines { host, answer, buffer: Vec::new() }
    }

    /// The next line, when it is there; `None` when the answer has ended.
    ///
    /// # Errors
    /// The connection broke, or the line is of another version of wharf's.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, String> {
        let mut looked_at = 0;
        loop {
            let rest = &self.buffer[looked_at..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=looked_at + end).collect();
                let read = serde_json::from_slice(&line);
                return read.map(Some).map_err(|error| self.host.strange(&error));
            }
            looked_at = self.buffer.len();
            let piece = self.answer.chunk().await.map_err(|error| self.host.unreachable(&error))?;
            let Some(piece) = piece else { return Ok(None) };
            self.buffer.extend_from_slice(&piece);
        }
    }
}

/// The innermost reason of an error: those around it only say that there is one.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// How a listing is printed.
#[derive(Args)]
pub(super) struct Listing {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Prints as JSON.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    println!("{}", plain::json(&text));
    Ok(())
}

/// Prints rows below their heads, in columns.
pub(super) fn print_table<const N: usize>(heads: [&str; N], rows: Vec<[String; N]>) {
    // One line for each row, whatever it says.
    let text = |cell: String| plain::line(&cell).to_string();
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(text)).collect();
    let mut widths = heads.map(|head| head.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in std::iter::once(heads.map(str::to_owned)).chain(rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// Reads one line from standard input, asking for it on a terminal.
pub(super) fn read_line(what: &str) -> Result<String, String> {
    if std::io::stdin().is_terminal() {
        eprint!("{what}: ");
    }
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.map_err(|error| format!("cannot read {what} from standard input: {error}"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
