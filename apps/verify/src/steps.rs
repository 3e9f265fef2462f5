//! Loops of every kind of solver, each of their steps by itself: what the step kernel makes of a row, whatever the row.

use crate::device::Device;
use crate::{Error, Named, Outcome, WRONG, normals, shapes, wide};
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::step::{Sample, Stepped};
use tweedie::gpu::{Noise, NoiseKey, Recording, Step};
use tweedie::math::catalog::{CatalogError, SamplerOptions};
use tweedie::math::sampler::{Ddpm, Denoiser, FirstOrder, Grid, Sampler, UniPc, Variance};
use tweedie::math::{NoiseLevel, Spacing};
use tweedie::table::{Clip, Deviation, StepRow};
use tweedie::{Guidance, Quantity, Sampling, Schedule, Shape, Storage};

/// Samples of a batch.
const BATCH: u32 = 3;

/// Network calls of a loop, at most: enough for every solver to look back as far as it does.
const CALLS: usize = 6;

/// A loop that is checked.
#[derive(Debug)]
pub struct Loop {
    sampler: Sampler,
    guided: bool,
}

/// A loop of every solver of the catalogue and of some variants, on v: the prediction that determines everything at every
/// noise level. All take their steps on the schedule, whatever the scale that they are used on.
pub fn loops(schedule: &Schedule) -> Outcome<Vec<Named<Loop>>> {
    let build = || -> Result<Vec<Named<Loop>>, CatalogError> {
        let timesteps = Spacing::Trailing.timesteps(schedule.len(), CALLS.min(schedule.len()))?;
        let grid = Grid::of_schedule(schedule, &timesteps, NoiseLevel::CLEAN)?;
        let usual = Schedule::CATALOGUE.find("linear")?.build(&[])?;
        let plain = Denoiser::new(Quantity::V);
        let clipped = plain.clipped(Clip::Range(1.0));
        let threshold = plain.clipped(Clip::Quantile { ratio: 0.9, least: 0.5, most: f64::INFINITY });
        let rederived = FirstOrder { rederived: true, ..FirstOrder::ddim(0.0) };
        let mut all = Vec::new();
        for entry in Sampler::CATALOGUE.entries.iter().filter(|entry| !entry.make.inverts()) {
            let model = entry.usual_model(usual.clone(), None, None);
            let (solver, _) = entry.parts(&model, &SamplerOptions::steps(CALLS))?;
            all.push((entry.name, Sampler::new(&*solver, &grid, &plain)?));
        }
        all.extend([
            ("ddim, clipped, epsilon of that", Sampler::new(&rederived, &grid, &clipped)?),
            ("ddim, eta 0.5, drawn noise", Sampler::new(&FirstOrder::ddim(0.5), &grid, &clipped)?),
            ("ddim, dynamic threshold", Sampler::new(&FirstOrder::ddim(0.0), &grid, &threshold)?),
            ("ddpm, clipped, drawn noise", Sampler::new(&Ddpm::new(Variance::FixedSmall), &grid, &clipped)?),
            ("ddpm, learned variance", Sampler::new(&Ddpm::new(Variance::LearnedRange), &grid, &plain)?),
            ("unipc, order 3", Sampler::new(&UniPc::new(3), &grid, &plain)?),
        ]);
        let loops = all.into_iter().flat_map(|(name, sampler)| {
            let guided = (name == "ddim")
                .then(|| (format!("{name}, guided and rescaled"), Loop { sampler: sampler.clone(), guided: true }));
            std::iter::once((name.into(), Loop { sampler, guided: false })).chain(guided)
        });
        Ok(loops.collect())
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

/// Inputs of a loop beside its rows.
struct Data {
    shape: Shape,
    x: Vec<f64>,
    predictions: [Vec<f64>; 2],
    learned: Vec<f64>,
}

async fn check_shape(device: &Device<'_>, sampling: &Loop, shape: Shape, wrong: bool) -> Outcome<Comparison> {
    let storage = device.storage;
    let inputs = [1, 2, 3, 4].map(|seed| normals(storage, seed, shape));
    let buffers = inputs.each_ref().map(|values| device.upload("verify::input", values));
    let [x, conditional, unconditional, learned] = buffers.each_ref().map(|buffer| device.tensor(buffer));
    let [next, x0] = ["verify::next", "verify::x0"].map(|label| device.buffer(label, shape.total()));
    let key = NoiseKey::seed(5).stream(11);
    let mut guidance = Guidance::new(unconditional, 3.0);
    guidance.rescale = 0.7;
    let front = Sampling {
        next: device.tensor(&next),
        x0: Some(device.tensor(&x0)),
        learned: (sampling.sampler.deviation() != Deviation::Fixed).then_some(learned),
        guidance: sampling.guided.then_some(guidance),
        ..Sampling::in_place(&sampling.sampler, shape, x, conditional, Noise::drawn(key))
    };
    let (rows, options) = (front.rows(), front.options());
    let applied = if wrong { rows.iter().map(spoilt).collect() } else { rows.clone() };
    let plan = front.with_rows(&applied).plan(device.context)?;

    let [x, conditional, unconditional, learned] = inputs.each_ref().map(|values| wide(values));
    let data = Data { shape, x, predictions: [conditional, unconditional], learned };
    let mut total = Comparison::new(storage);
    let mut past: Vec<Vec<f64>> = Vec::new();
    for (call, row) in (0u32..).zip(&rows) {
        device.run(&plan, Recording::call(call))?;
        let noise = key.stream(key.stream + call).reference(shape.batch as usize, shape.elements as usize);
        let expected = data.expected(row, &options, &noise, &past, storage);
        let drawn = if row.draws(false) { 2.0 * (row.z.abs() + row.x0[2].abs()) } else { 0.0 };
        for (buffer, exact) in [(&next, expected.next), (&x0, expected.x0)] {
            total.merge(&device.compare((storage, buffer), &exact, (1.0, drawn)).await?);
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
        noise: &[f64],
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
            let stepped = Step::reference(
                row,
                options,
                &Sample {
                    x: &self.x[range.clone()],
                    predictions: [&self.predictions[0][range.clone()], &self.predictions[1][range.clone()]],
                    history,
                    noise: &noise[range.clone()],
                    learned: &self.learned[range.clone()],
                    known: None,
                    ..Sample::default()
                },
            );
            // What is remembered was rounded to the storage, and so were the clean samples before it.
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
            all.x0.extend(stepped.x0.iter().enumerate().map(|(i, &exact)| widened(i, exact)));
            all.remembered.extend(stepped.remembered);
        }
        all
    }
}

/// The row with the coefficients of the clean sample off by 1%.
fn spoilt(row: &StepRow) -> StepRow {
    StepRow { x0: row.x0.map(|c| c * WRONG), ..*row }
}
