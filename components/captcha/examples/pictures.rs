//! Writes captchas of both kinds to look at: `cargo run -p captcha --example pictures -- FOLDER COUNT`.
//!
//! Each file is named after its code, so that a person, or a program that reads text in pictures,
//! can be marked.

use std::path::PathBuf;

use captcha::CHARACTERS;
use captcha::picture::{Size, jpeg, png};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(count)) =
        (arguments.next(), arguments.next().and_then(|count| count.parse::<u64>().ok()))
    else {
        eprintln!("usage: pictures FOLDER COUNT");
        std::process::exit(2);
    };
    for seed in 0..count {
        let mut random = fastrand::Rng::with_seed(seed);
        let code: String =
            (0..5).map(|_| char::from(CHARACTERS[random.usize(..CHARACTERS.len())])).collect();
        let folder = PathBuf::from(&folder);
        let store = jpeg(&code, seed, Size { width: 150, height: 40 });
        std::fs::write(folder.join(format!("{code}.jpg")), store).expect("the folder is writable");
        let console = png(&code, seed, Size { width: 250, height: 62 });
        std::fs::write(folder.join(format!("{code}.png")), console)
            .expect("the folder is writable");
    }
}
