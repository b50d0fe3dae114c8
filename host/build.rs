//! Says what `wharf new` carries with it, so that a new file there makes a new program.

fn main() {
    for folder in ["templates", "../components/kit", "../components/kit-macros", "../wit"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
