//! The noise that a plan draws, and the uniform buffer of its keys.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::inputs::{Drawn, Perturbed};
use crate::gpu::plan::entry::Part;
use crate::gpu::record_error::RecordError;
use crate::noise::NoiseKey;
use crate::noise::perturb::Perturbation;
use wgpu::BufferUsages;

/// The bytes of a key: the uniform block `Key` of the shaders.
const KEY: u32 = 32;

/// The largest number of noise steps. With an alignment of 256 bytes their keys are 16 MiB.
pub(crate) const MOST_STEPS: u32 = 65_536;

/// Noise that a plan draws.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawing {
    pub key: NoiseKey,
    /// Noise steps, on consecutive streams.
    pub steps: u32,
    pub perturbed: Option<Perturbed>,
}

impl Drawing {
    /// White noise of one key.
    pub fn white(key: NoiseKey, steps: u32) -> Self {
        Self { key, steps, perturbed: None }
    }

    /// The noise that the caller asked for. A perturbation of zero strength is dropped.
    pub fn of(drawn: Drawn<'_>) -> Self {
        let Drawn { key, steps, perturbed, .. } = drawn;
        Self { key, steps, perturbed: perturbed.filter(|perturbed| perturbed.by != Perturbation::default()) }
    }

    /// The uniform block `Key` under this key.
    fn words(self, key: NoiseKey) -> [u32; 8] {
        let [a, b, stream, _, c, d, ..] = key.words();
        let Some(Perturbed { by, channel }) = self.perturbed else { return key.words() };
        let [offset, input] = [by.offset, by.input].map(|strength| (strength as f32).to_bits());
        // White noise leaves three words unused: they take the channel's elements and the two strengths.
        [a, b, stream, channel, c, d, offset, input]
    }

    /// The blocks of steps on consecutive streams beginning with this key's, `stride` bytes apart.
    fn bytes(self, first: NoiseKey, steps: u32, stride: u32) -> Vec<u8> {
        let mut bytes = vec![0; stride as usize * steps as usize];
        for (slot, step) in bytes.chunks_exact_mut(stride as usize).zip(0..) {
            let key = first.stream(first.stream.wrapping_add(step));
            slot[..KEY as usize].copy_from_slice(bytemuck::bytes_of(&self.words(key)));
        }
        bytes
    }
}

/// Checks that a loop, whose calls have a stream each, can draw this noise.
pub(crate) fn check_loop(drawn: &Drawn<'_>) -> Result<(), PlanError> {
    let refuse = |expected, found| Err(PlanError::Noise { what: "noise of a loop", expected, found });
    match drawn {
        Drawn { steps: 0, .. } => refuse("1 step, since each call has a stream", "no step"),
        Drawn { steps: 2.., .. } => refuse("1 step, since each call has a stream", "several steps"),
        Drawn { perturbed: Some(_), .. } => refuse("white noise", "perturbed noise"),
        _ => Ok(()),
    }
}

/// Checks that noise which several plans draw is not written out.
pub(crate) fn check_not_kept(drawn: &Drawn<'_>, what: &'static str) -> Result<(), PlanError> {
    let (expected, found) = ("noise that is drawn again and not kept", "a tensor to keep it in");
    drawn.keep.map_or(Ok(()), |_| Err(PlanError::Noise { what, expected, found }))
}

/// A uniform buffer with a key for each noise step, chosen by a dynamic offset.
#[derive(Debug)]
pub(crate) struct Keys {
    buffer: wgpu::Buffer,
    /// Bytes from one key to the next.
    stride: u32,
    steps: u32,
    drawing: Option<Drawing>,
}

impl Keys {
    /// Uploads the keys of a drawing. Without a drawing there is a single key, which no kernel reads.
    pub fn new(context: &Context, label: &str, drawing: Option<Drawing>) -> Result<Self, PlanError> {
        let limits = context.limits();
        let drawn = drawing.unwrap_or(Drawing::white(NoiseKey::default(), 1));
        let (first, steps) = (drawn.key, drawn.steps);
        if !(1..=MOST_STEPS).contains(&steps) {
            return Err(PlanError::Steps { most: MOST_STEPS, found: steps });
        }
        let stride = limits.min_uniform_buffer_offset_alignment.max(KEY);
        let size = u64::from(stride) * u64::from(steps);
        // Dynamic offsets are u32.
        let allowed = limits.max_buffer_size.min(u64::from(u32::MAX));
        check_limit("noise steps", "max_buffer_size", allowed, size)?;
        let bytes = drawn.bytes(first, steps, stride);
        let buffer = context.buffer_with(label, BufferUsages::UNIFORM | BufferUsages::COPY_DST, &bytes)?;
        Ok(Self { buffer, stride, steps, drawing })
    }

    /// The binding of one key, to be moved by a dynamic offset.
    pub fn binding(&self) -> Part<'_> {
        Part::own(&self.buffer, 0, u64::from(KEY))
    }

    /// The dynamic offset of a noise step.
    pub fn offset(&self, step: u32) -> Result<u32, RecordError> {
        if step < self.steps {
            Ok(step * self.stride)
        } else {
            Err(RecordError::Step { steps: self.steps, found: step })
        }
    }

    /// Writes the key of a noise step through the caller's queue.
    pub fn set(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        let drawing = self.drawing.ok_or(RecordError::NoNoise)?;
        let offset = u64::from(self.offset(step)?);
        queue.write_buffer(&self.buffer, offset, bytemuck::bytes_of(&drawing.words(key)));
        Ok(())
    }

    /// Writes the keys of all noise steps at once, on consecutive streams beginning with this key's.
    pub fn set_all(&self, queue: &wgpu::Queue, first: NoiseKey) -> Result<(), RecordError> {
        let drawing = self.drawing.ok_or(RecordError::NoNoise)?;
        queue.write_buffer(&self.buffer, 0, &drawing.bytes(first, self.steps, self.stride));
        Ok(())
    }
}
