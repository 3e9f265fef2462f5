//! What a plan is to be made of, and everything about it that can be wrong.

use crate::gpu::error::PlanError;
use crate::gpu::map::{Drawn, Perturbed, Timesteps};
use crate::gpu::noise::{NoiseKey, Perturbation};
use crate::gpu::plan::reduce::Scratch;
use crate::gpu::shader::op::{Op, Part, SLOTS};
use crate::gpu::shader::variant::Draw;
use crate::gpu::{Shape, Tensor};
use wgpu::BufferUsages;

/// What a plan is to be made of, for any op.
#[derive(Clone)]
pub(crate) struct Job<'a> {
    pub op: Op,
    pub shape: Shape,
    pub timesteps: Timesteps<'a>,
    /// By the op's slots.
    pub tensors: [Option<Tensor<'a>>; SLOTS],
    /// Coefficients, rounded; `None` for a hole.
    pub rows: Vec<Option<&'a [f32]>>,
    /// The noise that is drawn.
    pub drawn: Option<Drawing>,
    /// A seed for each sample.
    pub seeds: Option<Tensor<'a>>,
    /// A factor and a threshold for each sample.
    pub scales: Option<&'a wgpu::Buffer>,
    /// Where clean samples are recorded.
    pub health: Option<&'a wgpu::Buffer>,
    /// Where a reduction leaves what it made of each chunk.
    pub scratch: Option<Scratch<'a>>,
    /// The lowest bit of the digit that is counted.
    pub digit: u32,
    /// Clean samples are clamped to `-limit..=limit`.
    pub limit: f32,
    /// Where the parabola of a loss turns into a line.
    pub delta: f32,
}

/// Noise that a plan draws.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawing {
    pub key: NoiseKey,
    /// Noise steps, on consecutive streams.
    pub steps: u32,
    pub perturbed: Option<Perturbed>,
}

impl Drawing {
    pub fn of(drawn: Drawn<'_>) -> Self {
        let Drawn { key, steps, perturbed, .. } = drawn;
        Self { key, steps, perturbed: perturbed.filter(|perturbed| perturbed.by != Perturbation::default()) }
    }
}

impl Drawing {
    /// The uniform block `Key` of `shaders/walk/window.wgsl` under this key.
    pub fn words(self, key: NoiseKey) -> [u32; 8] {
        let [a, b, stream, _, c, d, ..] = key.words();
        let Some(Perturbed { by, channel }) = self.perturbed else { return key.words() };
        let [offset, input] = [by.offset, by.input].map(|strength| (strength as f32).to_bits());
        [a, b, stream, channel, c, d, offset, input]
    }
}

impl<'a> Job<'a> {
    /// Without rows or noise.
    pub fn new(op: Op, shape: Shape, timesteps: Timesteps<'a>, tensors: [Option<Tensor<'a>>; SLOTS]) -> Self {
        let (rows, drawn, seeds, scales, health, scratch) = (Vec::new(), None, None, None, None, None);
        let (digit, limit, delta) = (0, f32::MAX, f32::MAX);
        Self { op, shape, timesteps, tensors, rows, drawn, seeds, scales, health, scratch, digit, limit, delta }
    }

    pub fn tensors(&self) -> impl Iterator<Item = (usize, Tensor<'a>)> + '_ {
        self.tensors.iter().enumerate().filter_map(|(slot, tensor)| Some((slot, (*tensor)?)))
    }

    pub fn label(&self, role: &str) -> String {
        format!("tweedie::{}::{role}", self.op.name())
    }

    pub fn name(&self, slot: usize) -> &'static str {
        self.op.slots()[slot].name
    }

    pub fn is_output(&self, slot: usize) -> bool {
        self.op.slots()[slot].is_output()
    }

    /// Where the timesteps lie, if on the GPU: with stride 0 if there is only one.
    pub fn timesteps(&self) -> Option<Tensor<'a>> {
        match self.timesteps {
            Timesteps::Batch => None,
            Timesteps::PerSample { buffer, offset } => Some(Tensor::f32(buffer).at(offset)),
            Timesteps::Shared { buffer, offset } => Some(Tensor::f32(buffer).at(offset).stride(0)),
        }
    }

    /// The elements that a tensor of this slot has for each sample.
    pub fn span(&self, slot: usize) -> u64 {
        let remembered = matches!(self.op.slots()[slot].part, Part::Memory);
        if remembered {
            u64::from(self.depth()) * u64::from(self.shape.elements)
        } else {
            u64::from(self.shape.elements)
        }
    }

    pub fn depth(&self) -> u32 {
        match self.op {
            Op::Step(variant) => variant.depth,
            _ => 0,
        }
    }

    pub fn draw(&self) -> Draw {
        let Some(drawing) = self.drawn else { return Draw::No };
        let perturbed = drawing.perturbed.is_some();
        if self.seeds.is_some() { Draw::PerSample { perturbed } } else { Draw::Batch { perturbed } }
    }

    /// The batch as one long sample, where nothing tells its samples apart and they lie without gaps.
    pub fn folded(&self) -> Self {
        let shape = self.shape;
        let gapless = |tensor: &Tensor<'_>| tensor.stride_in(shape) == u64::from(shape.elements);
        let alike = matches!(self.timesteps, Timesteps::Batch) && self.drawn.is_none() && self.scales.is_none();
        match u32::try_from(shape.total()) {
            Ok(total) if alike && self.tensors().all(|(_, tensor)| gapless(&tensor)) => {
                let tensors = self.tensors.map(|tensor| tensor.map(|tensor| Tensor { stride: None, ..tensor }));
                Self { shape: Shape::new(1, total), tensors, ..self.clone() }
            }
            _ => self.clone(),
        }
    }

    /// Everything about shapes and tensors that can be wrong.
    pub fn check(&self) -> Result<(), PlanError> {
        let shape = self.shape;
        if shape.batch == 0 || shape.elements == 0 {
            return Err(PlanError::EmptyShape { batch: shape.batch, elements: shape.elements });
        }
        if self.rows.is_empty() {
            return Err(PlanError::EmptyTable);
        }
        for (slot, tensor) in self.tensors() {
            check_tensor(self.name(slot), &tensor, shape, self.op.slots()[slot].is_input())?;
        }
        if let Some(Perturbed { by, channel }) = self.drawn.and_then(|drawing| drawing.perturbed) {
            let rule = |what, found: f64| {
                let expected = "finite";
                if (found as f32).is_finite() { Ok(()) } else { Err(PlanError::Rule { what, expected, found }) }
            };
            rule("offset", by.offset)?;
            rule("input perturbation", by.input)?;
            if channel == 0 || !shape.elements.is_multiple_of(channel) {
                return Err(PlanError::Channel { elements: shape.elements, found: channel });
            }
        }
        let (times, seeds) = (Shape::new(shape.batch, 1), Shape::new(shape.batch, 4));
        let words = [("timesteps", self.timesteps(), times), ("seeds", self.seeds, seeds)];
        for (name, tensor, shape) in &words {
            tensor.map_or(Ok(()), |tensor| check_tensor(name, &tensor, *shape, true))?;
        }
        for (slot, output) in self.tensors().filter(|(slot, _)| self.is_output(*slot)) {
            for (other_slot, other) in self.tensors().filter(|(other, _)| *other != slot) {
                let in_place = !self.is_output(other_slot) && output.same(&other, shape);
                if !in_place && output.overlaps(&other, shape) {
                    return Err(PlanError::Overlap { output: self.name(slot), other: self.name(other_slot) });
                }
            }
            for (other, tensor, words) in &words {
                let Some(tensor) = tensor else { continue };
                let (a, b) = (output.bytes(shape), tensor.bytes(*words));
                if output.buffer == tensor.buffer && a.start < b.end && b.start < a.end {
                    return Err(PlanError::Overlap { output: self.name(slot), other });
                }
            }
        }
        Ok(())
    }

    /// Everything that can be wrong about words that are written beside the tensors.
    pub fn check_apart(&self, name: &'static str, words: &Tensor<'_>, shape: Shape) -> Result<(), PlanError> {
        check_tensor(name, words, shape, false)?;
        let own = words.bytes(shape);
        let shares = |buffer: &wgpu::Buffer, bytes: std::ops::Range<u64>| {
            words.buffer == buffer && own.start < bytes.end && bytes.start < own.end
        };
        let mut tensors = self.tensors();
        if let Some((slot, _)) = tensors.find(|(_, tensor)| shares(tensor.buffer, tensor.bytes(self.shape))) {
            return Err(PlanError::Overlap { output: name, other: self.name(slot) });
        }
        let small = [("timesteps", self.timesteps(), 1), ("seeds", self.seeds, 4)];
        let mut small = small.into_iter().filter_map(|(other, tensor, each)| Some((other, tensor?, each)));
        match small.find(|(_, tensor, each)| shares(tensor.buffer, tensor.bytes(Shape::new(self.shape.batch, *each)))) {
            Some((other, ..)) => Err(PlanError::Overlap { output: name, other }),
            None => Ok(()),
        }
    }
}

/// Checks words of a buffer as the timesteps of a plan.
pub(crate) fn check_words(name: &'static str, words: Timesteps<'_>, shape: Shape) -> Result<(), PlanError> {
    if shape.batch == 0 {
        return Err(PlanError::EmptyShape { batch: 0, elements: shape.elements });
    }
    match words {
        Timesteps::Batch => Ok(()),
        Timesteps::PerSample { buffer, offset } | Timesteps::Shared { buffer, offset } => {
            check_tensor(name, &Tensor::f32(buffer).at(offset), shape, true)
        }
    }
}

fn check_tensor(name: &'static str, tensor: &Tensor<'_>, shape: Shape, input: bool) -> Result<(), PlanError> {
    let usage = tensor.buffer.usage();
    if !usage.contains(BufferUsages::STORAGE) {
        return Err(PlanError::BufferUsage { tensor: name, found: format!("{usage:?}") });
    }
    let bytes = tensor.storage.bytes();
    if !tensor.offset.is_multiple_of(bytes) {
        return Err(PlanError::Offset { tensor: name, storage: tensor.storage, expected: bytes, found: tensor.offset });
    }
    match tensor.stride {
        Some(0) if input => {}
        Some(found) if found < shape.elements => {
            return Err(PlanError::Stride { tensor: name, expected: shape.elements, found });
        }
        _ => {}
    }
    let last = tensor.extent(shape).checked_mul(bytes).and_then(|length| length.checked_add(tensor.offset));
    let expected = last.and_then(|end| end.checked_next_multiple_of(4)).unwrap_or(u64::MAX);
    let found = tensor.buffer.size();
    if expected > found {
        return Err(PlanError::BufferTooSmall { tensor: name, expected, found });
    }
    Ok(())
}
