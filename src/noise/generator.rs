//! The generator of a source: its draws in order, and the words behind them.
//!
//! **Practice.** [`Source::generator`] starts one from a seed. Draws are made on the host and returned as f64 values rounded to
//! the requested type; [`SourceDraw`](crate::gpu::SourceDraw) makes the draws of counter-based sources in a kernel.

use super::NoiseKey;
use super::comfyui::ComfyNoise;
use super::counters::Counters;
use super::dtype::Dtype;
use super::error::{MAX_ELEMENTS, NoiseError, check_size};
use super::jax::{JaxKey, JaxLayout};
use super::mt19937::Mt19937;
use super::numpy_legacy::NumpyLegacy;
use super::pcg64::Pcg64;
use super::source::Source;
use super::torch_cpu::TorchCpu;
use super::torch_cuda::{Nv, TorchCuda};

/// A source started from a seed, whose draws follow one another.
///
/// ```
/// use tweedie::noise::{Dtype, Source};
///
/// let mut generator = Source::TorchCpu.generator(42)?;
/// let start = generator.draw(&[1, 4, 64, 64], Dtype::F32)?;
/// let step = generator.draw(&[1, 4, 64, 64], Dtype::F32)?;
/// let mut latent = vec![0.0f32; 16];
/// generator.fill(&mut latent)?;
/// # Ok::<(), tweedie::noise::NoiseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Generator {
    source: Source,
    state: State,
}

/// The state of a source between draws.
#[derive(Clone, Debug)]
enum State {
    Tweedie(NoiseKey),
    TorchCpu(TorchCpu),
    TorchCuda(TorchCuda),
    Nv(Nv),
    Jax(JaxKey, JaxLayout),
    NumpyPcg64(Pcg64),
    NumpyLegacy(NumpyLegacy),
    Comfyui { noise: Box<ComfyNoise>, started: bool },
}

/// The random words behind a draw, in rows of `width` words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The number of words in a row.
    pub width: usize,
    /// The words, row after row.
    pub words: Vec<u32>,
}

impl Source {
    /// Starts a generator of this source from a seed.
    ///
    /// # Errors
    /// [`NoiseError::Kind`] for a source that draws between two levels; [`NoiseError::Seed`] for a seed that numpy's
    /// `RandomState` refuses; [`NoiseError::Value`] for a card that does not hold a block of 256 threads.
    pub fn generator(self, seed: u64) -> Result<Generator, NoiseError> {
        let state = match self {
            Self::Tweedie => State::Tweedie(NoiseKey::seed(seed)),
            Self::TorchCpu => State::TorchCpu(TorchCpu::new(seed)),
            Self::TorchCuda(device) => {
                device.check()?;
                State::TorchCuda(TorchCuda::new(seed, device))
            }
            Self::Nv => State::Nv(Nv::new(seed)),
            Self::Jax { layout, x64: false } => State::Jax(JaxKey::new(seed), layout),
            Self::Jax { layout, x64: true } => State::Jax(JaxKey::of_64_bits(seed), layout),
            Self::NumpyPcg64 => State::NumpyPcg64(Pcg64::new(seed)),
            Self::NumpyLegacy => {
                let most = u64::from(u32::MAX);
                let wide = |_| NoiseError::Seed { by: self.name(), most, found: seed };
                State::NumpyLegacy(NumpyLegacy::new(u32::try_from(seed).map_err(wide)?))
            }
            Self::Comfyui => State::Comfyui { noise: Box::new(ComfyNoise::new(seed)), started: false },
            Self::Brownian | Self::BrownianPath => {
                return Err(NoiseError::Kind { by: self.name(), how: "noise between two levels, not in a sequence" });
            }
        };
        Ok(Generator { source: self, state })
    }
}

impl Generator {
    /// The most elements of a draw: 2^28, which are 2 GiB of doubles.
    pub const MAX_ELEMENTS: usize = MAX_ELEMENTS;

    /// The source of this generator.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// Draws standard normals of this shape, rounded to this type.
    ///
    /// # Errors
    /// [`NoiseError::Dtype`] for a type that the source does not draw; [`NoiseError::TooLarge`] above
    /// [`MAX_ELEMENTS`](Self::MAX_ELEMENTS).
    pub fn draw(&mut self, shape: &[usize], dtype: Dtype) -> Result<Vec<f64>, NoiseError> {
        self.source.check(dtype)?;
        let count = check_size(shape)?;
        let rounded = |values: Vec<f64>| values.into_iter().map(|z| dtype.round(z)).collect();
        Ok(match &mut self.state {
            State::Tweedie(key) => {
                let (batch, elements) = samples(shape, count);
                let values = rounded(key.reference(batch, elements));
                key.stream = key.stream.wrapping_add(1);
                values
            }
            State::TorchCpu(generator) => generator.normals(count, dtype),
            State::TorchCuda(generator) => rounded(generator.normals(count)),
            State::Nv(generator) => rounded(generator.normals(count)),
            State::Jax(key, layout) => key.normals(count, dtype, *layout),
            State::NumpyPcg64(generator) if dtype == Dtype::F64 => (0..count).map(|_| generator.normal()).collect(),
            State::NumpyPcg64(generator) => (0..count).map(|_| generator.normal_f32().into()).collect(),
            State::NumpyLegacy(generator) => rounded((0..count).map(|_| generator.normal()).collect()),
            State::Comfyui { noise, started } => match std::mem::replace(started, true) {
                false => noise.start(shape)?,
                true => noise.step(shape)?,
            },
        })
    }

    /// Moves past a draw of this shape and type, such as one that a kernel makes
    /// ([`SourceDraw`](crate::gpu::SourceDraw)). Counter-based generators do so at no cost; the others draw and discard the
    /// numbers.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn advance(&mut self, shape: &[usize], dtype: Dtype) -> Result<(), NoiseError> {
        self.source.check(dtype)?;
        let count = check_size(shape)?;
        match &mut self.state {
            State::Tweedie(key) => key.stream = key.stream.wrapping_add(1),
            State::TorchCuda(generator) => generator.advance(count),
            State::Nv(generator) => generator.advance(),
            State::Jax(..) => {}
            _ => drop(self.draw(shape, dtype)?),
        }
        Ok(())
    }

    /// The counters of the next draw of `count` numbers in f32; `None` for a source that a kernel cannot draw from counters.
    pub(crate) fn counters(&self, count: usize) -> Option<Counters> {
        match &self.state {
            State::TorchCuda(generator) => Some(generator.counters(count)),
            State::Nv(generator) => Some(generator.counters()),
            State::Jax(key, layout) => Some(Counters::Jax { key: key.0, original: *layout == JaxLayout::Original }),
            _ => None,
        }
    }

    /// Fills a slice with the next draw in f32, as one sample of its length.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn fill(&mut self, out: &mut [f32]) -> Result<(), NoiseError> {
        let values = self.draw(&[1, out.len()], Dtype::F32)?;
        out.iter_mut().zip(values).for_each(|(out, value)| *out = value as f32);
        Ok(())
    }

    /// Returns the random words that the next draw of this shape and type uses, in order; the generator does not move.
    ///
    /// A row holds the two words of an element for torch on CUDA and NV, the two halves of a 64-bit word, low half first, for
    /// PCG64, and a block of four words for four elements for this library. For JAX it holds the bits of an element, for all
    /// others a single word.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn words(&self, shape: &[usize], dtype: Dtype) -> Result<Words, NoiseError> {
        self.source.check(dtype)?;
        let count = check_size(shape)?;
        let mut after = self.clone();
        // The words of a sequential generator are those that a draw consumes.
        let taken = |words: Mt19937, used: u64| {
            let more = used.wrapping_sub(words.used()) as usize;
            Words { width: 1, words: words.take(more).collect() }
        };
        if !matches!(self.state, State::TorchCuda(_) | State::Nv(_) | State::Jax(..) | State::Tweedie(_)) {
            after.draw(shape, dtype)?;
        }
        Ok(match (&self.state, &after.state) {
            (State::Tweedie(key), _) => {
                let (batch, elements) = samples(shape, count);
                let blocks =
                    |sample| (0..elements.div_ceil(4) as u32).flat_map(move |block| key.words_of(block, sample));
                Words { width: 4, words: (0..batch as u64).flat_map(blocks).collect() }
            }
            (State::TorchCuda(generator), _) => Words { width: 2, words: generator.words(count) },
            (State::Nv(generator), _) => Words { width: 2, words: generator.words(count) },
            (State::Jax(key, layout), _) => Words { width: 1, words: key.bits(count, dtype, *layout) },
            (State::TorchCpu(before), State::TorchCpu(after)) => taken(before.upcoming(), after.used()),
            (State::NumpyLegacy(before), State::NumpyLegacy(after)) => taken(before.upcoming(), after.used()),
            (State::Comfyui { noise: before, .. }, State::Comfyui { noise: after, .. }) => {
                let pairs = before.generators().into_iter().zip(after.generators());
                let words = pairs.flat_map(|(before, after)| taken(before.upcoming(), after.used()).words);
                Words { width: 1, words: words.collect() }
            }
            (State::NumpyPcg64(before), State::NumpyPcg64(after)) => {
                let (mut before, more) = (before.clone(), after.used().wrapping_sub(before.used()));
                let halves = (0..more).flat_map(|_| super::split(before.word()));
                Words { width: 2, words: halves.collect() }
            }
            _ => Words { width: 1, words: Vec::new() },
        })
    }

    /// The state and the increment of PCG64; `None` for another source.
    #[must_use]
    pub const fn pcg64_state(&self) -> Option<[u128; 2]> {
        if let State::NumpyPcg64(generator) = &self.state { Some(generator.state()) } else { None }
    }

    /// The JAX key; `None` for another source.
    #[must_use]
    pub const fn jax_key(&self) -> Option<JaxKey> {
        if let State::Jax(key, _) = &self.state { Some(*key) } else { None }
    }

    /// Returns the generator with another JAX key.
    ///
    /// # Errors
    /// [`NoiseError::Kind`] for another source.
    pub fn with_jax_key(mut self, key: JaxKey) -> Result<Self, NoiseError> {
        let State::Jax(old, _) = &mut self.state else {
            return Err(NoiseError::Kind { by: self.source.name(), how: "from a seed, not from a JAX key" });
        };
        *old = key;
        Ok(self)
    }
}

/// The batch size and the elements of a sample; 0 and 0 for a shape without elements.
fn samples(shape: &[usize], count: usize) -> (usize, usize) {
    let batch = if count == 0 { 0 } else { shape.first().copied().unwrap_or(1) };
    (batch, count.checked_div(batch).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::torch_cuda::CudaDevice;

    const ALL: [Source; 9] = [
        Source::Tweedie,
        Source::TorchCpu,
        Source::TorchCuda(CudaDevice { multiprocessors: 1, threads_per_multiprocessor: 256 }),
        Source::Nv,
        Source::Jax { layout: JaxLayout::Partitionable, x64: false },
        Source::Jax { layout: JaxLayout::Original, x64: true },
        Source::NumpyPcg64,
        Source::NumpyLegacy,
        Source::Comfyui,
    ];

    #[test]
    fn every_source_draws_its_types_and_no_other() {
        for source in ALL {
            for dtype in Dtype::ALL {
                let mut generator = source.generator(3).unwrap();
                for shape in [&[2, 3, 3][..], &[0, 4], &[usize::MAX, 0], &[1], &[]] {
                    match generator.draw(shape, dtype) {
                        Ok(values) => {
                            assert_eq!(values.len(), shape.iter().product::<usize>(), "{source:?} {dtype}");
                            assert!(values.iter().all(|&z| z.abs() < 7.0 && dtype.round(z) == z), "{source:?} {dtype}");
                        }
                        Err(NoiseError::Dtype { .. }) => assert!(!source.dtypes().contains(&dtype)),
                        Err(error) => panic!("{source:?} {dtype}: {error}"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_draw_follows_the_words_that_were_told() {
        for source in ALL {
            let mut generator = source.generator(3).unwrap();
            let dtype = source.dtypes()[0];
            let told = generator.words(&[5, 4], dtype).unwrap();
            assert!(told.words.len() >= 20 && told.words.len().is_multiple_of(told.width), "{source:?}");
            assert_eq!(told, generator.words(&[5, 4], dtype).unwrap());
            let first = generator.draw(&[5, 4], dtype).unwrap();
            let second = generator.draw(&[5, 4], dtype).unwrap();
            let mut moved = source.generator(3).unwrap();
            moved.advance(&[5, 4], dtype).unwrap();
            assert_eq!(moved.draw(&[5, 4], dtype).unwrap(), second, "{source:?}");
            assert_eq!(first == second, matches!(source, Source::Jax { .. }), "{source:?}");
            assert_ne!(first, source.generator(4).unwrap().draw(&[5, 4], dtype).unwrap(), "{source:?}");
        }
    }

    #[test]
    fn huge_draws_are_refused() {
        for source in ALL {
            for shape in [&[usize::MAX, 2][..], &[1 << 20, 1 << 20]] {
                let mut generator = source.generator(0).unwrap();
                let dtype = source.dtypes()[0];
                assert!(matches!(generator.draw(shape, dtype), Err(NoiseError::TooLarge { .. })), "{source:?}");
                assert!(generator.words(shape, dtype).is_err());
            }
        }
    }

    #[test]
    fn what_a_source_cannot_do_is_told() {
        let text = |source: Source, seed| source.generator(seed).unwrap_err().to_string();
        assert_eq!(text(Source::Brownian, 0), "brownian draws noise between two levels, not in a sequence");
        assert_eq!(text(Source::NumpyLegacy, 1 << 32), "numpy-legacy takes seeds up to 4294967295, found 4294967296");
        let none = CudaDevice { multiprocessors: 0, threads_per_multiprocessor: 2048 };
        assert!(text(Source::TorchCuda(none), 0).contains("multiprocessors"));
        let key = Source::Nv.generator(0).unwrap().with_jax_key(JaxKey([0, 1])).unwrap_err();
        assert_eq!(key.to_string(), "nv draws from a seed, not from a JAX key");
    }

    #[test]
    fn a_slice_is_filled_as_a_draw() {
        let mut out = [0.0f32; 5];
        Source::TorchCpu.generator(1).unwrap().fill(&mut out).unwrap();
        let drawn = Source::TorchCpu.generator(1).unwrap().draw(&[5], Dtype::F32).unwrap();
        assert!(out.iter().zip(drawn).all(|(&a, b)| f64::from(a) == b));
        assert!(Source::Comfyui.generator(1).unwrap().fill(&mut out).is_ok());
    }
}
