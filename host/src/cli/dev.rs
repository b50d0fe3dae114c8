//! `wharf dev`: build, serve with settings for development, and build and serve again what is saved.

use std::path::PathBuf;

use clap::Args;

use super::Settings;
use super::build::places;
use super::local_certificate::LocalCertificate;
use super::serve::{self, Logging};
use crate::build::{self, Place, Source};
use crate::config::Config;
use crate::dev::Workshop;

#[derive(Args)]
#[command(after_help = "\
What is saved is built and put in place of what serves, without a request lost. While a group does not build, it \
answers with the compiler's reasons; its last good revision answers requests with x-wharf-revision: last-good.

Examples:
  wharf dev                        the components in components/, or the one in the current folder
  wharf dev ../coupons ../shop     components elsewhere, or folders with several
  wharf dev --tls --listen 127.0.0.1:8443")]
pub(super) struct Dev {
    /// Folders of components: crates, or others whose wharf-plugin.toml has a [build] section, or folders that hold
    /// several [default: components/, or the current folder if it makes a component]
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    logging: Logging,
    /// Speak TLS, with a certificate for localhost that is made and kept in the data folder
    #[arg(long, conflicts_with_all = ["tls_certificate", "tls_key"])]
    tls: bool,
}

/// Where the components are that are built here, below those that `wharf build` makes: these are made to be built
/// again, not to be quick.
const FOLDER: &str = "dev";

impl Dev {
    pub(super) fn run(self) -> Result<(), String> {
        self.logging.start("info,wharf=debug")?;
        let mut config = self.settings.config()?;
        config.dev = true;
        config.components = config.components.join(FOLDER);
        config.throttle.enabled.get_or_insert(false);
        config.answers.revision.get_or_insert(true);
        config.compile = config.compile.for_whoever_built_it();
        let places = places(&self.folders)?;
        check_toolchain(&places)?;
        if self.tls {
            let local = LocalCertificate::of(&config.data)?;
            println!("for clients to trust this host, give them {}", local.certificate.display());
            config.tls.certificate = Some(local.certificate);
            config.tls.key = Some(local.key);
        }
        let Config { data, components, .. } = &config;
        let written = [data.clone(), config.cache()];
        let mut workshop = Workshop::open(places, components.clone(), written)?;
        serve::run(config, async |serving| {
            workshop.begin(serving.host.deployer()).await;
            serving.announce();
            workshop.go_on(serving.host.deployer()).await;
        })
    }
}

/// Looks for what Cargo needs, if there is anything for it to build. What is wrong with a component is told when
/// it is built: the others are served.
fn check_toolchain(places: &[Place]) -> Result<(), String> {
    let mut folders = Vec::new();
    for place in places {
        folders.extend(place.folders()?);
    }
    let is_crate = |folder: &PathBuf| {
        Source::read(folder).is_ok_and(|source| source.is_some_and(|source| source.is_crate()))
    };
    if folders.iter().any(is_crate) { build::ensure_target() } else { Ok(()) }
}
