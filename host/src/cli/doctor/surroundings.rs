//! What a host finds on its machine: addresses to listen on, and the time.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;

use super::{Report, State};
use crate::clock::rfc3339;
use crate::config::Config;
use crate::listener::tls::Tls;

/// How long somebody may take to answer who listens where this host would.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far clocks may be apart: tokens are ended by the second.
const APART: u64 = 2;

/// What a file's time may be ahead, on file systems that keep it coarsely.
const AHEAD: Duration = Duration::from_mins(1);

impl Report {
    /// The addresses that the host would listen on.
    pub(super) async fn addresses(&mut self, config: &Config) {
        self.address(config, "address", "--listen", config.listen, "/healthz").await;
        if let Some(admin) = config.admin.listen {
            let about = "address of the admin API";
            self.address(config, about, "--admin", admin, "/v1/tenants").await;
        }
        match Tls::load(&config.tls) {
            Ok(None) => {}
            Ok(Some(_)) => self.note("certificate", State::Well, "can be spoken TLS with"),
            Err(error) => self.note("certificate", State::Wrong, error),
        }
    }

    async fn address(
        &mut self,
        config: &Config,
        about: &str,
        flag: &str,
        address: SocketAddr,
        path: &str,
    ) {
        let about = format!("{about} {address}");
        let Err(refused) = TcpListener::bind(address).await else {
            return self.note(about, State::Well, "is free");
        };
        let is_tls = config.tls.certificate.is_some();
        let remedy = match refused.kind() {
            ErrorKind::AddrInUse if is_wharf(is_tls, address, path).await => {
                return self.note(about, State::Well, "is where a wharf answers already");
            }
            ErrorKind::AddrInUse => format!(
                "is taken by another program: stop that, or choose another address with {flag}"
            ),
            ErrorKind::PermissionDenied => format!(
                "is not for this user: choose a port of 1024 or more with {flag}, or run, as root: setcap cap_net_bind_service=+ep {}",
                config.program.display()
            ),
            ErrorKind::AddrNotAvailable => format!(
                "is none of this machine: choose 127.0.0.1, 0.0.0.0 or one of its own with {flag}"
            ),
            _ => format!("cannot be listened on ({refused}): choose another with {flag}"),
        };
        self.note(about, State::Wrong, remedy);
    }

    /// Whether the clock stands before what was written already, or apart from the database's.
    pub(super) fn clock(&mut self, config: &Config, database: Option<i64>) {
        let now = SystemTime::now();
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        };
        if let Some((file, at)) = newest(&config.data).filter(|(_, at)| *at > now + AHEAD) {
            return self.note("clock", State::Wrong, format!(
                "says {}, and {} was written at {}: tokens that were ended would be valid again; set the clock, for instance with: timedatectl set-ntp true",
                rfc3339(seconds(now)), file.display(), rfc3339(seconds(at))
            ));
        }
        match database {
            Some(there) if there.abs_diff(seconds(now)) > APART => self.note("clock", State::Wrong, format!(
                "says {}, and the database's says {}: hosts that share a database end tokens by time; have both machines ask a time server, for instance with: timedatectl set-ntp true",
                rfc3339(seconds(now)), rfc3339(there)
            )),
            Some(_) => self.note("clock", State::Well, "agrees with the database's"),
            None => self.note("clock", State::Well, "stands after all that was written"),
        }
    }
}

/// The file that was written last in the data folder and in `keys` and `tenants` there.
fn newest(data: &Path) -> Option<(PathBuf, SystemTime)> {
    let folders = [data.to_owned(), data.join("keys"), data.join("tenants")];
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let written = entries.flatten().filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some((entry.path(), metadata.modified().ok()?))
    });
    written.max_by_key(|(_, at)| *at)
}

/// Whether who answers there is a host of this kind. It is sent nothing that is secret, so that a certificate for
/// another name is good enough.
async fn is_wharf(is_tls: bool, address: SocketAddr, path: &str) -> bool {
    let client = reqwest::Client::builder().timeout(PATIENCE).tls_danger_accept_invalid_certs(true);
    let Ok(client) = client.build() else { return false };
    let scheme = if is_tls { "https" } else { "http" };
    let answer = client.get(format!("{scheme}://{address}{path}")).send().await;
    let Ok(answer) = answer else { return false };
    let body: serde_json::Value = answer.json().await.unwrap_or_default();
    body["status"] == "ok" || body["error"]["code"] == "unauthorized"
}
