//! A certificate for this machine's own names, which `wharf dev --tls` makes and keeps.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, KeyPair};

use crate::files::replace;

/// The names that it is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const DAY: Duration = Duration::from_hours(24);

/// How long it is valid. Some systems trust none that is valid for longer than 825 days.
const VALID: Duration = DAY.saturating_mul(365);

/// How old it may become before another is made.
const RENEWED: Duration = DAY.saturating_mul(335);

/// Where a certificate and its key lie.
pub(super) struct LocalCertificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl LocalCertificate {
    /// The certificate of a data folder; made if it is missing or will soon be too old.
    ///
    /// # Errors
    /// A sentence that names the file and the remedy.
    pub(super) fn of(data: &Path) -> Result<Self, String> {
        let folder = data.join("tls");
        let (certificate, key) = (folder.join("localhost.pem"), folder.join("localhost.key"));
        let local = LocalCertificate { certificate, key };
        if !local.is_fresh() {
            let unwritable = |error: io::Error| {
                format!(
                    "cannot write the local certificate to {}: {error}; make the data folder writable or choose another with --data",
                    folder.display()
                )
            };
            let (certificate, key) =
                make().map_err(|error| format!("cannot make a local certificate: {error}"))?;
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.and_then(|()| replace(&local.key, 0o600, key.as_bytes()))
                .and_then(|()| replace(&local.certificate, 0o644, certificate.as_bytes()))
                .map_err(unwritable)?;
        }
        Ok(local)
    }

    /// Whether both files are there, and not too old.
    fn is_fresh(&self) -> bool {
        let age = |file: &Path| {
            let made = std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()?;
            // A clock that was turned back makes no certificate old.
            Some(SystemTime::now().duration_since(made).unwrap_or_default())
        };
        let ages = [age(&self.certificate), age(&self.key)];
        ages.iter().all(|age| age.is_some_and(|age| age < RENEWED))
    }
}

/// A certificate and its private key, in PEM.
fn make() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut certificate = CertificateParams::new(NAMES.map(str::to_owned))?;
    certificate.distinguished_name.push(DnType::CommonName, "Wharf on this machine");
    // A clock that is a little behind does not make it invalid.
    certificate.not_before = (SystemTime::now() - DAY).into();
    certificate.not_after = (SystemTime::now() + VALID).into();
    let certificate = certificate.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
