//! What a file is: told by its content, never by what its sender says of it.

use wharf_kit::bindings::wharf::plugin::log::{self, Level};
use wharf_kit::{File, blobs};

/// Pixels of a picture in each direction.
const MOST_PIXELS: usize = 16_384;

/// The kinds of files that clients may upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// JPEG (ITU-T T.81)
    Jpeg,
    /// PNG (ISO/IEC 15948)
    Png,
    /// A Windows bitmap
    Bmp,
    /// PDF (ISO 32000)
    Pdf,
}

/// Why a file is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no content.
    Empty,
    /// Its name is a path.
    Name,
    /// It is none of the kinds.
    Unknown,
    /// It ends too early, or its head contradicts itself.
    Broken,
    /// It has more pixels than a picture may have.
    TooLarge,
}

impl Kind {
    /// Looks at a file's name and content.
    pub fn of(file: &File) -> Result<Self, Refusal> {
        if file.name.contains(['/', '\\', '\0']) {
            return Err(Refusal::Name);
        }
        Kind::of_content(&file.content)
    }

    fn of_content(content: &[u8]) -> Result<Self, Refusal> {
        let (kind, is_whole): (Kind, fn(&[u8]) -> bool) = match content {
            [] => return Err(Refusal::Empty),
            [0xFF, 0xD8, 0xFF, ..] => (Kind::Jpeg, is_whole_jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => (Kind::Png, is_whole_png),
            [b'B', b'M', ..] => (Kind::Bmp, is_whole_bmp),
            [b'%', b'P', b'D', b'F', b'-', ..] => (Kind::Pdf, is_whole_pdf),
            _ => return Err(Refusal::Unknown),
        };
        if kind != Kind::Pdf {
            // Nothing but the head is read: pixels are the business of whoever looks at them.
            let size = imagesize::blob_size(content).map_err(|_| Refusal::Broken)?;
            if size.width.max(size.height) > MOST_PIXELS {
                return Err(Refusal::TooLarge);
            }
            if size.width.min(size.height) == 0 {
                return Err(Refusal::Broken);
            }
        }
        if is_whole(content) { Ok(kind) } else { Err(Refusal::Broken) }
    }

    /// The extension of its files' names.
    pub fn extension(self) -> &'static str {
        match self {
            Kind::Jpeg => "jpg",
            Kind::Png => "png",
            Kind::Bmp => "bmp",
            Kind::Pdf => "pdf",
        }
    }

    /// Its media type (RFC 9110, section 8.3.1).
    pub fn content_type(self) -> &'static str {
        match self {
            Kind::Jpeg => "image/jpeg",
            Kind::Png => "image/png",
            Kind::Bmp => "image/bmp",
            Kind::Pdf => "application/pdf",
        }
    }

    /// The kind that a key's extension stands for.
    pub fn of_key(key: &str) -> Option<Self> {
        let extension = key.rsplit_once('.')?.1;
        [Kind::Jpeg, Kind::Png, Kind::Bmp, Kind::Pdf]
            .into_iter()
            .find(|kind| kind.extension() == extension)
    }
}

/// Removes a blob that nobody will ask for any more. One that cannot be removed is logged, and no
/// reason to fail.
pub fn discard(key: &str) {
    if let Err(error) = blobs::delete(key) {
        log::write(
            Level::Warn,
            &format!("the blob {key:?} belongs to nobody and stays: {error:?}"),
        );
    }
}

/// Whether the scan and the end-of-image marker are there; cameras write zeros behind it.
fn is_whole_jpeg(content: &[u8]) -> bool {
    let end = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    content[..end].ends_with(&[0xFF, 0xD9]) && content.windows(2).any(|pair| pair == [0xFF, 0xDA])
}

/// Whether chunk follows chunk up to the one that ends the picture, with data in between.
fn is_whole_png(content: &[u8]) -> bool {
    let (mut at, mut has_data) = (8, false);
    while let Some(head) = content.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        match &head[4..] {
            b"IEND" => return has_data && content.len() >= at + 12,
            b"IDAT" => has_data = true,
            _ => {}
        }
        at = at.saturating_add(length).saturating_add(12);
    }
    false
}

/// Whether there are as many bytes as the head says.
fn is_whole_bmp(content: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = content.get(2..6) else {
        return false;
    };
    let announced = u32::from_le_bytes([a, b, c, d]) as usize;
    (54..=content.len()).contains(&announced)
}

/// Whether the mark of the end stands in the last kilobyte, where readers look for it.
fn is_whole_pdf(content: &[u8]) -> bool {
    let tail = &content[content.len().saturating_sub(1024)..];
    tail.windows(5).any(|five| five == b"%%EOF")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use super::*;

    fn picture(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(40, 30).write_to(&mut bytes, format).expect("a picture");
        bytes.into_inner()
    }

    #[test]
    fn files_are_told_by_their_content() {
        for (format, kind) in [
            (ImageFormat::Jpeg, Kind::Jpeg),
            (ImageFormat::Png, Kind::Png),
            (ImageFormat::Bmp, Kind::Bmp),
        ] {
            let whole = picture(format);
            assert_eq!(Kind::of_content(&whole), Ok(kind));
            assert_eq!(
                Kind::of_content(&whole[..whole.len() * 2 / 3]),
                Err(Refusal::Broken),
                "{kind:?}"
            );
            assert_eq!(Kind::of_key(&format!("a/b.{}", kind.extension())), Some(kind));
        }
        assert_eq!(Kind::of_content(b"%PDF-1.7 ... %%EOF\n"), Ok(Kind::Pdf));
        assert_eq!(Kind::of_content(b"%PDF-1.7 ..."), Err(Refusal::Broken));
        assert_eq!(Kind::of_content(b""), Err(Refusal::Empty));
        assert_eq!(Kind::of_content(b"GIF89a"), Err(Refusal::Unknown));
        assert_eq!(Kind::of_content(b"<svg onload=alert(1)>"), Err(Refusal::Unknown));
    }

    #[test]
    fn heads_that_announce_too_much_are_refused() {
        let mut png = picture(ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0xC3, 0x50, 0, 0, 0xC3, 0x50]);
        assert_eq!(Kind::of_content(&png), Err(Refusal::TooLarge));
        let mut jpeg = picture(ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("a frame");
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xC3, 0x50, 0xC3, 0x50]);
        assert_eq!(Kind::of_content(&jpeg), Err(Refusal::TooLarge));
    }

    #[test]
    fn names_that_are_paths_are_refused() {
        let file = |name: &str| File {
            field: "f".into(),
            name: name.into(),
            content: picture(ImageFormat::Png).into(),
        };
        assert_eq!(Kind::of(&file("a.png")), Ok(Kind::Png));
        for path in ["../a.png", "..\\a.png", "/etc/passwd", "C:\\a.png"] {
            assert_eq!(Kind::of(&file(path)), Err(Refusal::Name), "{path}");
        }
    }
}
