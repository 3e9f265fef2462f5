//! Computes the steps of a sampler on an adapter, or in f64 on the CPU, from the same rows.

use crate::engine::{Adapter, Engine, Values, plan_failure};
use crate::finite::{self, FiniteArgs};
use crate::progress::Progress;
use crate::recorded_run::RecordedRun;
use crate::report::Outcome;
use files::Array;
use std::array::from_fn;
use tweedie::gpu::step::{Sample, StepOptions};
use tweedie::gpu::{Noise, Recording, Step};
use tweedie::math::{Sampler, solve};
use tweedie::{Quantity, Sampling, Shape};

/// Outputs of a run.
pub struct Replayed {
    /// The first sample and the one after each call, `[K+1, B, ...]`.
    pub samples: Values,
    /// The clean sample that each call implies, `[K, B, ...]`.
    pub clean: Values,
}

impl Replayed {
    /// Refuses the first step with a result that is not finite. A clean sample need not exist where the solver keeps epsilon.
    pub fn check(&self, finite: FiniteArgs, sampler: &Sampler, run: &RecordedRun) -> Outcome {
        let (batch, elements) = (run.initial.batch(), run.initial.per_sample());
        let exists = |call: usize| {
            let level = sampler.calls().get(call).map(|call| call.level);
            level.is_some_and(|level| solve(level, sampler.keeps(), Quantity::X0).is_ok())
        };
        let clean = finite::first(&self.clean, elements, |index| exists(index / batch));
        let sample = finite::first(&self.samples, elements, |_| true);
        // The clean sample of a step comes before the sample that the step leads to.
        let clean = clean.map(|found| (found.sample / batch + 1, "pred_x0", &self.clean, found));
        let sample = sample.map(|found| (found.sample / batch, "samples", &self.samples, found));
        match clean.into_iter().chain(sample).min_by_key(|(step, ..)| *step) {
            Some((step, name, values, found)) => {
                finite.refuse(name, values, &found, &format!("step {step}, sample {}", found.sample % batch))
            }
            None => Ok(()),
        }
    }
}

impl Engine {
    /// Runs a sampler over what was recorded.
    pub fn replay(&self, sampler: &Sampler, run: &RecordedRun) -> Outcome<Replayed> {
        let Replayed { samples, clean } = match self {
            Engine::Cpu => on_cpu(sampler, run),
            Engine::Gpu(adapter) => adapter.replay(sampler, run)?,
        };
        let clean = in_x0(sampler, &samples, clean);
        Ok(Replayed { samples, clean })
    }
}

/// Converts what the solver keeps to clean samples: solvers in epsilon keep that in place of x0.
fn in_x0(sampler: &Sampler, samples: &Values, kept: Values) -> Values {
    let keeps = sampler.keeps();
    if keeps == Quantity::X0 {
        return kept;
    }
    let (x, values) = (samples.widened(), kept.widened());
    let entry = values.len() / sampler.calls().len().max(1);
    let calls = sampler.calls().iter().zip(x.chunks(entry).zip(values.chunks(entry)));
    let clean = calls.flat_map(|(call, (x, kept))| {
        let [a, b] = solve(call.level, keeps, Quantity::X0).unwrap_or([f64::NAN; 2]);
        x.iter().zip(kept).map(move |(x, kept)| a * x + b * kept)
    });
    kept.like(clean.collect())
}

impl Adapter {
    fn replay(&self, sampler: &Sampler, run: &RecordedRun) -> Outcome<Replayed> {
        let batch = run.initial.batch();
        let elements = self.elements(batch, run.initial.per_sample())?;
        for array in [Some(&run.initial), Some(&run.predictions), run.noises.as_ref(), run.learned.as_ref()] {
            array.map_or(Ok(()), |array| self.require_fit(array))?;
        }
        let calls = sampler.calls().len();
        let mut samples = vec![Vec::new(); calls + 1];
        let mut clean = vec![Vec::new(); calls];
        let per_piece = Self::samples_per_piece(elements);
        let mut progress = Progress::new("replaying", batch as u64);
        for first in (0..batch).step_by(per_piece) {
            let shape = Shape::new(per_piece.min(batch - first) as u32, elements);
            let piece = Piece { sampler, run, shape, first: first * elements as usize };
            self.replay_piece(&piece, &mut samples, &mut clean)?;
            progress.advance(u64::from(shape.batch));
        }
        let stored = |entries: Vec<Vec<u8>>| Values::Stored(self.storage, entries.concat());
        Ok(Replayed { samples: stored(samples), clean: stored(clean) })
    }

    /// Runs some samples through the whole loop, and appends what they were and what they became to each entry.
    fn replay_piece(&self, piece: &Piece<'_>, samples: &mut [Vec<u8>], clean: &mut [Vec<u8>]) -> Outcome {
        let total = piece.shape.total();
        let started = started(piece.sampler.start(), &piece.run.initial.data, values(&piece.run.noises));
        let x = self.upload("tweedie-cli::x", &piece.of(&started, 0));
        let [prediction, noise, learned, x0] =
            ["prediction", "noise", "learned", "x0"].map(|label| self.buffer(&format!("tweedie-cli::{label}"), total));
        let front = Sampling {
            learned: piece.run.learned.as_ref().map(|_| self.tensor(&learned)),
            x0: Some(self.tensor(&x0)),
            ..Sampling::in_place(
                piece.sampler,
                piece.shape,
                self.tensor(&x),
                self.tensor(&prediction),
                Noise::Tensor(self.tensor(&noise)),
            )
        };
        // The predictions are those of the tape, so no network is given the sample in its scale.
        let plan = front.with_rows(&front.rows()).plan(&self.context).map_err(plan_failure)?;
        samples[0].extend(self.download(&x, total)?);
        for (k, call) in piece.sampler.calls().iter().enumerate() {
            self.refill(&prediction, &piece.of(&piece.run.predictions.data, k));
            self.refill(&noise, &piece.of(values(&piece.run.noises), call.noise));
            self.refill(&learned, &piece.of(values(&piece.run.learned), k));
            self.run(&plan, Recording::call(k as u32))?;
            samples[k + 1].extend(self.download(&x, total)?);
            clean[k].extend(self.download(&x0, total)?);
        }
        Ok(())
    }
}

/// Some samples of a tape.
struct Piece<'a> {
    sampler: &'a Sampler,
    run: &'a RecordedRun,
    shape: Shape,
    /// The element at which the first of them starts in each entry.
    first: usize,
}

impl Piece<'_> {
    /// Their part of an entry of a list; nothing where the list has no such entry.
    fn of(&self, list: &[f64], entry: usize) -> Vec<f32> {
        let place = (entry * self.run.total() + self.first, self.shape.total() as usize);
        part(list, place).iter().map(|&value| value as f32).collect()
    }
}

fn on_cpu(sampler: &Sampler, run: &RecordedRun) -> Replayed {
    let rules = StepOptions { clip: sampler.clip(), deviation: sampler.deviation(), ..StepOptions::default() };
    let (total, elements) = (run.total(), run.initial.per_sample());
    let mut samples = started(sampler.start(), &run.initial.data, values(&run.noises));
    let mut clean: Vec<f64> = Vec::new();
    for (k, call) in sampler.calls().iter().enumerate() {
        for first in (0..total).step_by(elements) {
            let place = |entry: usize| (entry * total + first, elements);
            let sample = Sample {
                x: part(&samples, place(k)),
                predictions: [part(&run.predictions.data, place(k)), &[]],
                history: from_fn(|back| k.checked_sub(back + 1).map_or(&[][..], |entry| part(&clean, place(entry)))),
                noise: part(values(&run.noises), place(call.noise)),
                learned: part(values(&run.learned), place(k)),
                ..Sample::default()
            };
            let stepped = Step::reference(&call.row, &rules, &sample);
            samples.extend(stepped.next.iter().map(|exact| exact.value));
            clean.extend(stepped.x0.iter().map(|exact| exact.value));
        }
    }
    Replayed { samples: Values::Double(samples), clean: Values::Double(clean) }
}

/// The sample of the first call: that on the tape, with the noise that is added before it.
fn started([of_sample, of_noise]: [f64; 2], initial: &[f64], noises: &[f64]) -> Vec<f64> {
    match of_noise {
        0.0 => initial.iter().map(|x| of_sample * x).collect(),
        _ => initial.iter().zip(noises).map(|(x, z)| of_sample * x + of_noise * z).collect(),
    }
}

/// The values of a tensor that may be missing.
fn values(tensor: &Option<Array>) -> &[f64] {
    tensor.as_ref().map_or(&[], |array| &array.data)
}

/// A piece of a list, by where it starts and how long it is; nothing where the list does not reach.
fn part(list: &[f64], (start, length): (usize, usize)) -> &[f64] {
    list.get(start..start + length).unwrap_or_default()
}
