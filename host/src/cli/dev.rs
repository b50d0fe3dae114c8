//! `wharf dev`: build what is needed, then serve with settings for development.

use clap::Args;

use super::Settings;
use super::build::Build;
use super::local_certificate::LocalCertificate;
use super::serve::{self, Logging};

#[derive(Args)]
pub(super) struct Dev {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    logging: Logging,
    /// Speak TLS, with a certificate for localhost that is made and kept in the data folder
    #[arg(long, conflicts_with_all = ["tls_certificate", "tls_key"])]
    tls: bool,
}

impl Dev {
    pub(super) fn run(self) -> Result<(), String> {
        self.logging.start("info,wharf=debug")?;
        let mut config = self.settings.config()?;
        config.throttle.enabled.get_or_insert(false);
        if self.tls {
            let local = LocalCertificate::of(&config.data)?;
            println!("for clients to trust this host, give them {}", local.certificate.display());
            config.tls.certificate = Some(local.certificate);
            config.tls.key = Some(local.key);
        }
        Build::all_into(&config.components).run()?;
        serve::serve(config)
    }
}
