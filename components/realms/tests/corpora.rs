//! The committed corpora of the fuzz targets, as ordinary tests.

#[path = "../../../fuzz/checks/kit.rs"]
mod checks;

/// Runs a check on every file of a corpus.
fn run(target: &str, check: fn(&[u8])) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    let files = std::fs::read_dir(format!("{folder}/{target}")).expect("a corpus");
    let files: Vec<_> = files.flatten().map(|entry| entry.path()).collect();
    assert!(!files.is_empty(), "{target} has a corpus");
    for file in files {
        println!("{}", file.display());
        check(&std::fs::read(&file).expect("a file"));
    }
}

#[test]
fn the_corpus_of_input() {
    run("input", checks::input);
}

#[test]
fn the_corpus_of_multipart() {
    run("multipart", checks::multipart);
}
