//! Pictures as programs compute with them: planar f32 in [-1, 1], the range that diffusion models are trained on.

use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, Rgb32FImage, RgbImage};

/// The largest picture that is opened, in pixels: a few kilobytes of PNG can unpack to any size that their header
/// claims. Phones take pictures of up to 200 million pixels, which would take too long here.
const MOST_PIXELS: u64 = 100_000_000;

/// The memory that a decoder may take, in bytes: 8 for each of those pixels, and some room.
const MOST_BYTES: u64 = 1 << 30;

/// The least length of a picture's longer side at which it can be recognised in a filmstrip.
const LEGIBLE: u32 = 96;

/// A colour picture. Plane after plane, row after row: the layout `[3, height, width]` of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Always 3: red, green, blue.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// `channels * height * width` values; -1 is black, 1 is full intensity.
    pub data: Vec<f32>,
}

impl Picture {
    /// Creates a picture from planar values. Those outside [-1, 1] are kept; [`Self::to_rgb`] clamps them.
    ///
    /// # Errors
    /// Unless there are `3 * width * height` values.
    pub fn from_planar(width: usize, height: usize, data: Vec<f32>) -> Result<Self> {
        let expected = 3 * width * height;
        if data.len() != expected {
            bail!("expected {expected} values for a picture of {width} x {height}, found {}", data.len());
        }
        Ok(Self { channels: 3, height, width, data })
    }

    /// Opens a PNG or JPEG of any kind (grey, palette, transparent, 16 bit, rotated by a phone) and fits it into a box.
    ///
    /// Transparent parts show white. See [`Self::fit`] for the size of the result.
    pub fn open(path: &Path, most_width: u32, most_height: u32) -> Result<Self> {
        let image = decode(path).with_context(|| path.display().to_string())?;
        Ok(Self::from_colours(&fitted(&flatten(image, most_width, most_height), most_width, most_height)))
    }

    /// As [`Self::open`], from the bytes of a file.
    pub fn read(bytes: &[u8], most_width: u32, most_height: u32) -> Result<Self> {
        let image = unpack(Cursor::new(bytes))?;
        Ok(Self::from_colours(&fitted(&flatten(image, most_width, most_height), most_width, most_height)))
    }

    /// Opens a picture as [`Self::open`] does, crops it to the largest square in its middle, and scales that to this size.
    pub fn open_square(path: &Path, side: u32) -> Result<Self> {
        let image = decode(path).with_context(|| path.display().to_string())?;
        let shorter = image.width().min(image.height());
        let (left, top) = ((image.width() - shorter) / 2, (image.height() - shorter) / 2);
        let square = flatten(image.crop_imm(left, top, shorter, shorter), side, side);
        Ok(Self::from_colours(&imageops::resize(&square, side, side, FilterType::Lanczos3)))
    }

    /// Returns the picture at a size that fits into the box, in its own proportions.
    ///
    /// A large one is reduced with a Lanczos filter. One that is too small to recognise is enlarged by a whole factor,
    /// so that its pixels stay crisp squares. Any other is left alone.
    pub fn fit(&self, most_width: u32, most_height: u32) -> Self {
        Self::from_colours(&fitted(&self.to_colours(), most_width, most_height))
    }

    /// Converts to 8-bit pixels. Values are clamped, and NaN is black.
    pub fn to_rgb(&self) -> RgbImage {
        let byte = |value: f32| ((value + 1.0) * 127.5).round() as u8; // saturates; NaN gives 0
        RgbImage::from_fn(self.width as u32, self.height as u32, |x, y| Rgb(self.at(x, y).map(byte)))
    }

    fn at(&self, x: u32, y: u32) -> [f32; 3] {
        let (plane, place) = (self.width * self.height, y as usize * self.width + x as usize);
        [self.data[place], self.data[plane + place], self.data[2 * plane + place]]
    }

    fn to_colours(&self) -> Rgb32FImage {
        Rgb32FImage::from_fn(self.width as u32, self.height as u32, |x, y| Rgb(self.at(x, y).map(|v| v * 0.5 + 0.5)))
    }

    /// Creates a picture from interleaved values in [0, 1]; a filter's overshoot is clamped.
    pub fn from_colours(image: &Rgb32FImage) -> Self {
        let plane = |channel: usize| image.pixels().map(move |pixel| pixel.0[channel].clamp(0.0, 1.0) * 2.0 - 1.0);
        let data = (0..3).flat_map(plane).collect();
        Self { channels: 3, height: image.height() as usize, width: image.width() as usize, data }
    }
}

/// Encodes 8-bit pixels as the bytes of a PNG.
pub fn png(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, PngFilter::Adaptive);
    image.write_with_encoder(encoder)?;
    Ok(bytes)
}

/// Saves 8-bit pixels as a PNG, in one atomic step.
#[cfg(not(target_family = "wasm"))]
pub fn save_png(image: &RgbImage, path: &Path) -> Result<()> {
    crate::atomic::write(path, &png(image).with_context(|| path.display().to_string())?)
}

fn decode(path: &Path) -> Result<DynamicImage> {
    let (file, _) = crate::regular::open(path, "a PNG or JPEG file")?;
    unpack(BufReader::new(file))
}

fn unpack(file: impl BufRead + Seek) -> Result<DynamicImage> {
    let mut reader = ImageReader::new(file).with_guessed_format().context("cannot be read")?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        bail!("expected a PNG or JPEG file, found another format");
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        bail!("expected a picture, found one of {width} x {height} pixels");
    }
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        bail!("expected at most {MOST_PIXELS} pixels, found {width} x {height}");
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Returns the error on one line, whatever the decoder says.
fn damaged(error: image::ImageError) -> anyhow::Error {
    let said = error.to_string();
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    anyhow!("expected a PNG or JPEG file, found a damaged one: {}", lines.join(" "))
}

/// Puts the picture on white, and averages blocks of pixels where it is much larger than the box.
///
/// Both in one pass, so that a huge picture is never held as floats.
fn flatten(image: DynamicImage, most_width: u32, most_height: u32) -> Rgb32FImage {
    let block = (image.width() / most_width.max(1)).min(image.height() / most_height.max(1)) / 2;
    let block = block.max(1);
    let (width, height) = (image.width() / block, image.height() / block);
    if image.color().bytes_per_pixel() > image.color().channel_count() {
        let deep = image.into_rgba16();
        average(width, height, block, |x, y| deep.get_pixel(x, y).0.map(|value| f32::from(value) / 65535.0))
    } else {
        let plain = image.into_rgba8();
        average(width, height, block, |x, y| plain.get_pixel(x, y).0.map(|value| f32::from(value) / 255.0))
    }
}

fn average(width: u32, height: u32, block: u32, at: impl Fn(u32, u32) -> [f32; 4]) -> Rgb32FImage {
    let weight = 1.0 / (block * block) as f32;
    Rgb32FImage::from_fn(width, height, |x, y| {
        let mut sum = [0.0; 3];
        for (dx, dy) in (0..block).flat_map(|dy| (0..block).map(move |dx| (dx, dy))) {
            let [red, green, blue, alpha] = at(x * block + dx, y * block + dy);
            for (sum, value) in sum.iter_mut().zip([red, green, blue]) {
                *sum += weight * (value * alpha + 1.0 - alpha);
            }
        }
        Rgb(sum)
    })
}

fn fitted(image: &Rgb32FImage, most_width: u32, most_height: u32) -> Rgb32FImage {
    let (width, height) = image.dimensions();
    let longer = width.max(height).max(1);
    let shrink = (f64::from(most_width) / f64::from(width)).min(f64::from(most_height) / f64::from(height));
    if shrink < 1.0 {
        let side = |length: u32| (f64::from(length) * shrink).round().max(1.0) as u32;
        imageops::resize(image, side(width), side(height), FilterType::Lanczos3)
    } else if longer < LEGIBLE {
        let factor = LEGIBLE.div_ceil(longer).min(shrink as u32).max(1);
        imageops::resize(image, width * factor, height * factor, FilterType::Nearest)
    } else {
        image.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, LumaA, Rgba};
    use std::fs;

    fn opened(image: impl Into<DynamicImage>, name: &str) -> Picture {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        image.into().save(&path).unwrap();
        Picture::open(&path, 256, 256).unwrap()
    }

    fn refusal(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.png");
        fs::write(&path, bytes).unwrap();
        let text = format!("{:#}", Picture::open(&path, 256, 256).unwrap_err());
        assert!(text.contains("in.png: expected a PNG or JPEG file, found"), "{text}");
        text
    }

    #[test]
    fn grey_becomes_three_equal_planes() {
        let picture = opened(GrayImage::from_fn(120, 100, |x, _| Luma([x as u8])), "grey.png");
        assert_eq!((picture.channels, picture.width, picture.height), (3, 120, 100));
        assert_eq!(picture.data[..12_000], picture.data[12_000..24_000]);
        assert_eq!(picture.to_rgb().get_pixel(77, 5).0, [77; 3]);
    }

    #[test]
    fn transparent_parts_show_white() {
        let clear = Rgba([200, 0, 0, 0]);
        assert_eq!(opened(image::RgbaImage::from_pixel(96, 96, clear), "a.png").data, vec![1.0; 3 * 96 * 96]);
        let half = image::ImageBuffer::from_pixel(96, 96, LumaA([0u8, 51]));
        assert_eq!(opened(half, "b.png").to_rgb().get_pixel(0, 0).0, [204; 3]);
    }

    #[test]
    fn sixteen_bits_are_kept() {
        let fine = image::ImageBuffer::from_pixel(96, 96, Luma([1000u16]));
        let value = opened(fine, "fine.png").data[0];
        assert!((value - (2000.0 / 65535.0 - 1.0)).abs() < 1e-6, "{value}");
    }

    #[test]
    fn jpeg_is_read() {
        let picture = opened(RgbImage::from_pixel(100, 100, Rgb([10, 200, 90])), "a.jpg");
        let pixel = picture.to_rgb().get_pixel(50, 50).0;
        assert!(pixel.iter().zip([10u8, 200, 90]).all(|(a, b)| a.abs_diff(b) <= 3), "{pixel:?}");
    }

    #[test]
    fn sizes_keep_their_proportions() {
        let size = |width, height| {
            let picture = opened(RgbImage::new(width, height), "a.png");
            (picture.width, picture.height)
        };
        assert_eq!(size(256, 256), (256, 256));
        assert_eq!(size(150, 40), (150, 40));
        assert_eq!(size(1024, 512), (256, 128));
        assert_eq!(size(3000, 1499), (256, 128));
        assert_eq!(size(2000, 1), (256, 1));
        assert_eq!(size(10, 10), (100, 100));
        assert_eq!(size(1, 1), (96, 96));
        assert_eq!(size(1, 90), (2, 180));
    }

    #[test]
    fn broken_files_give_one_line() {
        let mut png = Cursor::new(Vec::new());
        RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]))
            .write_to(&mut png, ImageFormat::Png)
            .unwrap();
        let png = png.into_inner();
        for length in [9, 20, 40, png.len() / 2, png.len() - 40] {
            assert!(refusal(&png[..length]).contains("damaged"), "{length}");
        }
        assert!(refusal(b"").contains("another format"));
        assert!(refusal(b"GIF89a and so on").contains("another format"));
        let text = format!("{:#}", Picture::open(Path::new("nowhere.png"), 9, 9).unwrap_err());
        assert_eq!(text, "nowhere.png: expected a PNG or JPEG file, found no such file");
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let mut png = Cursor::new(Vec::new());
        RgbImage::new(1, 1).write_to(&mut png, ImageFormat::Png).unwrap();
        let mut png = png.into_inner();
        png[16..24].copy_from_slice(&[0, 0, 200, 0, 0, 0, 200, 0]); // IHDR: 51200 x 51200
        let crc = crc32fast::hash(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.png");
        fs::write(&path, png).unwrap();
        let text = format!("{:#}", Picture::open(&path, 256, 256).unwrap_err());
        assert!(text.ends_with("found 51200 x 51200"), "{text}");
    }

    #[test]
    fn values_out_of_range_are_clamped_and_nan_is_black() {
        let data = vec![-9.0, f32::INFINITY, f32::NAN];
        assert_eq!(Picture::from_planar(1, 1, data).unwrap().to_rgb().get_pixel(0, 0).0, [0, 255, 0]);
        assert!(Picture::from_planar(2, 1, vec![0.0; 3]).is_err());
    }
}
