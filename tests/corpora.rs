//! The committed corpora of the host's fuzz targets, as ordinary tests.

#[path = "../fuzz/checks/host.rs"]
mod checks;

use crate::support::guests::root;

/// Runs a check on every file of a corpus.
fn run(target: &str, check: fn(&[u8])) {
    let folder = root().join("fuzz/corpus").join(target);
    let files: Vec<_> =
        std::fs::read_dir(folder).expect("a corpus").flatten().map(|entry| entry.path()).collect();
    assert!(!files.is_empty(), "{target} has a corpus");
    for file in files {
        println!("{}", file.display());
        check(&std::fs::read(&file).expect("a file"));
    }
}

#[test]
fn the_corpus_of_token() {
    run("token", checks::token);
}

#[test]
fn the_corpus_of_path() {
    run("path", checks::path);
}

#[test]
fn the_corpus_of_deploy() {
    run("deploy", checks::deploy);
}

/// A signed token that is as it should be gets in: otherwise the check of claims would check nothing.
#[test]
fn the_corpus_of_token_holds_one_that_is_accepted() {
    let claims = std::fs::read(root().join("fuzz/corpus/token/good-claims")).expect("a file");
    assert!(checks::is_accepted(&claims[1..]));
}
