//! Captchas against a program that reads text in pictures.

use std::io::Cursor;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::ImageFormat;
use image::imageops::FilterType;

use crate::support::tools::is_installed;
use crate::support::{Ask as _, TestHost};

/// Captchas of each kind.
const COUNT: usize = 30;

/// What tesseract reads, letters and digits alone. A picture is enlarged first, which helps it.
fn read(picture: &[u8], times: u32) -> String {
    let picture = image::load_from_memory(picture).expect("a picture").to_luma8();
    let (width, height) = (picture.width() * times, picture.height() * times);
    let large = image::imageops::resize(&picture, width, height, FilterType::CatmullRom);
    let file = tempfile::Builder::new().suffix(".png").tempfile().expect("a file");
    let mut bytes = Cursor::new(Vec::new());
    large.write_to(&mut bytes, ImageFormat::Png).expect("a PNG");
    std::fs::write(file.path(), bytes.into_inner()).expect("the file is written");
    let output = Command::new("tesseract")
        .arg(file.path())
        .args(["-", "--psm", "8"])
        .env("OMP_THREAD_LIMIT", "1")
        .stderr(Stdio::null())
        .output()
        .expect("tesseract runs");
    let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tesseract_reads_fewer_than_one_captcha_in_five() {
    if !is_installed("tesseract") {
        return;
    }
    let host = TestHost::on_sqlite().await;
    for (method, path, key, times) in
        [("POST", "/api/captchas", "captcha_image_content", 3), ("GET", "/captcha", "picture", 2)]
    {
        let mut readings = Vec::new();
        for _ in 0..COUNT {
            let answer = host.request(method.parse().expect("a method"), path).answer().await;
            let data = answer.data();
            let (_, encoded) =
                data[key].as_str().and_then(|url| url.split_once(',')).expect("a picture");
            let picture = STANDARD.decode(encoded).expect("base64");
            let code = answer.header("x-captcha-code").to_lowercase();
            readings.push(tokio::task::spawn_blocking(move || read(&picture, times) == code));
        }
        let mut right = 0;
        for reading in readings {
            right += usize::from(reading.await.expect("tesseract runs"));
        }
        assert!(right * 5 < COUNT, "{path}: {right} of {COUNT}");
    }
}
