//! Pictures as batches of patches, and the tiles that the network knows.

use files::Picture;

/// The side of a patch in pixels.
pub const SIDE: usize = 8;
/// The numbers of a patch: three planes.
pub const ELEMENTS: usize = 3 * SIDE * SIDE;
/// The levels of each colour channel of a tile.
pub const LEVELS: usize = 5;
/// The amount by which the edge of a tile is darker.
const BEVEL: f32 = 0.2;

/// The patches of a picture, row after row; the rest at the right and at the bottom is cut off.
pub fn patches(picture: &Picture) -> Vec<f32> {
    let (across, down) = (picture.width / SIDE, picture.height / SIDE);
    let mut values = Vec::with_capacity(across * down * ELEMENTS);
    for (patch, channel, y) in rows(across * down) {
        let row = channel * picture.height + patch / across * SIDE + y;
        let first = row * picture.width + patch % across * SIDE;
        values.extend_from_slice(&picture.data[first..first + SIDE]);
    }
    values
}

/// The picture made of these patches, `across` of them side by side.
pub fn picture(values: &[f32], across: usize) -> anyhow::Result<Picture> {
    let down = values.len() / ELEMENTS / across;
    let (width, height) = (across * SIDE, down * SIDE);
    let mut data = vec![0.0; values.len()];
    for ((patch, channel, y), values) in rows(across * down).zip(values.chunks(SIDE)) {
        let first = (channel * height + patch / across * SIDE + y) * width + patch % across * SIDE;
        data[first..first + SIDE].copy_from_slice(values);
    }
    Picture::from_planar(width, height, data)
}

/// The patch, channel and row of each run of `SIDE` numbers.
fn rows(patches: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..patches).flat_map(|patch| (0..3).flat_map(move |channel| (0..SIDE).map(move |y| (patch, channel, y))))
}

/// The tiles, one after the other: each of one colour, with a darker edge.
pub fn tiles() -> Vec<f32> {
    let colour =
        |tile: usize, channel: u32| (tile / LEVELS.pow(channel) % LEVELS) as f32 / (LEVELS - 1) as f32 * 1.8 - 0.9;
    let is_edge = |i: usize| [i % SIDE, i / SIDE].iter().any(|&place| place == 0 || place == SIDE - 1);
    let pixel = |tile, channel, i| colour(tile, channel) - if is_edge(i) { BEVEL } else { 0.0 };
    let plane = |tile, channel| (0..SIDE * SIDE).map(move |i| pixel(tile, channel, i));
    (0..LEVELS.pow(3)).flat_map(|tile| (0..3).flat_map(move |channel| plane(tile, channel))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_come_back_without_what_was_cut_off() {
        let (width, height) = (3 * SIDE + 2, 2 * SIDE + 5);
        let data = (0..3 * width * height).map(|i| i as f32).collect();
        let whole = Picture::from_planar(width, height, data).unwrap();
        let back = picture(&patches(&whole), width / SIDE).unwrap();
        assert_eq!((back.width, back.height), (3 * SIDE, 2 * SIDE));
        // The last pixel of the last plane.
        let last = 2 * width * height + (2 * SIDE - 1) * width + 3 * SIDE - 1;
        assert_eq!(back.data.last(), Some(&whole.data[last]));
    }
}
