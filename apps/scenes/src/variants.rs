//! Crops of one picture, for an ideal denoiser to know: alike enough to be hard to tell apart in noise.

use image::imageops::{self, FilterType};
use image::{DynamicImage, Rgb, RgbImage};
use pictures::set::Member;
use pictures::{Picture, Set};

/// The side of a corner's crop, as a part of the shorter side.
const CORNER: f64 = 0.6;

/// Returns the middle of a picture, as it is, mirrored, upside down and in other colours, and its corners: eight squares of this
/// side.
#[must_use]
pub fn variants(picture: &Picture, side: u32) -> Set {
    let whole = picture.to_rgb();
    let (width, height) = whole.dimensions();
    let shorter = width.min(height);
    let small = ((f64::from(shorter) * CORNER) as u32).max(1);
    let square = |left: u32, top: u32, of: u32| {
        imageops::resize(&imageops::crop_imm(&whole, left, top, of, of).to_image(), side, side, FilterType::Triangle)
    };
    let middle = square((width - shorter) / 2, (height - shorter) / 2, shorter);
    let (right, bottom) = (width - small, height - small);
    let named = [
        ("middle", middle.clone()),
        ("mirrored", imageops::flip_horizontal(&middle)),
        ("upside down", imageops::flip_vertical(&middle)),
        ("recoloured", coloured(&middle, |[red, green, blue]| [blue, red, green])),
        ("top left", square(0, 0, small)),
        ("top right", square(right, 0, small)),
        ("bottom left", square(0, bottom, small)),
        ("bottom right", square(right, bottom, small)),
    ];
    let member = |(name, image): (&str, RgbImage)| Member {
        name: name.to_owned(),
        picture: Picture::from_colours(&DynamicImage::from(image).into_rgb32f()),
    };
    Set { members: named.into_iter().map(member).collect(), side }
}

fn coloured(image: &RgbImage, colour: impl Fn([u8; 3]) -> [u8; 3]) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| Rgb(colour(image.get_pixel(x, y).0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pictures::test_card::test_card;

    #[test]
    fn they_are_distinct_squares_of_any_picture() {
        for (width, height) in [(64, 48), (1, 90), (300, 2)] {
            let set = variants(&test_card(width, height), 16);
            assert_eq!((set.members.len(), set.numbers().len()), (8, 8 * 3 * 16 * 16));
        }
        let set = variants(&test_card(64, 48), 16);
        for (i, a) in set.members.iter().enumerate() {
            assert!(set.members[..i].iter().all(|b| b.picture != a.picture), "{}", a.name);
        }
    }
}
