//! Writes captchas to look at: `cargo run -p captcha --example pictures -- FOLDER COUNT`.
//!
//! Each file is named after its code, so that a person, or a program that reads text in pictures,
//! can be marked.

use std::path::PathBuf;

use captcha::picture::{Size, jpeg};

const CHARACTERS: &[u8] = b"ACDEFHJKMNPRTWXYacdehkmnpwxy3467";

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
        let file = PathBuf::from(&folder).join(format!("{code}.jpg"));
        std::fs::write(&file, jpeg(&code, seed, Size { width: 150, height: 40 }))
            .expect("the folder is writable");
    }
}
