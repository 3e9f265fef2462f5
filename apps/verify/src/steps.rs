//! Loops of every kind of solver, each step by itself: what the step kernel makes of any row.

use crate::device::{Device, Found};
use crate::{Error, Named, Outcome, WRONG, normals, shapes, wide};
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::step::{Sample, Stepped};
use tweedie::gpu::{Noise, NoiseKey, Recording, Step};
use tweedie::math::catalog::{CatalogError, SamplerOptions};
use tweedie::math::sampler::{Ddpm, Denoiser, FirstOrder, Grid, Sampler, UniPc, Variance};
use tweedie::math::{NoiseLevel, Process, Spacing};
use tweedie::table::{Clip, Deviation, StepRow};
use tweedie::{Guidance, Quantity, Sampling, Schedule, Shape, Storage};

/// The samples of a batch.
const BATCH: u32 = 3;

/// The most network calls of a loop: enough for every solver to look back as far as it does.
const CALLS: usize = 6;

/// Network calls of a loop whose rows use every part.
const EXTENDED_CALLS: usize = 2;

/// The slices of a prediction, where there are several.
const SLICES: usize = 2;

/// A loop that is checked.
#[derive(Debug)]
pub struct Loop {
    sampler: Sampler,
    parts: Parts,
}

/// The parts of a row that a loop uses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Parts {
    /// Those of the solver.
    Plain,
    /// Guidance with rescale too.
    Guided,
    /// Guidance, the clean sample of the unconditional prediction, a second noise, slices and the network's input.
    All,
}

/// A loop of every solver of the catalogue and of some variants, on v: the prediction that determines everything at every
/// noise level. All take their steps on the schedule, whatever the scale that they are usually used on. The kernel is the same for
/// every row, so a single loop is enough for a process that is not variance preserving.
pub fn loops(schedule: &Schedule) -> Outcome<Vec<Named<Loop>>> {
    let build = || -> Result<Vec<Named<Loop>>, CatalogError> {
        let timesteps = Spacing::Trailing.timesteps(schedule.len(), CALLS.min(schedule.len()))?;
        let grid = Grid::of_schedule(schedule, &timesteps, NoiseLevel::CLEAN)?;
        let plain = Denoiser::new(Quantity::V);
        if schedule.process() != Process::VariancePreserving {
            let sampler = Sampler::new(&FirstOrder::ddim(0.0), &grid, &plain)?;
            return Ok(vec![("ddim".to_owned(), Loop { sampler, parts: Parts::Plain })]);
        }
        let usual = Schedule::CATALOGUE.find("linear")?.build(&[])?;
        let clipped = plain.clipped(Clip::Range(1.0));
        let threshold = plain.clipped(Clip::Quantile { ratio: 0.9, least: 0.5, most: f64::INFINITY });
        let rederived = FirstOrder { rederived: true, ..FirstOrder::ddim(0.0) };
        let mut all = Vec::new();
        for entry in Sampler::CATALOGUE.entries.iter().filter(|entry| !entry.make.inverts() && !entry.make.is_sliced())
        {
            let model = entry.usual_model(usual.clone(), None, None);
            let (solver, own) = entry.parts(&model, &SamplerOptions::steps(CALLS))?;
            // Some solvers of flows take no other levels.
            let levels = if entry.make.is_flow() { &own } else { &grid };
            all.push((entry.name, Sampler::new(&*solver, levels, &plain)?));
        }
        all.extend([
            ("ddim, clipped, epsilon of that", Sampler::new(&rederived, &grid, &clipped)?),
            ("ddim, eta 0.5, drawn noise", Sampler::new(&FirstOrder::ddim(0.5), &grid, &clipped)?),
            ("ddim, dynamic threshold", Sampler::new(&FirstOrder::ddim(0.0), &grid, &threshold)?),
            ("ddpm, clipped, drawn noise", Sampler::new(&Ddpm::new(Variance::FixedSmall), &grid, &clipped)?),
            ("ddpm, learned variance", Sampler::new(&Ddpm::new(Variance::LearnedRange), &grid, &plain)?),
            ("unipc, order 3", Sampler::new(&UniPc::new(3), &grid, &plain)?),
        ]);
        let few = Spacing::Trailing.timesteps(schedule.len(), EXTENDED_CALLS.min(schedule.len()))?;
        let few = Grid::of_schedule(schedule, &few, NoiseLevel::CLEAN)?;
        let extended = Sampler::new(&FirstOrder::ddim(0.5), &few, &plain)?;
        let loops = all.into_iter().flat_map(|(name, sampler)| {
            let guided = (name == "ddim").then(|| {
                let sampler = sampler.clone();
                (format!("{name}, guided and rescaled"), Loop { sampler, parts: Parts::Guided })
            });
            std::iter::once((name.into(), Loop { sampler, parts: Parts::Plain })).chain(guided)
        });
        let extended = ("ddim, every part of a row".to_owned(), Loop { sampler: extended, parts: Parts::All });
        Ok(loops.chain([extended]).collect())
    };
    build().map_err(Error::of_schedule)
}

/// Runs a loop on all shapes, with its own coefficients or spoilt ones.
pub async fn check(device: &Device<'_>, sampling: &Loop, wrong: bool) -> Outcome<Comparison> {
    let mut total = Comparison::new(device.storage);
    for shape in shapes(BATCH) {
        total.merge(&check_shape(device, sampling, shape, wrong).await?);
    }
    Ok(total)
}

/// Inputs of a loop besides its rows.
struct Data {
    shape: Shape,
    x: Vec<f64>,
    predictions: [Vec<f64>; 2],
    learned: Vec<f64>,
}

async fn check_shape(device: &Device<'_>, sampling: &Loop, shape: Shape, wrong: bool) -> Outcome<Comparison> {
    let (storage, parts) = (device.storage, sampling.parts);
    let slices = if parts == Parts::All { SLICES } else { 1 };
    let predicted = Shape::new(shape.batch, shape.elements * slices as u32);
    let inputs = [(1, shape), (2, predicted), (3, predicted), (4, shape)];
    let inputs = inputs.map(|(seed, shape)| normals(storage, seed, shape));
    let buffers = inputs.each_ref().map(|values| device.upload("verify::input", values));
    let [x, conditional, unconditional, learned] = buffers.each_ref().map(|buffer| device.tensor(buffer));
    let [next, x0, input] =
        ["verify::next", "verify::x0", "verify::scaled"].map(|label| device.buffer(label, shape.total()));
    let key = NoiseKey::seed(5).stream(11);
    let mut guidance = Guidance::new(unconditional, 3.0);
    guidance.rescale = if parts == Parts::Guided { 0.7 } else { 0.0 };
    let front = Sampling {
        next: device.tensor(&next),
        x0: Some(device.tensor(&x0)),
        learned: (sampling.sampler.deviation() != Deviation::Fixed).then_some(learned),
        guidance: (parts != Parts::Plain).then_some(guidance),
        input: (parts == Parts::All).then(|| device.tensor(&input)),
        ..Sampling::in_place(&sampling.sampler, shape, x, conditional, Noise::drawn(key))
    };
    let (mut rows, options) = (front.rows(), front.options());
    if parts == Parts::All {
        rows = (SECOND_STREAM..).zip(&rows).map(|(stream, row)| extended(row, stream)).collect();
    }
    let applied = if wrong { rows.iter().map(spoilt).collect() } else { rows.clone() };
    let plan = Step { slices: slices as u32, ..front.with_rows(&applied) }.plan(device.context)?;

    let [x, conditional, unconditional, learned] = inputs.each_ref().map(|values| wide(values));
    let data = Data { shape, x, predictions: [conditional, unconditional], learned };
    let mut total = Comparison::new(storage);
    let mut past: Vec<Vec<f64>> = Vec::new();
    for (call, row) in (0u32..).zip(&rows) {
        device.run(&plan, Recording::call(call))?;
        let [noise, second] = [call, row.second_z.1]
            .map(|stream| key.stream(key.stream + stream).reference(shape.batch as usize, shape.elements as usize));
        let expected = data.expected(row, &options, [&noise, &second], &past, storage);
        let drawn = 2.0 * (row.z.abs() + row.x0[2].abs() + row.second_z.0.abs());
        let scaled = (parts == Parts::All).then_some((&input, expected.input));
        for (buffer, exact) in [(&next, expected.next), (&x0, expected.x0)].into_iter().chain(scaled) {
            total.merge(&device.compare(Found { storage, buffer, roundings: 1.0, noise: drawn }, &exact).await?);
        }
        past.push(expected.remembered.iter().map(|exact| exact.value).collect());
    }
    Ok(total)
}

impl Data {
    /// Computes the expected step, sample after sample, with the allowed errors.
    fn expected(
        &self,
        row: &StepRow,
        options: &tweedie::gpu::StepOptions,
        noises: [&[f64]; 2],
        past: &[Vec<f64>],
        storage: Storage,
    ) -> Stepped {
        let elements = self.shape.elements as usize;
        let mut all = Stepped::default();
        for sample in 0..self.shape.batch as usize {
            let range = sample * elements..(sample + 1) * elements;
            let history: [&[f64]; StepRow::HISTORY] = std::array::from_fn(|back| {
                past.len().checked_sub(back + 1).map_or(&[][..], |index| &past[index][range.clone()])
            });
            let predicted = |values: &[f64]| {
                let size = values.len() / self.shape.batch as usize;
                values[sample * size..(sample + 1) * size].to_vec()
            };
            let predictions = self.predictions.each_ref().map(|values| predicted(values));
            let stepped = Step::reference(
                row,
                options,
                &Sample {
                    x: &self.x[range.clone()],
                    predictions: [&predictions[0], &predictions[1]],
                    history,
                    noise: &noises[0][range.clone()],
                    second_noise: &noises[1][range.clone()],
                    learned: &self.learned[range.clone()],
                    ..Sample::default()
                },
            );
            // What is remembered was rounded to the storage, as were the clean samples that it came from.
            let rounding = storage.unit_roundoff() / Storage::F32.unit_roundoff();
            let remembered = |i: usize| -> f64 {
                let terms = row.history.iter().zip(history).filter(|(c, _)| **c != 0.0);
                terms.map(|(c, past)| (c * past[i]).abs() * rounding).sum()
            };
            let widened = |i: usize, exact: Expected| Expected {
                magnitude: (exact.magnitude + remembered(i)) * tweedie::gpu::Step::ROUNDINGS,
                ..exact
            };
            all.next.extend(stepped.next.iter().enumerate().map(|(i, &exact)| widened(i, exact)));
            all.input.extend(stepped.input.iter().enumerate().map(|(i, &exact)| widened(i, exact)));
            all.x0.extend(stepped.x0.iter().enumerate().map(|(i, &exact)| widened(i, exact)));
            all.remembered.extend(stepped.remembered);
        }
        all
    }
}

/// The stream of the second noise of the first call, on which no other noise is drawn.
const SECOND_STREAM: u32 = 40;

/// The row with every part added that solvers seldom use.
fn extended(row: &StepRow, stream: u32) -> StepRow {
    let mut slices = [0.0; StepRow::SLICES];
    slices[..SLICES].copy_from_slice(&[0.75, -0.5]);
    StepRow { unconditional_clean: 0.25, kept: [0.25, 0.5, 0.25], second_z: (0.5, stream), input: 0.5, slices, ..*row }
}

/// The row with the coefficients of the clean sample off by 1%.
fn spoilt(row: &StepRow) -> StepRow {
    StepRow { x0: row.x0.map(|c| c * WRONG), ..*row }
}
