//! Codes as pictures: outlines of letters, bent and crossed out before they become pixels.
//!
//! People read the whole and are not bothered by a wave; programs that cut a line into letters are:
//! letters touch, lean, and are crossed by strokes of their own colour.

use ab_glyph::{Font as _, FontRef, OutlineCurve, Point, point};
use ab_glyph_rasterizer::Rasterizer;
use fastrand::Rng;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _, Rgb, RgbImage};

/// The letters and digits of DejaVu Sans Bold.
const FONT: &[u8] = include_bytes!("../fonts/letters.ttf");

/// The quality of JPEG pictures, of 100.
const QUALITY: u8 = 90;

/// Line segments that a curve of a letter is cut into, so that it can be bent.
const SEGMENTS: u16 = 6;

/// The size of a picture, in pixels.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Pixels from left to right.
    pub width: u16,
    /// Pixels from top to bottom.
    pub height: u16,
}

/// Draws a code as a JPEG. The same seed draws the same picture.
pub fn jpeg(code: &str, seed: u64, size: Size) -> Vec<u8> {
    let picture = draw(code, seed, size);
    let mut bytes = Vec::new();
    let encoded = JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&picture);
    debug_assert!(encoded.is_ok(), "a picture in memory can be written to memory");
    bytes
}

/// Draws a code as a PNG. The same seed draws the same picture.
pub fn png(code: &str, seed: u64, size: Size) -> Vec<u8> {
    let picture = draw(code, seed, size);
    let mut bytes = Vec::new();
    let encoded = PngEncoder::new(&mut bytes).write_image(
        &picture,
        size.width.into(),
        size.height.into(),
        ExtendedColorType::Rgb8,
    );
    debug_assert!(encoded.is_ok(), "a picture in memory can be written to memory");
    bytes
}

/// Draws a code: characters that the font does not have leave a gap.
pub fn draw(code: &str, seed: u64, size: Size) -> RgbImage {
    let mut random = Rng::with_seed(seed);
    let mut picture = background(&mut random, size);
    let ink = Rgb([random.u8(0..90), random.u8(0..90), random.u8(0..130)]);
    let wave = Wave::choose(&mut random, size);
    letters(code, &mut random, size, &wave).onto(&mut picture, ink);
    for _ in 0..2 {
        stroke(&mut random, size, &wave).onto(&mut picture, ink);
    }
    picture
}

/// Paper: light, shaded from one side to the other, and grainy.
fn background(random: &mut Rng, size: Size) -> RgbImage {
    let left = [random.u8(215..=250), random.u8(215..=250), random.u8(215..=250)];
    let right = [random.u8(215..=250), random.u8(215..=250), random.u8(215..=250)];
    RgbImage::from_fn(size.width.into(), size.height.into(), |x, _| {
        let grain = i32::from(random.u8(0..16)) - 8;
        let share = i32::try_from(x).unwrap_or(0) * 256 / i32::from(size.width);
        let channel = |index: usize| {
            let mixed =
                (i32::from(left[index]) * (256 - share) + i32::from(right[index]) * share) / 256;
            u8::try_from((mixed + grain).clamp(0, 255)).unwrap_or(255)
        };
        Rgb([channel(0), channel(1), channel(2)])
    })
}

/// Moves every point up or down, and a little to the side.
struct Wave {
    height: f32,
    length: f32,
    start: f32,
    sideways: f32,
}

impl Wave {
    fn choose(random: &mut Rng, size: Size) -> Self {
        let height = f32::from(size.height);
        Wave {
            height: between(random, 0.06, 0.10) * height,
            length: between(random, 1.2, 2.0) * height,
            start: between(random, 0.0, std::f32::consts::TAU),
            sideways: between(random, 0.03, 0.06) * height,
        }
    }

    fn bend(&self, from: Point) -> Point {
        let turn = std::f32::consts::TAU / self.length;
        let x = from.x + self.sideways * (from.y * turn * 1.3 + self.start).sin();
        let y = from.y + self.height * (from.x * turn + self.start).sin();
        point(x, y)
    }
}

/// Shapes on their way to becoming pixels.
struct Shapes {
    rasterizer: Rasterizer,
    size: Size,
}

impl Shapes {
    fn new(size: Size) -> Self {
        Shapes { rasterizer: Rasterizer::new(size.width.into(), size.height.into()), size }
    }

    /// Draws one side of a shape. What lies outside the picture is drawn on its edge.
    fn line(&mut self, from: Point, to: Point) {
        let (width, height) = (f32::from(self.size.width) - 1.0, f32::from(self.size.height) - 1.0);
        let inside = |at: Point| point(at.x.clamp(0.0, width), at.y.clamp(0.0, height));
        self.rasterizer.draw_line(inside(from), inside(to));
    }

    fn onto(self, picture: &mut RgbImage, ink: Rgb<u8>) {
        let width = u32::from(self.size.width);
        self.rasterizer.for_each_pixel_2d(|x, y, covered| {
            if x < width && y < u32::from(self.size.height) {
                let pixel = picture.get_pixel_mut(x, y);
                for (channel, ink) in pixel.0.iter_mut().zip(ink.0) {
                    *channel = mix(*channel, ink, covered);
                }
            }
        });
    }
}

/// `paper` where nothing is covered, `ink` where all is.
fn mix(paper: u8, ink: u8, covered: f32) -> u8 {
    let share = covered.abs().min(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mixture of two bytes is a byte"
    )]
    let mixed = (f32::from(paper) * (1.0 - share) + f32::from(ink) * share).round() as u8;
    mixed
}

/// The code's letters from left to right, each leaning and standing as it likes.
fn letters(code: &str, random: &mut Rng, size: Size, wave: &Wave) -> Shapes {
    let mut shapes = Shapes::new(size);
    let Ok(font) = FontRef::try_from_slice(FONT) else {
        return shapes;
    };
    let (width, height) = (f32::from(size.width), f32::from(size.height));
    let count = u16::try_from(code.chars().count().max(1)).unwrap_or(u16::MAX);
    let cell = (width * 0.92) / f32::from(count);
    for (index, character) in (0_u16..).zip(code.chars()) {
        let centre = point(
            width * 0.04 + cell * (f32::from(index) + 0.5),
            height * between(random, 0.46, 0.54),
        );
        let stance = Stance {
            centre,
            scale: height * between(random, 0.66, 0.80),
            angle: between(random, -0.30, 0.30),
            lean: between(random, -0.15, 0.15),
        };
        letter(&mut shapes, &font, character, &stance, wave);
    }
    shapes
}

/// Where and how a letter stands.
struct Stance {
    centre: Point,
    /// Pixels of the font's em square.
    scale: f32,
    /// Radians.
    angle: f32,
    /// How far the top leans sideways, of its height.
    lean: f32,
}

fn letter(shapes: &mut Shapes, font: &FontRef<'_>, character: char, stance: &Stance, wave: &Wave) {
    let Some(outline) = font.outline(font.glyph_id(character)) else {
        return;
    };
    let unit = stance.scale / font.units_per_em().unwrap_or(2048.0);
    let bounds = &outline.bounds;
    let middle =
        point(f32::midpoint(bounds.min.x, bounds.max.x), f32::midpoint(bounds.min.y, bounds.max.y));
    let (sine, cosine) = stance.angle.sin_cos();
    let place = |at: Point| {
        let (x, y) = ((at.x - middle.x) * unit, (middle.y - at.y) * unit);
        let x = x - y * stance.lean;
        wave.bend(point(
            stance.centre.x + x * cosine - y * sine,
            stance.centre.y + x * sine + y * cosine,
        ))
    };
    for curve in &outline.curves {
        let mut from = place(start(curve));
        for step in 1..=SEGMENTS {
            let to = place(along(curve, f32::from(step) / f32::from(SEGMENTS)));
            shapes.line(from, to);
            from = to;
        }
    }
}

fn start(curve: &OutlineCurve) -> Point {
    match *curve {
        OutlineCurve::Line(from, _)
        | OutlineCurve::Quad(from, ..)
        | OutlineCurve::Cubic(from, ..) => from,
    }
}

/// The point of a Bézier curve at `t`, from 0 to 1.
fn along(curve: &OutlineCurve, t: f32) -> Point {
    let blend =
        |from: Point, to: Point| point(from.x + (to.x - from.x) * t, from.y + (to.y - from.y) * t);
    let quad = |from, by, to| blend(blend(from, by), blend(by, to));
    match *curve {
        OutlineCurve::Line(from, to) => blend(from, to),
        OutlineCurve::Quad(from, by, to) => quad(from, by, to),
        OutlineCurve::Cubic(from, by, and, to) => blend(quad(from, by, and), quad(by, and, to)),
    }
}

/// A stroke across all letters, as a narrow band that follows the wave.
fn stroke(random: &mut Rng, size: Size, wave: &Wave) -> Shapes {
    const STEPS: u16 = 24;
    let (width, height) = (f32::from(size.width), f32::from(size.height));
    let (left, right) = (between(random, 0.2, 0.8) * height, between(random, 0.2, 0.8) * height);
    let sag = between(random, -0.35, 0.35) * height;
    let half = between(random, 0.018, 0.03) * height;
    let at = |step: u16, side: f32| {
        let t = f32::from(step) / f32::from(STEPS);
        let y = left + (right - left) * t + sag * (t * std::f32::consts::PI).sin();
        wave.bend(point(width * t, y + side))
    };
    let mut shapes = Shapes::new(size);
    for step in 0..STEPS {
        shapes.line(at(step, -half), at(step + 1, -half));
        shapes.line(at(step + 1, half), at(step, half));
    }
    shapes.line(at(STEPS, -half), at(STEPS, half));
    shapes.line(at(0, half), at(0, -half));
    shapes
}

fn between(random: &mut Rng, least: f32, most: f32) -> f32 {
    least + (most - least) * random.f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 150, height: 40 };

    #[test]
    fn a_picture_is_a_jpeg_and_the_same_for_the_same_seed() {
        let picture = jpeg("aB3xY", 7, SIZE);
        assert!(picture.starts_with(&[0xFF, 0xD8, 0xFF]) && picture.ends_with(&[0xFF, 0xD9]));
        assert_eq!(picture, jpeg("aB3xY", 7, SIZE));
        assert_ne!(picture, jpeg("aB3xY", 8, SIZE));
    }

    #[test]
    fn strange_codes_and_sizes_are_drawn_without_a_panic() {
        for code in ["", "汉字", "a very long code that does not fit at all", "\u{0}"] {
            for (width, height) in [(150, 40), (2, 2), (1, 300)] {
                assert!(!jpeg(code, 1, Size { width, height }).is_empty());
            }
        }
    }

    #[test]
    fn letters_leave_ink() {
        let dark = |picture: &RgbImage| picture.pixels().filter(|pixel| pixel.0[0] < 128).count();
        assert!(dark(&draw("WWWWW", 3, SIZE)) > dark(&draw("", 3, SIZE)) + 500);
    }
}
