//! `wharf dev`: what is saved is served, and what is wrong with it is told.

mod broken;
mod crates;
mod saves;
mod sources;
mod starts;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use tempfile::TempDir;

use crate::support::raw::saying;
use crate::support::serving::Serving;
use crate::support::{Answer, Ask as _, guests};

/// `wharf dev` on a folder of a test's own, with components that its commands copy into place.
struct Workshop {
    /// `None` before it starts.
    serving: Option<Serving>,
    client: reqwest::Client,
    folder: TempDir,
}

impl Workshop {
    /// A folder without any component yet.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("components")).expect("a folder");
        let client = reqwest::Client::builder().timeout(Duration::from_mins(1)).build();
        Workshop { serving: None, client: client.expect("a client"), folder }
    }

    /// The same with groups that say `one`, and serving.
    fn serving(groups: &[&str]) -> Self {
        let mut workshop = Workshop::new();
        for group in groups {
            workshop.group(group, &["log"]);
        }
        workshop.start();
        workshop
    }

    /// A path in the folder.
    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file, and the folders that lead to it.
    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    /// Makes a group of one route, `GET /<group>`, which a command builds: it copies the component that the file
    /// `which` names, and leaves a line in `built`.
    fn group(&self, group: &str, grants: &[&str]) {
        for text in ["one", "two"] {
            self.write(&format!("made/{group}-{text}.wasm"), saying(group, text, 200));
        }
        let command = format!(
            "echo built >> ../../built-{group}; cp ../../made/{group}-$(cat which).wasm {group}.wasm"
        );
        self.manifest(group, grants, &command);
        self.save(group, "one");
    }

    /// Writes a group's manifest.
    fn manifest(&self, group: &str, grants: &[&str], command: &str) {
        let manifest = format!(
            "group = {group:?}\ngrants = {grants:?}\n[build]\ncommand = {command:?}\noutput = \"{group}.wasm\"\n"
        );
        self.write(&format!("components/{group}/wharf-plugin.toml"), manifest);
    }

    /// Says which component a group is built of: as an editor saves that leaves nobody half a file.
    fn save(&self, group: &str, which: &str) {
        self.write(&format!("components/{group}/.which"), which);
        let which = self.path(format!("components/{group}/which"));
        std::fs::rename(which.with_file_name(".which"), which).expect("the folder is writable");
    }

    /// How often a group was built.
    fn builds(&self, group: &str) -> usize {
        let built = std::fs::read_to_string(self.path(format!("built-{group}")));
        built.unwrap_or_default().lines().count()
    }

    /// `wharf dev` with the folders that are named, and data of its own.
    fn command(&self, folders: &[&str]) -> Command {
        let mut command = guests::wharf();
        command.arg("dev").args(folders.iter().map(|folder| self.path(folder)));
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.arg("--data").arg(self.path("data")).arg("--components").arg(self.path("out"));
        command.arg("--cache").arg(guests::cache());
        command
    }

    fn start(&mut self) {
        self.serving = Some(Serving::start(self.command(&["components"])));
    }

    fn running(&mut self) -> &mut Serving {
        self.serving.as_mut().expect("it was started")
    }

    /// Waits until it has said so.
    fn until_said(&mut self, words: &str) {
        self.running().until_printed(words);
    }

    /// What it has said of what is wrong.
    fn errors(&self) -> String {
        self.serving.as_ref().expect("it was started").rest()
    }

    fn get(&self, path: &str) -> RequestBuilder {
        let url = &self.serving.as_ref().expect("it was started").url;
        self.client.get(format!("{url}{path}"))
    }

    /// What a path answers with a status, as soon as it does.
    async fn until(&self, path: &str, status: u16) -> Answer {
        self.until_answered(|| self.get(path), status).await
    }

    /// What a request is answered with a status, as soon as it is.
    async fn until_answered(&self, ask: impl Fn() -> RequestBuilder, status: u16) -> Answer {
        let until = Instant::now() + Duration::from_mins(2);
        loop {
            let answer = ask().answer().await;
            if answer.status == status {
                return answer;
            }
            assert!(Instant::now() < until, "not {status} yet: {answer:?}\n{}", self.errors());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The text of a path that is answered well.
    async fn text(&self, path: &str) -> String {
        let answer = self.get(path).answer().await;
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.errors());
        answer.body
    }
}
