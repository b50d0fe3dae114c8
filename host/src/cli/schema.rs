//! `wharf schema`: what may stand in a `wharf-plugin.toml`, for editors.

use clap::Args;

use crate::tenant::manifest;

/// Takes nothing.
#[derive(Args)]
#[command(
    after_help = "Example: wharf schema > wharf-plugin.schema.json, and as the first line of wharf-plugin.toml:
  #:schema ./wharf-plugin.schema.json"
)]
pub(super) struct Schema;

impl Schema {
    #[expect(clippy::unused_self, reason = "every command runs what it was given")]
    pub(super) fn run(self) -> Result<(), String> {
        let text = serde_json::to_string_pretty(&manifest::schema());
        println!("{}", text.map_err(|error| error.to_string())?);
        Ok(())
    }
}
