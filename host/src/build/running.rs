//! A command that builds: what it says is seen at once, and kept for whoever asks later.

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader, Split};
use tokio::process::{Child, Command};

/// Bytes of what a compiler says that are kept; whoever wants more finds it in the terminal.
const MOST: usize = 64 * 1024;

/// Where a line was written to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// A command that runs, and all that it has started: they are stopped when nobody waits for them any more.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> std::io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).spawn().map(Running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // There is none any more once it has been waited for.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = id {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

/// Runs a command to its end, and hands on each line as it comes. If this is given up, the command is stopped.
pub(super) async fn run(
    command: &mut Command,
    mut each: impl FnMut(Stream, &str),
) -> std::io::Result<ExitStatus> {
    let mut running = Running::start(command)?;
    let (output, error) = (running.0.stdout.take(), running.0.stderr.take());
    let mut output = output.map(|output| BufReader::new(output).split(b'\n'));
    let mut error = error.map(|error| BufReader::new(error).split(b'\n'));
    while output.is_some() || error.is_some() {
        let (stream, line) = tokio::select! {
            line = next(&mut output), if output.is_some() => (Stream::Output, line?),
            line = next(&mut error), if error.is_some() => (Stream::Error, line?),
        };
        match (line, stream) {
            (Some(line), stream) => each(stream, String::from_utf8_lossy(&line).trim_end()),
            (None, Stream::Output) => output = None,
            (None, Stream::Error) => error = None,
        }
    }
    running.0.wait().await
}

/// The next line, as far as there is one.
async fn next(
    lines: &mut Option<Split<impl AsyncBufRead + Unpin>>,
) -> std::io::Result<Option<Vec<u8>>> {
    match lines {
        Some(lines) => lines.next_segment().await,
        None => Ok(None),
    }
}

/// Adds lines to what is kept, as far as there is room.
pub(super) fn keep(said: &mut String, lines: &str) {
    if said.len() >= MOST {
        return;
    }
    let room = MOST - said.len();
    if lines.len() <= room {
        said.push_str(lines);
        said.push('\n');
        return;
    }
    said.push_str(&lines[..lines.floor_char_boundary(room)]);
    // Longer than what a last character may have left, so that nothing is added behind it.
    said.push_str("\u{1b}[0m\n… and more, in the terminal");
}
