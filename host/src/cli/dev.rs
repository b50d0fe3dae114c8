//! `wharf dev`: build what is needed, then serve with settings for development.

use clap::Args;

use super::Settings;
use super::build::Build;
use super::serve::{self, Logging};

#[derive(Args)]
pub(super) struct Dev {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    logging: Logging,
}

impl Dev {
    pub(super) fn run(self) -> Result<(), String> {
        self.logging.start("info,wharf=debug")?;
        let mut config = self.settings.config()?;
        config.throttle.enabled.get_or_insert(false);
        Build::all_into(&config.components).run()?;
        serve::serve(config)
    }
}
