//! Colours, for terminals alone, and for none where NO_COLOR is set (<https://no-color.org>): text goes through
//! `anstream`, which takes them out everywhere else. `CLICOLOR_FORCE=1` has them also in a pipe.

use std::fmt::Display;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use crate::logs::Level;

/// What is wrong.
pub(super) const WRONG: Style = AnsiColor::Red.on_default().bold();
/// What could be better.
pub(super) const ADVICE: Style = AnsiColor::Yellow.on_default();
/// What is as it should be.
pub(super) const WELL: Style = AnsiColor::Green.on_default();
/// What is there to be looked up, and not to be read.
pub(super) const ASIDE: Style = Style::new().dimmed();

/// How a line of a log is shown that matters so much.
pub(super) fn level(level: Level) -> Style {
    match level {
        Level::Debug => ASIDE,
        Level::Info => WELL,
        Level::Warn => ADVICE,
        Level::Error => WRONG,
    }
}

/// Whether a stream takes colours, for libraries that write it themselves.
pub(super) fn is_coloured(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Text in a style.
pub(super) fn in_style(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
