//! The built-in picture: a lake in the mountains at sunset, made with nothing but mathematics.
//!
//! It holds what noise treats differently: smooth gradients (sky), fine texture (ripples, trees), sharp edges (ridges,
//! the sun) and tiny bright points (stars). It is the same on every machine up to the last bits of `sin` and `exp`.

use image::{Rgb, Rgb32FImage};

use files::Picture;

/// Sub-pixels along each axis, so that edges are smooth.
const SUBPIXELS: u32 = 3;

/// The upper edge of the water, as a part of the height.
const SHORE: f64 = 0.70;

/// The sun: centre and radius, in units of the height.
const SUN: (f64, f64, f64) = (0.86, 0.425, 0.060);

/// A mountain range: height of its foot line, roughness, horizontal scale, seed, colour, haze at its foot.
struct Range {
    base: f64,
    rise: f64,
    scale: f64,
    seed: u32,
    colour: Colour,
    haze: f64,
}

/// Far to near: later ones hide earlier ones.
const RANGES: [Range; 4] = [
    Range { base: 0.600, rise: 0.20, scale: 2.3, seed: 11, colour: Colour(0.52, 0.35, 0.50), haze: 0.75 },
    Range { base: 0.640, rise: 0.17, scale: 3.4, seed: 23, colour: Colour(0.33, 0.22, 0.41), haze: 0.50 },
    Range { base: 0.670, rise: 0.12, scale: 4.6, seed: 37, colour: Colour(0.18, 0.13, 0.29), haze: 0.28 },
    Range { base: 0.700, rise: 0.07, scale: 6.0, seed: 53, colour: Colour(0.08, 0.07, 0.16), haze: 0.05 },
];

/// A display colour in [0, 1]. Display colours are mixed as they are, not as light.
#[derive(Clone, Copy)]
struct Colour(f64, f64, f64);

impl Colour {
    fn mix(self, other: Self, part: f64) -> Self {
        let part = part.clamp(0.0, 1.0);
        let each = |from: f64, to: f64| from + (to - from) * part;
        Self(each(self.0, other.0), each(self.1, other.1), each(self.2, other.2))
    }

    fn plus(self, other: Self, times: f64) -> Self {
        Self(self.0 + other.0 * times, self.1 + other.1 * times, self.2 + other.2 * times)
    }
}

/// Draws the picture at any size; it was composed for 256 x 192.
pub fn test_card(width: u32, height: u32) -> Picture {
    let (width, height) = (width.max(1), height.max(1));
    let weight = 1.0 / f64::from(SUBPIXELS * SUBPIXELS);
    let step = |at: u32, sub: u32| (f64::from(at) + (f64::from(sub) + 0.5) / f64::from(SUBPIXELS)) / f64::from(height);
    Picture::from_colours(&Rgb32FImage::from_fn(width, height, |x, y| {
        let mut sum = Colour(0.0, 0.0, 0.0);
        for sub in 0..SUBPIXELS * SUBPIXELS {
            sum = sum.plus(scene(step(x, sub % SUBPIXELS), step(y, sub / SUBPIXELS)), weight);
        }
        Rgb([sum.0 as f32, sum.1 as f32, sum.2 as f32])
    }))
}

/// The colour at a point; both coordinates in units of the height, y downwards.
fn scene(x: f64, y: f64) -> Colour {
    if trees(x, y) {
        return Colour(0.030, 0.026, 0.075);
    }
    if y < SHORE { land(x, y) } else { water(x, y) }
}

fn land(x: f64, y: f64) -> Colour {
    let mut colour = sky(x, y);
    for range in &RANGES {
        let ridge = range.base - range.rise * mountains(x * range.scale, range.seed);
        if y > ridge {
            let depth = ((y - ridge) / (SHORE - ridge).max(1e-3)).clamp(0.0, 1.0);
            let texture = 0.10 * (fractal(x * 40.0 + y * 30.0, y * 70.0, range.seed) - 0.5);
            let lit = range.colour.plus(Colour(1.0, 0.8, 0.7), texture);
            colour = lit.mix(Colour(0.96, 0.60, 0.48), range.haze * depth * depth);
        }
    }
    colour
}

fn sky(x: f64, y: f64) -> Colour {
    let stops = [
        (0.00, Colour(0.06, 0.07, 0.25)),
        (0.18, Colour(0.22, 0.17, 0.47)),
        (0.33, Colour(0.64, 0.29, 0.52)),
        (0.44, Colour(0.98, 0.52, 0.40)),
        (0.55, Colour(1.00, 0.82, 0.50)),
    ];
    let mut colour = stops[0].1;
    for pair in stops.windows(2) {
        let ((from, _), (to, next)) = (pair[0], pair[1]);
        colour = colour.mix(next, smooth((y - from) / (to - from)));
    }
    let distance = (x - SUN.0).hypot(y - SUN.1);
    colour = colour.plus(Colour(1.0, 0.62, 0.30), 0.55 * (-distance / 0.13).exp());
    if distance < SUN.2 {
        colour = Colour(1.0, 0.93, 0.72).mix(Colour(1.0, 0.78, 0.46), (y - SUN.1 + SUN.2) / (2.0 * SUN.2));
    }
    let colour = colour.plus(Colour(1.0, 1.0, 0.95), stars(x, y));
    colour.mix(Colour(1.0, 0.62, 0.55), 0.62 * clouds(x, y))
}

/// Long thin bands, lit from below.
fn clouds(x: f64, y: f64) -> f64 {
    let band = (-((y - 0.27) / 0.11).powi(2)).exp();
    let shape = fractal(x * 2.4 + 0.6 * fractal(x * 3.0, y * 9.0, 5), y * 15.0, 71);
    band * smooth((shape - 0.50) / 0.22)
}

/// One star in some of the squares of a grid, fading towards the horizon.
fn stars(x: f64, y: f64) -> f64 {
    const SQUARES: f64 = 26.0;
    let (column, row) = ((x * SQUARES).floor(), (y * SQUARES).floor());
    let chance = |seed| hash(column as i64, row as i64, seed);
    if chance(1) < 0.72 {
        return 0.0;
    }
    let (dx, dy) = (x * SQUARES - column - 0.2 - 0.6 * chance(2), y * SQUARES - row - 0.2 - 0.6 * chance(3));
    let bright = (0.25 + 0.75 * chance(4).powi(2)) * smooth((0.36 - y) / 0.30);
    2.2 * bright * (-(dx * dx + dy * dy) / 0.0055).exp()
}

/// The mirrored land, torn into ripples that grow towards the viewer, with the sun's path on top.
fn water(x: f64, y: f64) -> Colour {
    let depth = (y - SHORE) / (1.0 - SHORE);
    let waves = fractal(x * 9.0, (y - SHORE).powf(0.55) * 70.0, 91) - 0.5;
    let mirrored = SHORE - (y - SHORE) * 1.25 - 0.11 * waves * (0.25 + depth);
    let seen = land(x + 0.030 * waves, mirrored.clamp(0.0, SHORE - 1e-6));
    let colour = seen.mix(Colour(0.20, 0.08, 0.26), 0.30 + 0.26 * depth);
    let path = (-((x - SUN.0) / (0.035 + 0.13 * depth)).powi(2)).exp();
    let glitter = smooth((waves - 0.02) / 0.16) * path;
    colour.plus(Colour(1.0, 0.68, 0.36), 0.85 * glitter * (1.0 - 0.45 * depth))
}

/// Firs on the near shores, left and right.
fn trees(x: f64, y: f64) -> bool {
    const WIDTH: f64 = 0.043;
    let (top, bottom) = shore(x);
    if y > top && y < bottom {
        return true;
    }
    let nearest = (x / WIDTH).floor();
    (-2..=2).any(|offset| {
        let index = nearest + f64::from(offset);
        let chance = |seed| hash(index as i64, 0, seed);
        let trunk = (index + 0.2 + 0.6 * chance(101)) * WIDTH;
        let (ground, below) = shore(trunk);
        let size = 3.2 * (below - ground) * (0.32 + 0.68 * chance(102));
        let down = (y - (ground + 0.02 - size)) / size.max(1e-6);
        if size < 0.03 || !(0.0..=1.0).contains(&down) {
            return false;
        }
        let branch = (down * size * 62.0 + chance(103)).fract(); // each whorl of branches is a little skirt
        let half = size * (0.012 + 0.20 * down * (0.55 + 0.45 * branch));
        (x - trunk).abs() < half
    })
}

/// The upper and the lower edge of the near shores; they meet where the shore ends.
fn shore(x: f64) -> (f64, f64) {
    let left = ((0.34 - x) / 0.34).max(0.0);
    let right = ((x - 1.10) / 0.30).max(0.0);
    let height = left.max(right).min(1.2).powf(0.8);
    let rough = 0.02 * (noise(x * 26.0, 0.0, 7) - 0.5) * height.min(1.0);
    (0.815 - 0.10 * height + rough, 0.815 + 0.035 * height)
}

/// Ridges: the absolute value of noise has the sharp crests that mountains have.
fn mountains(x: f64, seed: u32) -> f64 {
    let octave = |n: i32| {
        let times = 2f64.powi(n);
        (1.0 - (2.0 * noise(x * times, 0.5, seed + n as u32) - 1.0).abs()) / times.powf(1.1)
    };
    (0..6).map(octave).sum::<f64>() / 1.75 - 0.12
}

/// Five octaves of noise, in about [0, 1].
fn fractal(x: f64, y: f64, seed: u32) -> f64 {
    let octave = |n: i32| noise(x * 2f64.powi(n), y * 2f64.powi(n), seed + n as u32) / 2f64.powi(n);
    (0..5).map(octave).sum::<f64>() / 1.9375
}

/// Value noise in [0, 1]: random at whole coordinates, smooth between them.
fn noise(x: f64, y: f64, seed: u32) -> f64 {
    let (column, row) = (x.floor(), y.floor());
    let corner = |dx: i64, dy: i64| hash(column as i64 + dx, row as i64 + dy, seed);
    let (right, down) = (smooth(x - column), smooth(y - row));
    let above = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * right;
    let below = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * right;
    above + (below - above) * down
}

/// A random number in [0, 1) for a place: the finalizer of MurmurHash3.
fn hash(x: i64, y: i64, seed: u32) -> f64 {
    let mut bits = (x as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (y as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    bits ^= u64::from(seed).wrapping_mul(0x1656_67b1_9e37_79f9);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (bits ^ (bits >> 33)) as f64 / 2f64.powi(64)
}

/// 0 below 0, 1 above 1, and a smooth step between.
fn smooth(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_uses_the_whole_range_and_nothing_else() {
        let card = test_card(256, 192);
        assert_eq!((card.width, card.height, card.data.len()), (256, 192, 3 * 256 * 192));
        assert!(card.data.iter().all(|value| (-1.0..=1.0).contains(value)));
        let darkest = card.data.iter().copied().fold(1.0, f32::min);
        let brightest = card.data.iter().copied().fold(-1.0, f32::max);
        assert!(darkest < -0.9 && brightest > 0.98, "{darkest} {brightest}");
    }

    #[test]
    fn it_is_always_the_same() {
        assert_eq!(test_card(64, 48), test_card(64, 48));
        assert_eq!(test_card(0, 0).data.len(), 3);
    }
}
