//! Pictures of 16x16 in four classes, each made from the random words of its own index: an unlimited set without a file.

use tweedie::philox4x32_10;

/// Pixels of a side.
pub const SIDE: usize = 16;
pub const PIXELS: usize = SIDE * SIDE;
/// Discs, rings, squares, crosses.
pub const CLASSES: usize = 4;
/// The number of points along an axis at which a pixel is sampled.
const FINE: usize = 4;

/// Pictures of a seed: two seeds have no picture in common.
#[derive(Clone, Copy, Debug)]
pub struct Pictures {
    pub seed: u32,
}

impl Pictures {
    fn words(self, index: u64) -> [u32; 4] {
        philox4x32_10([index as u32, (index >> 32) as u32, 0, 0], [self.seed, 0x7069_6373])
    }

    /// The class of a picture.
    pub fn class(self, index: u64) -> usize {
        self.words(index)[0] as usize % CLASSES
    }

    /// Its pixels, in -1 (outside) to 1 (inside), of this class.
    pub fn of_class(self, index: u64, class: usize) -> [f32; PIXELS] {
        let [_, x, y, size] = self.words(index).map(|word| f64::from(word) / 4_294_967_296.0);
        let size = 3.5 + 2.5 * size;
        let room = SIDE as f64 / 2.0 - size - 0.5;
        let center = [x, y].map(|at| SIDE as f64 / 2.0 + (2.0 * at - 1.0) * room);
        std::array::from_fn(|pixel| {
            let hits = (0..FINE * FINE).filter(|fine| {
                let at = [pixel % SIDE, pixel / SIDE];
                let part = [fine % FINE, fine / FINE];
                let [dx, dy]: [f64; 2] = std::array::from_fn(|axis| {
                    at[axis] as f64 + (part[axis] as f64 + 0.5) / FINE as f64 - center[axis]
                });
                inside(class, dx.abs(), dy.abs(), size)
            });
            2.0 * hits.count() as f32 / (FINE * FINE) as f32 - 1.0
        })
    }

    /// `count` pictures from an index on, one after the other, and their classes.
    pub fn batch(self, first: u64, count: usize) -> (Vec<f32>, Vec<i32>) {
        let indices = first..first + count as u64;
        let pixels = indices.clone().flat_map(|index| self.of_class(index, self.class(index))).collect();
        (pixels, indices.map(|index| self.class(index) as i32).collect())
    }
}

fn inside(class: usize, x: f64, y: f64, size: f64) -> bool {
    match class {
        0 => x.hypot(y) < size,
        1 => (size - 2.2..size).contains(&x.hypot(y)),
        2 => x.max(y) < 0.85 * size,
        _ => x.max(y) < size && x.min(y) < 1.3,
    }
}
