//! Says what a wharf carries with it, so that a new file there makes a new program.

fn main() {
    for folder in
        ["templates", "../components/kit", "../components/kit-macros", "../migrations", "../wit"]
    {
        println!("cargo::rerun-if-changed={folder}");
    }
}
