//! `wharf completions`: what a shell completes commands and flags with.

use std::io::Write as _;

use clap::Args;
use clap_complete::Shell;

#[derive(Args)]
#[command(after_help = "Examples:
  wharf completions bash > ~/.local/share/bash-completion/completions/wharf
  wharf completions zsh > ~/.zfunc/_wharf        (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  wharf completions fish > ~/.config/fish/completions/wharf.fish
  wharf completions powershell >> $PROFILE
  wharf completions elvish >> ~/.config/elvish/rc.elv")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), String> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "wharf", &mut script);
        let written = std::io::stdout().write_all(&script);
        written.map_err(|error| format!("cannot print the completions: {error}"))
    }
}
