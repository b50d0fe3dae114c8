//! The real program, serving.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::guests::{self, wharf};

/// `wharf serve` on a port of its own, with its data in `folder`.
pub fn serve(folder: &Path, components: &Path) -> Command {
    let mut command = wharf();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .arg("--data")
        .arg(folder.join("data"));
    command.arg("--components").arg(components).arg("--cache").arg(guests::cache());
    command
}

/// A program that serves, and is killed when the test ends.
pub struct Serving {
    pub child: Child,
    output: BufReader<ChildStdout>,
    /// Standard error goes to a file: nobody reads a pipe while requests are answered.
    error: File,
    /// What it has printed up to the line with its address.
    pub printed: String,
    /// `http://127.0.0.1:port`
    pub url: String,
    /// The same of its admin API; empty if it has none.
    pub admin: String,
}

impl Serving {
    pub fn start(mut command: Command) -> Self {
        let error = tempfile::tempfile().expect("a file");
        command.stdout(Stdio::piped()).stderr(error.try_clone().expect("a second handle"));
        let mut child = command.spawn().expect("wharf starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut serving = Serving {
            child,
            output,
            error,
            printed: String::new(),
            url: String::new(),
            admin: String::new(),
        };
        while serving.url.is_empty() {
            let mut line = String::new();
            assert!(
                serving.output.read_line(&mut line).expect("text") > 0,
                "it ended: {}",
                serving.rest()
            );
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                url.clone_into(&mut serving.url);
            }
            if let Some(url) = line.trim().strip_prefix("admin on ") {
                url.clone_into(&mut serving.admin);
            }
            serving.printed += &line;
        }
        serving
    }

    /// Reads what it prints up to a line with these words.
    pub fn until_printed(&mut self, words: &str) {
        loop {
            let mut line = String::new();
            assert!(
                self.output.read_line(&mut line).expect("text") > 0,
                "it ended: {}",
                self.rest()
            );
            self.printed += &line;
            if line.contains(words) {
                return;
            }
        }
    }

    /// What stands in standard error. Its position is the program's and stays where it is.
    pub fn rest(&self) -> String {
        let size = self.error.metadata().expect("a file").len();
        let mut error = vec![0; usize::try_from(size).expect("it fits")];
        self.error.read_exact_at(&mut error, 0).expect("the file does not shrink");
        String::from_utf8(error).expect("text")
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Stops it and returns its exit code, and all that it printed to either output.
    pub fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        self.signal(signal);
        let mut printed = std::mem::take(&mut self.printed);
        self.output.read_to_string(&mut printed).expect("text");
        let code = self.child.wait().expect("it ends").code();
        printed += &self.rest();
        (code, printed)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
