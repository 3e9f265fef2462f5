//! `torch.randn` on a CUDA device, and the variant of it that web interfaces compute on a CPU.
//!
//! **Theory.** Philox4x32-10 (Salmon et al. 2011) keyed by the seed, in the layout of ATen's distribution kernels. A draw of `n`
//! numbers runs on `T = 256 min(ceil(n/256), multiprocessors * (threads per multiprocessor / 256))` threads; each call of a
//! thread makes four numbers, which lie `T` apart:
//! ```text
//! element i: call k = i div 4T, component c = (i mod 4T) div T, thread t = i mod T
//! words = Philox4x32-10(counter (offset/4 + k, t), key seed), each half of the counter 64 bits, low word first
//! c = 0, 1: words 0 and 1; c = 2, 3: words 2 and 3; even c: sqrt(-2 ln u) sin v, odd c: cos v
//! ```
//! with cuRAND's `u = (x + 1/2)/2^32` and `v = 2 pi (y + 1/2)/2^32` in f32. A draw advances the generator's offset by
//! `4 ((n - 1) div 4T + 1)`. So the numbers of a seed depend on the card where a draw has more numbers than the card holds
//! threads.
//!
//! **Practice.** Words are equal bit for bit. Normals differ by up to 2e-5, because the device uses fast sines and logarithms.
//! f16 and bf16 are the same values rounded once. torch's f64 has another layout, which is not offered. The variant [`Nv`] of
//! AUTOMATIC1111's web interface uses only the first component whatever the size, computes in f64 and counts calls.

use super::counters::Counters;
use super::error::NoiseError;
use super::{philox4x32_10, split};
use std::f32::consts::TAU;

/// The number of threads in a block.
const BLOCK: u64 = 256;

/// The size of a card, which decides the layout of a large draw: the number of multiprocessors and of threads that each holds.
///
/// H100: 132 and 2048; A100: 108 and 2048; RTX 4090: 128 and 1536; RTX 3060: 28 and 1536; T4: 40 and 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CudaDevice {
    /// The number of streaming multiprocessors, at least 1.
    pub multiprocessors: u32,
    /// The most threads that a multiprocessor can hold, at least 256.
    pub threads_per_multiprocessor: u32,
}

impl Default for CudaDevice {
    /// An H100.
    fn default() -> Self {
        Self { multiprocessors: 132, threads_per_multiprocessor: 2048 }
    }
}

impl CudaDevice {
    /// Checks that the card can hold a block of threads.
    pub(super) fn check(self) -> Result<(), NoiseError> {
        let Self { multiprocessors, threads_per_multiprocessor } = self;
        if multiprocessors == 0 {
            return Err(NoiseError::Value { what: "multiprocessors", range: "of at least 1", found: 0.0 });
        }
        if u64::from(threads_per_multiprocessor) < BLOCK {
            let (what, found) = ("threads per multiprocessor", f64::from(threads_per_multiprocessor));
            return Err(NoiseError::Value { what, range: "of at least 256", found });
        }
        Ok(())
    }

    /// The number of threads of a draw of `count` numbers.
    pub(crate) fn threads(self, count: usize) -> u64 {
        let resident = u64::from(self.multiprocessors) * (u64::from(self.threads_per_multiprocessor) / BLOCK);
        BLOCK * (count as u64).div_ceil(BLOCK).min(resident).max(1)
    }
}

/// torch's generator on a CUDA device.
///
/// ```
/// use tweedie::noise::{CudaDevice, TorchCuda};
///
/// let mut generator = TorchCuda::new(0, CudaDevice::default());
/// let first = generator.normals(4);
/// assert!((first[0] + 0.9247).abs() < 1e-4); // torch.manual_seed(0); torch.randn(4, device="cuda")
/// assert_eq!(generator.offset(), 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TorchCuda {
    seed: u64,
    device: CudaDevice,
    offset: u64,
}

impl TorchCuda {
    /// Creates the generator of a seed on a card.
    #[must_use]
    pub const fn new(seed: u64, device: CudaDevice) -> Self {
        Self { seed, device, offset: 0 }
    }

    /// The generator's offset, which its draws have advanced.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Draws `count` standard normals, each an f32: `torch.randn(count, device="cuda")`.
    pub fn normals(&mut self, count: usize) -> Vec<f64> {
        let threads = self.device.threads(count);
        let values = (0..count as u64).map(|i| self.normal_at(i, threads)).collect();
        self.advance(count);
        values
    }

    /// Moves past a draw of `count` numbers.
    pub(super) fn advance(&mut self, count: usize) {
        let threads = self.device.threads(count);
        if let Some(last) = (count as u64).checked_sub(1) {
            self.offset = self.offset.wrapping_add(4 * (last / threads / 4 + 1));
        }
    }

    /// The counters of the next draw of `count` numbers.
    pub(super) fn counters(&self, count: usize) -> Counters {
        Counters::Cuda { seed: self.seed, call: self.offset / 4, threads: self.device.threads(count) }
    }

    /// The two words of each element of the next draw: `[count, 2]`.
    #[must_use]
    pub fn words(&self, count: usize) -> Vec<u32> {
        let threads = self.device.threads(count);
        (0..count as u64).flat_map(|i| self.at(i, threads).1).collect()
    }

    /// Returns one element of the next draw of `count` numbers: its two words and its normal.
    #[must_use]
    pub fn element(&self, element: u64, count: usize) -> ([u32; 2], f64) {
        let threads = self.device.threads(count);
        (self.at(element, threads).1, self.normal_at(element, threads))
    }

    fn normal_at(&self, i: u64, threads: u64) -> f64 {
        let (component, words) = self.at(i, threads);
        normal(words, component)
    }

    /// The component of an element and its two words.
    fn at(&self, i: u64, threads: u64) -> (u64, [u32; 2]) {
        // Not divided by 4*threads, which may exceed 64 bits.
        let (lap, thread) = (i / threads, i % threads);
        let (call, component) = (lap / 4, lap % 4);
        let [a, b, c, d] = block(self.seed, (self.offset / 4).wrapping_add(call), thread);
        (component, if component < 2 { [a, b] } else { [c, d] })
    }
}

/// AUTOMATIC1111's NV source (`modules/rng_philox.py`), which other web interfaces use too.
///
/// It is [`TorchCuda`] on a card with unlimited threads, computed in f64 and rounded to f32; each draw counts as one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nv {
    seed: u64,
    calls: u64,
}

impl Nv {
    /// Creates the generator of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, calls: 0 }
    }

    /// Draws `count` standard normals, each an f32.
    pub fn normals(&mut self, count: usize) -> Vec<f64> {
        // The constants of its Python source, the second a product in f64.
        const WORD: f64 = 2.328_306_4e-10_f32 as f64;
        const TURN: f64 = (2.328_306_4e-10 * 6.283_185_5) as f32 as f64;
        let value = |[x, y]: [u32; 2]| {
            let (u, v) = (f64::from(x) * WORD + WORD / 2.0, f64::from(y) * TURN + TURN / 2.0);
            f64::from(((-2.0 * u.ln()).sqrt() * v.sin()) as f32)
        };
        let values = (0..count as u64).map(|i| value(self.at(i))).collect();
        self.advance();
        values
    }

    /// Moves past a draw.
    pub(super) const fn advance(&mut self) {
        self.calls = self.calls.wrapping_add(1);
    }

    /// The counters of the next draw.
    pub(super) const fn counters(&self) -> Counters {
        Counters::Nv { seed: self.seed, call: self.calls }
    }

    /// The two words of each element of the next draw: `[count, 2]`.
    #[must_use]
    pub fn words(&self, count: usize) -> Vec<u32> {
        (0..count as u64).flat_map(|i| self.at(i)).collect()
    }

    fn at(&self, i: u64) -> [u32; 2] {
        let [a, b, ..] = block(self.seed, self.calls, i);
        [a, b]
    }
}

/// The four words of one call of a thread.
fn block(seed: u64, call: u64, thread: u64) -> [u32; 4] {
    let ([low, high], [thread_low, thread_high]) = (split(call), split(thread));
    philox4x32_10([low, high, thread_low, thread_high], split(seed))
}

/// cuRAND's normal: `u` and `v` in f32 as there, then accurate functions of them.
fn normal([x, y]: [u32; 2], component: u64) -> f64 {
    const WORD: f64 = 1.0 / (1u64 << 32) as f64;
    // A word first becomes an f32; then one fused multiply-add rounds once.
    let uniform = |word: u32, unit: f64| f64::from(((f64::from(word as f32) + 0.5) * unit) as f32);
    let (u, v) = (uniform(x, WORD), uniform(y, WORD * f64::from(TAU)));
    let radius = (-2.0 * u.ln()).max(0.0).sqrt();
    f64::from((radius * if component.is_multiple_of(2) { v.sin() } else { v.cos() }) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest draws of three cards, small draws, and a card without a limit.
    #[test]
    fn threads_are_blocks_of_256_up_to_what_the_card_holds() {
        let card =
            |multiprocessors, threads_per_multiprocessor| CudaDevice { multiprocessors, threads_per_multiprocessor };
        let largest = |card: CudaDevice| card.threads(1 << 30);
        assert_eq!(largest(card(132, 2048)), 270_336);
        assert_eq!(largest(card(128, 1536)), 196_608);
        assert_eq!(largest(card(40, 1024)), 40_960);
        assert_eq!([0, 1, 256, 257].map(|n| card(40, 1024).threads(n)), [256, 256, 256, 512]);
        let (words, normal) = TorchCuda::new(0, card(u32::MAX, u32::MAX)).element(5, usize::MAX);
        assert_eq!((words.to_vec(), normal.is_finite()), (Nv::new(0).words(6)[10..].to_vec(), true));
    }

    #[test]
    fn a_small_draw_is_the_one_of_the_web_interfaces_to_a_few_roundings() {
        let (nv, cuda) = (Nv::new(9).normals(500), TorchCuda::new(9, CudaDevice::default()).normals(500));
        assert!(nv.iter().zip(&cuda).all(|(a, b)| (a - b).abs() < 1e-4), "u next to 1 is the worst place");
        assert_eq!(Nv::new(9).words(500), TorchCuda::new(9, CudaDevice::default()).words(500));
    }

    #[test]
    fn a_draw_moves_the_offset_by_its_calls() {
        let card = CudaDevice { multiprocessors: 1, threads_per_multiprocessor: 256 };
        let offset = |count| {
            let mut generator = TorchCuda::new(0, card);
            generator.normals(count);
            generator.offset()
        };
        assert_eq!([0, 1, 1024, 1025, 2049].map(offset), [0, 4, 4, 8, 12]);
    }
}
