//! A group whose newest sources do not serve. Its last good revision is there, and is reached by who asks for it.

use sha2::{Digest as _, Sha256};

/// What is wrong with a group's newest sources.
#[derive(Debug)]
pub struct Broken {
    /// The group.
    pub group: String,
    /// One sentence.
    pub message: String,
    /// What the compiler has said, with the colours of a terminal; may be empty.
    pub said: String,
    /// Another one whenever something else is wrong: pages that wait for it to be mended tell by it.
    pub mark: String,
}

impl Broken {
    /// What is wrong with a group.
    pub fn new(group: &str, message: String, said: String) -> Self {
        let mark = Sha256::new().chain_update(&message).chain_update(&said).finalize();
        let mark = hex::encode(&mark[..6]);
        Broken { group: group.to_owned(), message, said, mark }
    }
}
