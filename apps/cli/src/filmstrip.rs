//! The pictures of `demo`, `sample` and `samplers`: a table of thumbnails with captions.
//!
//! The background is dark and the decoration sparse, so that the thumbnails stand out.

use anyhow::{Result, bail};
use image::{Rgb, RgbImage};

use crate::text::{Align, Ink, TextPainter, blend};
use files::Picture;

/// The box that a thumbnail is fitted into. Small enough that eight of them fit a README.
pub const THUMBNAIL: u32 = 192;

const BACKGROUND: ([u8; 3], [u8; 3]) = ([24, 26, 36], [14, 15, 21]);
const WHITE: [u8; 3] = [242, 243, 248];
const PALE: [u8; 3] = [176, 181, 198];
const DIM: [u8; 3] = [142, 148, 168];
/// The caption of a picture that has gone wrong.
const ALARM: [u8; 3] = [255, 128, 116];
const FRAME: [u8; 3] = [58, 62, 80];
/// A colour for each row, to tell them apart.
const ACCENTS: [[u8; 3]; 4] = [[148, 156, 180], [255, 158, 100], [122, 200, 255], [142, 224, 150]];

const MARGIN: u32 = 44;
const GAP: u32 = 14;
/// Room under a thumbnail for its caption, and below that for the next row.
const CAPTION: u32 = 22;
const ROW_GAP: u32 = 16;
const LABELS: u32 = 176;
const HEADER: u32 = 172;
const RADIUS: f32 = 7.0;

/// A row of pictures.
pub struct Row {
    /// A name and, after a line break, a remark in smaller letters.
    pub label: String,
    /// One for each column; scaled to [`THUMBNAIL`], all to the same size.
    pub pictures: Vec<Picture>,
    /// One for each column; may be empty texts.
    pub captions: Vec<Caption>,
}

/// Text under a picture.
#[derive(Clone, Debug)]
pub struct Caption {
    pub text: String,
    /// True if the picture has gone wrong, which its colour shows.
    pub alarming: bool,
}

/// The content of a picture. In all texts `_` lowers the next character.
pub struct Filmstrip {
    pub title: String,
    pub subtitle: String,
    /// A name and, after a line break, a remark in smaller letters.
    pub column_labels: Vec<String>,
    pub rows: Vec<Row>,
}

impl Filmstrip {
    /// Composes the image.
    pub fn render(&self) -> Result<RgbImage> {
        let thumbnails = self.thumbnails()?;
        let Some(first) = thumbnails.first().and_then(|row| row.first()) else {
            bail!("a filmstrip needs at least one picture");
        };
        let grid = Grid { cell: first.dimensions(), columns: self.column_labels.len() as u32 };
        let mut image = background(grid.width(), grid.height(thumbnails.len() as u32));
        let fonts = TextPainter::new()?;
        self.draw_header(&mut image, &fonts, &grid);
        for (index, (row, thumbnails)) in self.rows.iter().zip(&thumbnails).enumerate() {
            row.draw(&mut image, &fonts, &grid, index, thumbnails);
        }
        Ok(image)
    }

    /// Returns the pictures of every row as pixels, after checking that they make a table.
    fn thumbnails(&self) -> Result<Vec<Vec<RgbImage>>> {
        let columns = self.column_labels.len();
        let mut rows: Vec<Vec<RgbImage>> = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let found = (row.pictures.len(), row.captions.len());
            if found != (columns, columns) {
                bail!("row `{}`: expected {columns} pictures and captions, found {found:?}", row.label);
            }
            rows.push(row.pictures.iter().map(|picture| picture.fit(THUMBNAIL, THUMBNAIL).to_rgb()).collect());
        }
        let size = rows.iter().flatten().next().map(RgbImage::dimensions);
        if rows.iter().flatten().any(|thumbnail: &RgbImage| Some(thumbnail.dimensions()) != size) {
            bail!("the pictures of a filmstrip must all be of one size");
        }
        Ok(rows)
    }

    fn draw_header(&self, image: &mut RgbImage, fonts: &TextPainter, grid: &Grid) {
        let left = MARGIN as f32;
        fonts.draw(image, &self.title, (left, 62.0), Ink { size: 34.0, colour: WHITE }, Align::Left);
        fonts.draw(image, &self.subtitle, (left, 94.0), Ink { size: 18.0, colour: DIM }, Align::Left);
        for (column, label) in self.column_labels.iter().enumerate() {
            let (name, remark) = label.split_once('\n').unwrap_or((label, ""));
            let (x, y) = grid.corner(column as u32, 0);
            let centre = x as f32 + grid.cell.0 as f32 / 2.0;
            let (name_y, remark_y) = if remark.is_empty() { (12.0, 0.0) } else { (29.0, 11.0) };
            let (name_at, remark_at) = ((centre, y as f32 - name_y), (centre, y as f32 - remark_y));
            fonts.draw(image, name, name_at, Ink { size: 20.0, colour: WHITE }, Align::Centre);
            fonts.draw(image, remark, remark_at, Ink { size: 15.0, colour: DIM }, Align::Centre);
        }
    }
}

impl Row {
    fn draw(&self, image: &mut RgbImage, fonts: &TextPainter, grid: &Grid, index: usize, thumbnails: &[RgbImage]) {
        let accent = ACCENTS[index % ACCENTS.len()];
        let (_, top) = grid.corner(0, index as u32);
        self.draw_label(image, fonts, accent, (top, grid.cell.1));
        for (column, (thumbnail, caption)) in thumbnails.iter().zip(&self.captions).enumerate() {
            let (x, y) = grid.corner(column as u32, index as u32);
            place(image, thumbnail, (x, y));
            let at = (x as f32 + grid.cell.0 as f32 / 2.0, (y + grid.cell.1 + 17) as f32);
            fonts.draw(
                image,
                &caption.text,
                at,
                Ink { size: 15.0, colour: if caption.alarming { ALARM } else { PALE } },
                Align::Centre,
            );
        }
    }

    fn draw_label(&self, image: &mut RgbImage, fonts: &TextPainter, accent: [u8; 3], (top, height): (u32, u32)) {
        let middle = (top + height / 2) as f32;
        let half = (height as f32 / 2.0 - 4.0).clamp(4.0, 34.0);
        rounded(image, (MARGIN as f32, middle - half), (4.0, 2.0 * half), 2.0, |_, _| accent);
        let (name, remark) = self.label.split_once('\n').unwrap_or((&self.label, ""));
        let lines: Vec<_> = remark.lines().filter(|line| !line.is_empty()).collect();
        let mut y = middle + 7.0 - 9.5 * lines.len() as f32;
        let x = MARGIN as f32 + 18.0;
        fonts.draw(image, name, (x, y), Ink { size: 23.0, colour: WHITE }, Align::Left);
        for line in lines {
            y += 20.0;
            fonts.draw(image, line, (x, y), Ink { size: 15.5, colour: DIM }, Align::Left);
        }
    }
}

/// Positions of the thumbnails.
struct Grid {
    cell: (u32, u32),
    columns: u32,
}

impl Grid {
    fn corner(&self, column: u32, row: u32) -> (u32, u32) {
        (MARGIN + LABELS + column * (self.cell.0 + GAP), HEADER + row * (self.cell.1 + CAPTION + ROW_GAP))
    }

    fn width(&self) -> u32 {
        self.corner(self.columns, 0).0 - GAP + MARGIN
    }

    fn height(&self, rows: u32) -> u32 {
        self.corner(0, rows).1 - ROW_GAP + MARGIN * 2 / 3
    }
}

fn background(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |_, y| {
        let part = y as f32 / height as f32;
        let each = |top: u8, bottom: u8| (f32::from(top) + (f32::from(bottom) - f32::from(top)) * part).round() as u8;
        let (top, bottom) = BACKGROUND;
        Rgb(std::array::from_fn(|channel| each(top[channel], bottom[channel])))
    })
}

/// Places a thumbnail with rounded corners in a hairline frame.
fn place(image: &mut RgbImage, thumbnail: &RgbImage, (x, y): (u32, u32)) {
    let (left, top) = (x as f32, y as f32);
    let (width, height) = (thumbnail.width() as f32, thumbnail.height() as f32);
    rounded(image, (left - 1.0, top - 1.0), (width + 2.0, height + 2.0), RADIUS + 1.0, |_, _| FRAME);
    rounded(image, (left, top), (width, height), RADIUS, |dx, dy| {
        thumbnail.get_pixel_checked(dx, dy).map_or([0; 3], |pixel| pixel.0)
    });
}

/// Fills a rounded rectangle; the coverage of a pixel is its distance from the outline.
fn rounded(
    image: &mut RgbImage,
    (left, top): (f32, f32),
    (width, height): (f32, f32),
    radius: f32,
    colour: impl Fn(u32, u32) -> [u8; 3],
) {
    let radius = radius.min(width / 2.0).min(height / 2.0);
    for (dx, dy) in (0..height as u32).flat_map(|dy| (0..width as u32).map(move |dx| (dx, dy))) {
        let beyond = |at: u32, length: f32| ((at as f32 + 0.5 - length / 2.0).abs() - (length / 2.0 - radius)).max(0.0);
        let cover = (radius + 0.5 - beyond(dx, width).hypot(beyond(dy, height))).clamp(0.0, 1.0);
        blend(image, left as i64 + i64::from(dx), top as i64 + i64::from(dy), colour(dx, dy), cover);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(pictures: Vec<Picture>, captions: usize) -> Filmstrip {
        let row = Row {
            label: "x_t\nnoisy".into(),
            pictures,
            captions: vec![Caption { text: "0.1".into(), alarming: false }; captions],
        };
        Filmstrip { title: "T".into(), subtitle: "s".into(), column_labels: vec!["t = 0".into(); 2], rows: vec![row] }
    }

    #[test]
    fn shows_each_picture_unchanged() {
        let picture = Picture::from_planar(100, 100, vec![1.0; 30_000]).unwrap();
        let image = strip(vec![picture.clone(), picture], 2).render().unwrap();
        assert_eq!(image.dimensions(), (44 + 176 + 100 + 14 + 100 + 44, 172 + 100 + 22 + 29));
        for x in [44 + 176 + 50, 44 + 176 + 114 + 50] {
            assert_eq!(image.get_pixel(x, 172 + 50).0, [255; 3]);
        }
        assert_ne!(image.get_pixel(44 + 176 + 107, 172 + 50).0, [255; 3]);
    }

    #[test]
    fn an_incomplete_table_is_an_error() {
        let picture = |side: usize| Picture::from_planar(side, side, vec![0.0; 3 * side * side]).unwrap();
        assert!(strip(vec![picture(100)], 2).render().is_err());
        assert!(strip(vec![picture(100), picture(100)], 1).render().is_err());
        assert!(strip(vec![picture(100), picture(120)], 2).render().is_err());
        let empty = Filmstrip { title: String::new(), subtitle: String::new(), column_labels: vec![], rows: vec![] };
        assert!(empty.render().is_err());
    }
}
