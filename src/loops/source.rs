//! The noise of a loop, in the form in which its plans read it.

use super::call::ALIGNMENT;
use super::tensors::{LoopNoise, check_count};
use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::inputs::Noise;
use crate::gpu::tensor::{Shape, Tensor};
use crate::loop_error::LoopError;
use crate::math::run::run_loop::RunLoop;
use crate::math::run::run_noise::RunNoise;
use crate::noise::NoiseKey;
use crate::table::step::StepRow;

/// The noise of a loop.
pub(super) enum Source<'a> {
    Drawn(NoiseKey),
    Host(Uploaded),
    Tensors { start: Option<Tensor<'a>>, known: Option<Tensor<'a>>, steps: Option<Tensor<'a>> },
    None,
}

/// Noise that the host has drawn.
pub(super) struct Uploaded {
    buffer: wgpu::Buffer,
    /// The factor of the latent image in the start, along with the uploaded noise.
    pub of_latent: f64,
    /// The byte at which the noise of the known region begins.
    known: Option<u64>,
    /// For each row that draws, the byte at which its noise begins.
    rows: Vec<Option<u64>>,
}

impl<'a> Source<'a> {
    pub fn new(
        context: &Context,
        run: &RunLoop,
        shape: Shape,
        is_masked: bool,
        noise: LoopNoise<'a>,
    ) -> Result<Self, Error> {
        Ok(match noise {
            LoopNoise::Drawn(_) if run.clips_noise() => {
                let what = "noise that is clipped by its deviation";
                return Err(LoopError::Unsupported { what, instead: "LoopNoise::Host" }.into());
            }
            LoopNoise::Drawn(key) => Self::Drawn(key),
            LoopNoise::Host(noise) => Self::Host(Uploaded::new(context, run, shape, is_masked, noise)?),
            LoopNoise::Tensors { start, known, steps } => Self::Tensors { start, known: known.or(start), steps },
            LoopNoise::None => Self::None,
        })
    }

    /// The noise of a known region. The rows that use it draw on the stream of this key itself.
    pub fn known(&self, run: &RunLoop) -> Noise<'_> {
        match self {
            Self::Drawn(key) if run.redraws_known_noise() => Noise::drawn(before(*key, 2)),
            Self::Drawn(key) if run.adds_noise() => Noise::drawn(before(*key, 1)),
            Self::Drawn(_) => Noise::None,
            Self::Host(uploaded) => uploaded.known.map_or(Noise::None, |at| Noise::Tensor(uploaded.at(at))),
            Self::Tensors { known, .. } => known.map_or(Noise::None, Noise::Tensor),
            Self::None => Noise::None,
        }
    }

    /// The noise of the start.
    pub fn start(&self) -> Noise<'_> {
        match self {
            Self::Drawn(key) => Noise::drawn(before(*key, 1)),
            Self::Host(uploaded) => Noise::Tensor(uploaded.at(0)),
            Self::Tensors { start, .. } => start.map_or(Noise::None, Noise::Tensor),
            Self::None => Noise::None,
        }
    }

    /// The noise of a row.
    pub fn row(&self, row: usize) -> Noise<'_> {
        match self {
            Self::Drawn(key) => Noise::drawn(*key),
            Self::Host(uploaded) => {
                let at = uploaded.rows.get(row).copied().flatten();
                at.map_or(Noise::None, |at| Noise::Tensor(uploaded.at(at)))
            }
            Self::Tensors { steps, .. } => steps.map_or(Noise::None, Noise::Tensor),
            Self::None => Noise::None,
        }
    }

    /// The row to use with this noise: a tensor holds one noise, and an uploaded one is already the sum of two.
    pub fn fitted(&self, row: StepRow) -> Result<StepRow, LoopError> {
        match (self, row.second_z) {
            (_, (0.0, _)) | (Self::Drawn(_), _) => Ok(row),
            (Self::Host(_), _) => Ok(StepRow { z: 1.0, second_z: (0.0, 0), ..row }),
            _ => {
                let instead = "LoopNoise::Host or LoopNoise::Drawn";
                Err(LoopError::Unsupported { what: "a step with two noises from a tensor", instead })
            }
        }
    }
}

/// The key on the stream that is this many before its own.
const fn before(key: NoiseKey, streams: u32) -> NoiseKey {
    key.stream(key.stream.wrapping_sub(streams))
}

impl Uploaded {
    fn new(
        context: &Context,
        run: &RunLoop,
        shape: Shape,
        is_masked: bool,
        mut noise: RunNoise<'_>,
    ) -> Result<Self, Error> {
        check_count("noise", noise.count(), shape)?;
        let mut bytes = Vec::new();
        let mut add = |values: &[f64]| {
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
            let at = bytes.len() as u64;
            bytes.extend(values.iter().flat_map(|z| (*z as f32).to_le_bytes()));
            at
        };
        let (of_latent, start) = run.first_parts(&mut noise)?;
        add(&start);
        let known = noise.known().filter(|_| is_masked).map(&mut add);
        let mut rows = Vec::new();
        for call in run.calls() {
            let (z, (second, other)) = (call.row.z, call.row.second_z);
            let values = match (z != 0.0, second != 0.0) {
                (false, false) => None,
                (true, false) => Some(noise.draw(call.noise)?),
                (_, true) => {
                    let first = if z == 0.0 { Vec::new() } else { noise.draw(call.noise)? };
                    let both = |(i, w): (usize, f64)| second * w + first.get(i).map_or(0.0, |v| z * v);
                    Some(noise.draw(other as usize)?.into_iter().enumerate().map(both).collect())
                }
            };
            rows.push(values.map(|values: Vec<f64>| add(&values)));
        }
        let buffer = context.buffer_with("tweedie::Loop::noise", wgpu::BufferUsages::STORAGE, &bytes)?;
        Ok(Self { buffer, of_latent, known, rows })
    }

    const fn at(&self, offset: u64) -> Tensor<'_> {
        Tensor::f32(&self.buffer).at(offset)
    }
}
