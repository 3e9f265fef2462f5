//! The pictures that the ideal denoiser knows: all of one size, square.

use crate::motifs::{MOTIFS, motif};
use anyhow::{Result, bail};
use files::Picture;
use std::path::{Path, PathBuf};

/// The memory that the pictures may take, in bytes: what every device can bind.
const MOST_BYTES: usize = 128 << 20;

/// A picture and its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Name for people.
    pub name: String,
    /// The picture, square.
    pub picture: Picture,
}

/// A set of square pictures of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// The pictures.
    pub members: Vec<Member>,
    /// The pixels along each side of every picture.
    pub side: u32,
}

impl Set {
    /// Opens these pictures, or draws the built-in ones if there are none.
    ///
    /// # Errors
    /// The pictures take more than 128 MiB together, or one cannot be read.
    pub fn open(paths: &[PathBuf], side: u32) -> Result<Self> {
        let count = if paths.is_empty() { MOTIFS.len() } else { paths.len() };
        let bytes = count * 3 * side as usize * side as usize * 4;
        if bytes > MOST_BYTES {
            bail!(
                "expected pictures of at most {MOST_BYTES} bytes in all, found {count} of {side} x {side}, {bytes} bytes"
            );
        }
        let members = if paths.is_empty() {
            let drawn = MOTIFS.iter().map(|known| Member { name: known.name.to_owned(), picture: motif(known, side) });
            drawn.collect()
        } else {
            paths
                .iter()
                .map(|path| Ok(Member { name: name(path), picture: Picture::open_square(path, side)? }))
                .collect::<Result<_>>()?
        };
        Ok(Self { members, side })
    }

    /// Numbers in a picture.
    pub fn elements(&self) -> usize {
        3 * (self.side * self.side) as usize
    }

    /// All pictures, one after the other.
    pub fn numbers(&self) -> Vec<f32> {
        self.members.iter().flat_map(|member| &member.picture.data).copied().collect()
    }

    /// Makes a picture of a tensor, `[3, side, side]`.
    pub fn picture(&self, data: &[f32]) -> Result<Picture> {
        Picture::from_planar(self.side as usize, self.side as usize, data.to_vec())
    }

    /// Finds the member that is most like these numbers.
    pub fn nearest(&self, data: &[f32]) -> Likeness {
        let one = |(member, known): (usize, &Member)| Likeness { member, psnr: psnr(data, &known.picture.data) };
        let best = |a: Likeness, b: Likeness| if b.psnr > a.psnr { b } else { a };
        self.members.iter().enumerate().map(one).fold(Likeness { member: 0, psnr: f64::NEG_INFINITY }, best)
    }
}

/// Similarity of a picture to a member of the set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// The member's index.
    pub member: usize,
    /// Peak signal-to-noise ratio in decibels, the peak being the range from black to white. Negative infinity for NaN.
    pub psnr: f64,
}

fn psnr(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    10.0 * (4.0 * a.len() as f64 / squares.sum::<f64>()).log10()
}

fn name(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_itself() {
        let set = Set::open(&[], 16).unwrap();
        for (i, member) in set.members.iter().enumerate() {
            assert_eq!(set.nearest(&member.picture.data), Likeness { member: i, psnr: f64::INFINITY });
        }
        assert_eq!(set.nearest(&vec![f32::NAN; set.elements()]).psnr, f64::NEG_INFINITY);
    }

    #[test]
    fn a_constant_offset_has_a_known_psnr() {
        assert!((psnr(&[0.0, 1.0], &[0.2, 1.2]) - 20.0).abs() < 1e-5); // 0.2 of a range of 2
    }

    #[test]
    fn too_much_is_refused_before_it_is_read() {
        let paths = vec![PathBuf::from("nowhere.png"); 100];
        let text = Set::open(&paths, 512).err().unwrap().to_string();
        assert!(text.contains("100 of 512 x 512"), "{text}");
    }
}
