//! The built-in set: six small posters that can be told apart at a glance, even through noise.
//!
//! Each is a function from a point to a colour, made of flat shapes and soft gradients, the same at every size.

use files::Picture;
use image::{Rgb, Rgb32FImage};

/// Sub-pixels along each axis, so that edges are smooth.
const SUBPIXELS: u32 = 4;

/// A display colour in [0, 1].
type Colour = [f32; 3];

/// A picture and its name; both coordinates run from -1 to 1, y downwards.
pub struct Motif {
    /// Name for people.
    pub name: &'static str,
    paint: fn(f32, f32) -> Colour,
}

/// All posters.
pub const MOTIFS: [Motif; 6] = [
    Motif { name: "sun", paint: sun },
    Motif { name: "moon", paint: moon },
    Motif { name: "flower", paint: flower },
    Motif { name: "sail", paint: sail },
    Motif { name: "planet", paint: planet },
    Motif { name: "heart", paint: heart },
];

/// Draws a poster with this side, in pixels.
pub fn motif(motif: &Motif, side: u32) -> Picture {
    let place = |pixel: u32, sub: u32| (pixel as f32 + (sub as f32 + 0.5) / SUBPIXELS as f32) / side as f32 * 2.0 - 1.0;
    let weight = 1.0 / (SUBPIXELS * SUBPIXELS) as f32;
    Picture::from_colours(&Rgb32FImage::from_fn(side, side, |x, y| {
        let mut sum = [0.0; 3];
        for sub in 0..SUBPIXELS * SUBPIXELS {
            let colour = (motif.paint)(place(x, sub % SUBPIXELS), place(y, sub / SUBPIXELS));
            sum = std::array::from_fn(|channel| sum[channel] + weight * colour[channel]);
        }
        Rgb(sum)
    }))
}

fn mix(from: Colour, to: Colour, part: f32) -> Colour {
    let part = part.clamp(0.0, 1.0);
    std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * part)
}

fn hex(colour: u32) -> Colour {
    let byte = |shift: u32| (colour >> shift & 255) as f32 / 255.0;
    [byte(16), byte(8), byte(0)]
}

/// A low sun with rays over hills.
fn sun(x: f32, y: f32) -> Colour {
    let (dx, dy) = (x, y - 0.12);
    let (radius, angle) = (dx.hypot(dy), dy.atan2(dx));
    let hill = |height: f32, phase: f32| y > height + 0.10 * (x * 2.6 + phase).sin();
    if hill(0.66, 2.4) {
        return hex(0x1f5d50);
    }
    if hill(0.40, 0.4) {
        return hex(0x3d8f6a);
    }
    if radius < 0.44 {
        return mix(hex(0xfff3b8), hex(0xffc53d), radius / 0.44);
    }
    let ray = (angle * 12.0).sin() > 0.0;
    mix(if ray { hex(0xffb057) } else { hex(0xff8f4a) }, hex(0xf2603f), (radius - 0.44) / 1.1)
}

/// A crescent and stars.
fn moon(x: f32, y: f32) -> Colour {
    let sky = mix(hex(0x0d1440), hex(0x33306f), (y + 1.0) / 2.0);
    let outer = (x + 0.08).hypot(y + 0.02) < 0.62;
    let inner = (x - 0.20).hypot(y + 0.14) < 0.52;
    if outer && !inner {
        return mix(hex(0xfff7d6), hex(0xf4d98a), (y + 0.6) / 1.2);
    }
    let stars =
        [(0.30, -0.28, 0.10), (0.62, 0.22, 0.13), (0.72, -0.66, 0.09), (-0.74, -0.72, 0.10), (0.40, 0.74, 0.08)];
    // |dx| * |dy| small: four points.
    let star = |&(cx, cy, size): &(f32, f32, f32)| {
        let (dx, dy) = (((x - cx) / size).abs(), ((y - cy) / size).abs());
        dx.sqrt() + dy.sqrt() < 1.0
    };
    if stars.iter().any(star) { hex(0xffffff) } else { sky }
}

/// Eight petals.
fn flower(x: f32, y: f32) -> Colour {
    let (radius, angle) = (x.hypot(y), y.atan2(x));
    if radius < 0.22 {
        return mix(hex(0xffe58a), hex(0xf5a623), radius / 0.22);
    }
    let petals = |size: f32, turn: f32| radius < size * (0.62 + 0.38 * (8.0 * (angle + turn)).cos());
    let half = std::f32::consts::PI / 8.0;
    if petals(0.70, 0.0) {
        return mix(hex(0xff5d8f), hex(0xffc2d6), radius / 0.70);
    }
    if petals(0.92, half) {
        return mix(hex(0xb3266b), hex(0xe4588f), radius / 0.92);
    }
    mix(hex(0xdff3e3), hex(0x9fd8c0), radius / 1.4)
}

/// A boat on waves.
fn sail(x: f32, y: f32) -> Colour {
    let wave = |height: f32, phase: f32| y > height + 0.05 * (x * 9.0 + phase).sin();
    if wave(0.70, 1.0) {
        return hex(0x11508f);
    }
    if wave(0.52, 3.6) {
        return hex(0x2479b8);
    }
    let hull = (0.34..0.60).contains(&y) && x.abs() < 0.62 - 0.9 * (y - 0.34);
    if hull {
        return if y < 0.40 { hex(0xfff4e0) } else { hex(0x8c2f39) };
    }
    if x.abs() < 0.018 && (-0.80..0.36).contains(&y) {
        return hex(0x5a3a2a);
    }
    let depth = (y + 0.74) / 1.0; // 0 at the top of the sails, 1 at their foot
    if (0.0..1.0).contains(&depth) && x > 0.05 && x < 0.05 + 0.50 * depth {
        return mix(hex(0xff8a5c), hex(0xe8503a), depth);
    }
    if (0.2..1.0).contains(&depth) && x < -0.05 && x > -0.05 - 0.46 * (depth - 0.2) {
        return hex(0xfff4e0);
    }
    mix(hex(0x8fd3f4), hex(0xe6f7ff), (y + 1.0) / 1.5)
}

/// A banded planet with a ring.
fn planet(x: f32, y: f32) -> Colour {
    let (sine, cosine) = 0.42f32.sin_cos();
    let (u, v) = (x * cosine + y * sine, y * cosine - x * sine);
    let ring = (u / 0.95).hypot(v / 0.24);
    let on_ring = (0.74..1.0).contains(&ring);
    let globe = x.hypot(y) < 0.54;
    if on_ring && (v > 0.0 || !globe) {
        return if ring < 0.86 { hex(0xf6d8a8) } else { hex(0xc99a6b) };
    }
    if globe {
        let band = (v * 13.0 + 0.4 * (u * 5.0).sin()).sin();
        let lit = mix(hex(0x5b8def), hex(0x9fd0ff), 0.5 + 0.5 * band);
        return mix(lit, hex(0x1c2350), (x.hypot(y - 0.08) * 0.9 + 0.5 * x + 0.1).powi(2));
    }
    mix(hex(0x3b1d52), hex(0x140a24), x.hypot(y) / 1.4)
}

/// A heart in a quilt.
fn heart(x: f32, y: f32) -> Colour {
    let (u, v) = (x / 0.68, (0.12 - y) / 0.68);
    let inside = (u * u + v * v - 1.0).powi(3) - u * u * v * v * v;
    if inside < 0.0 {
        let shine = 1.0 - ((x + 0.26).hypot(y + 0.30) / 0.5);
        return mix(hex(0xd81e4a), hex(0xff8fa3), shine);
    }
    let even = (((x + y) * 3.0).floor() + ((x - y) * 3.0).floor()).rem_euclid(2.0) < 1.0;
    if even { hex(0xfde8cf) } else { hex(0xf6c9a8) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_distinct_and_in_range() {
        let pictures: Vec<Picture> = MOTIFS.iter().map(|known| motif(known, 24)).collect();
        assert!(pictures.iter().flat_map(|picture| &picture.data).all(|value| (-1.0..=1.0).contains(value)));
        for (i, a) in pictures.iter().enumerate() {
            for b in &pictures[..i] {
                let squares = a.data.iter().zip(&b.data).map(|(a, b)| (a - b) * (a - b));
                assert!(squares.sum::<f32>() / a.data.len() as f32 > 0.1); // pictures of uniform noise differ by 2/3
            }
        }
    }
}
