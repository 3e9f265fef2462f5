//! Text on a bitmap, with fonts that are built into the binary, so that it looks the same everywhere.
//!
//! The typeface is Ubuntu Light (Ubuntu font licence), Hack where it lacks a glyph. An underscore lowers the one
//! character after it, so that `x_t` is set as in print; two underscores are one, as [`plain`] writes it.

use ab_glyph::{Font, FontRef, Glyph, GlyphId, ScaleFont, point};
use anyhow::{Context, Result};
use image::{Rgb, RgbImage};

/// Size and drop of a lowered character, as parts of the text size.
const LOWERED: (f32, f32) = (0.70, 0.16);

/// Alignment of the text at the given x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Centre,
}

/// The fonts, in order of preference.
pub struct TextPainter {
    fonts: [FontRef<'static>; 2],
}

/// Size and colour of a text.
#[derive(Clone, Copy)]
pub struct Ink {
    /// Height of a line in pixels.
    pub size: f32,
    pub colour: [u8; 3],
}

impl TextPainter {
    /// Loads the built-in fonts.
    pub fn new() -> Result<Self> {
        let load = |bytes| FontRef::try_from_slice(bytes).context("the built-in font cannot be read");
        Ok(Self { fonts: [load(epaint_default_fonts::UBUNTU_LIGHT)?, load(epaint_default_fonts::HACK_REGULAR)?] })
    }

    /// Draws a text. `y` is its baseline; what falls outside the image is cut off.
    pub fn draw(&self, image: &mut RgbImage, text: &str, (x, y): (f32, f32), ink: Ink, align: Align) {
        let (glyphs, width) = self.lay_out(text, ink.size);
        let left = match align {
            Align::Left => x,
            Align::Centre => x - width / 2.0,
        };
        for (font, mut glyph) in glyphs {
            glyph.position += point(left.round(), y.round());
            let Some(outline) = self.fonts[font].outline_glyph(glyph) else {
                continue;
            }; // a space
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, cover| {
                blend(image, corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy), ink.colour, cover);
            });
        }
    }

    /// Places each glyph on a line that starts at the origin; also the width of the line.
    fn lay_out(&self, text: &str, size: f32) -> (Vec<(usize, Glyph)>, f32) {
        let (mut glyphs, mut x, mut before) = (Vec::new(), 0.0, None);
        let mut letters = text.chars().peekable();
        while let Some(mut letter) = letters.next() {
            let next = letters.next_if(|_| letter == '_');
            let lowered = next.is_some_and(|next| next != '_');
            letter = next.unwrap_or(letter);
            let (size, drop) = if lowered { (size * LOWERED.0, size * LOWERED.1) } else { (size, 0.0) };
            let (font, id) = self.glyph(letter);
            let scaled = self.fonts[font].as_scaled(size);
            if let Some((last_font, last)) = before
                && last_font == font
                && !lowered
            {
                x += scaled.kern(last, id);
            }
            glyphs.push((font, id.with_scale_and_position(size, point(x, drop))));
            x += scaled.h_advance(id);
            before = Some((font, id));
        }
        (glyphs, x)
    }

    /// The first font that has the letter; the empty box of the first font where none does.
    fn glyph(&self, letter: char) -> (usize, GlyphId) {
        let ids = self.fonts.iter().map(|font| font.glyph_id(letter)).enumerate();
        ids.clone().find(|(_, id)| id.0 != 0).unwrap_or((0, GlyphId(0)))
    }
}

/// Escapes a name, so that it is drawn as it is spelt.
pub fn plain(name: &str) -> String {
    name.replace('_', "__")
}

/// Blends a colour into a pixel with coverage `cover`, if the pixel is inside the image.
pub fn blend(image: &mut RgbImage, x: i64, y: i64, colour: [u8; 3], cover: f32) {
    let inside = u32::try_from(x).ok().zip(u32::try_from(y).ok());
    if let Some(Rgb(pixel)) = inside.and_then(|(x, y)| image.get_pixel_mut_checked(x, y)) {
        for (value, ink) in pixel.iter_mut().zip(colour) {
            *value = (f32::from(*value) + (f32::from(ink) - f32::from(*value)) * cover.clamp(0.0, 1.0)).round() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, at: (f32, f32), align: Align) -> Vec<u32> {
        let mut image = RgbImage::new(60, 40);
        let ink = Ink { size: 20.0, colour: [255; 3] };
        TextPainter::new().unwrap().draw(&mut image, text, at, ink, align);
        image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] > 60).map(|(x, _, _)| x).collect()
    }

    #[test]
    fn underscores_lower_unless_the_name_is_plain() {
        let width = |text: &str| TextPainter::new().unwrap().lay_out(text, 20.0).1;
        assert!(width("x_t") < width("xt"));
        let painter = TextPainter::new().unwrap();
        let drawn = painter.lay_out(&plain("my_cat_"), 20.0).0;
        let drops = drawn.iter().filter(|(_, glyph)| glyph.position.y != 0.0).count();
        assert_eq!((drawn.len(), drops), (7, 0));
    }

    #[test]
    fn text_stands_where_it_is_aligned() {
        let range = |columns: Vec<u32>| (*columns.iter().min().unwrap(), *columns.iter().max().unwrap());
        let (left, centre) =
            (range(drawn("ab", (30.0, 25.0), Align::Left)), range(drawn("ab", (30.0, 25.0), Align::Centre)));
        assert!(left.0 >= 30 && centre.0 < 30 && centre.1 >= 30);
    }

    #[test]
    fn every_sign_that_the_tool_uses_has_a_glyph() {
        let fonts = TextPainter::new().unwrap();
        for letter in "ε σ α √ · × – − → ∞ ± ≤ ² ⁰ ᾱ".chars() {
            assert_ne!(fonts.glyph(letter).1, GlyphId(0), "{letter}");
        }
    }

    #[test]
    fn a_lowered_letter_is_narrower() {
        let right = |text| *drawn(text, (2.0, 25.0), Align::Left).iter().max().unwrap();
        assert!(right("x_t") < right("xt"));
        assert!(right("_") > 2);
    }

    #[test]
    fn drawing_outside_is_cut_off() {
        assert!(drawn("far", (-500.0, 25.0), Align::Left).is_empty());
        assert!(drawn("far", (30.0, 9e9), Align::Left).is_empty());
    }
}
