//! Files to upload.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};

/// A picture of one colour.
pub fn picture(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(width, height).write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

/// A PNG of one colour.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    picture(ImageFormat::Png, width, height)
}

/// A PDF of about so many bytes, which no program compresses.
pub fn pdf(bytes: usize) -> Vec<u8> {
    let mut random = 1_u32;
    let noise = (0..bytes).map(|_| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random.to_be_bytes()[0]
    });
    [b"%PDF-1.7\n".to_vec(), noise.collect(), b"\n%%EOF\n".to_vec()].concat()
}
