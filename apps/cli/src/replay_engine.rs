//! Computes the steps of a sampler on an adapter, or in f64 on the CPU, from the same rows.

use crate::engine::{Adapter, Engine, Values, plan_failure};
use crate::finite::{self, FiniteArgs};
use crate::progress::Progress;
use crate::recorded_run::RecordedRun;
use crate::report::Outcome;
use crate::token_levels::TokenLevels;
use crate::windows::{Cut, Window, windows};
use files::Array;
use std::array::from_fn;
use tweedie::gpu::step::{Sample, StepOptions};
use tweedie::gpu::{Inpainting, Noise, Recording, Step};
use tweedie::math::{Call, Sampler, solve};
use tweedie::table::StepRow;
use tweedie::{Quantity, Sampling, Shape, Timesteps};

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
        let (batch, elements, calls) = (run.initial.batch(), run.initial.per_sample(), sampler.calls().len());
        let entries = |count: usize| Window::all(count * batch, elements);
        let exists = |call: usize| {
            let level = sampler.calls().get(call).map(|call| call.level);
            level.is_some_and(|level| solve(level, sampler.keeps(), Quantity::X0).is_ok())
        };
        let clean = finite::first(&self.clean, &entries(calls), |index| exists(index / batch));
        let sample = finite::first(&self.samples, &entries(calls + 1), |_| true);
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

/// Converts what the solver keeps to clean samples: solvers in epsilon keep epsilon instead of x0.
fn in_x0(sampler: &Sampler, samples: &Values, kept: Values) -> Values {
    let keeps = sampler.keeps();
    if keeps == Quantity::X0 {
        return kept;
    }
    let (x, values) = (samples.widened(), kept.widened());
    let entry = values.len() / sampler.calls().len().max(1);
    let calls = sampler.calls().iter().zip(x.chunks(entry).zip(values.chunks(entry)));
    let clean = calls.flat_map(|(call, (x, kept))| {
        // A clipped row has the clean sample already.
        let [a, b] = match call.row.kept == StepRow::IDENTITY.kept {
            true => solve(call.level, keeps, Quantity::X0).unwrap_or([f64::NAN; 2]),
            false => [0.0, 1.0],
        };
        x.iter().zip(kept).map(move |(x, kept)| a * x + b * kept)
    });
    kept.like(&clean.collect::<Vec<_>>())
}

impl Adapter {
    fn replay(&self, sampler: &Sampler, run: &RecordedRun) -> Outcome<Replayed> {
        let batch = run.initial.batch();
        let elements = self.elements(batch, run.initial.per_sample())?;
        for array in [Some(&run.initial), Some(&run.predictions), run.noises.as_ref(), run.learned.as_ref()] {
            array.map_or(Ok(()), |array| self.require_fit(array, 0, &array.data))?;
        }
        let calls = sampler.calls().len();
        let mut samples = vec![Vec::new(); calls + 1];
        let mut clean = vec![Vec::new(); calls];
        let mut progress = Progress::new("replaying", batch as u64);
        for window in windows(batch, elements as usize, Cut::BetweenSamples) {
            let shape = window.shape().ok_or_else(|| window.too_large())?;
            let piece = Piece { sampler, run, shape, first: window.range().start };
            self.replay_piece(&piece, &mut samples, &mut clean)?;
            progress.advance(u64::from(shape.batch));
        }
        let stored = |entries: Vec<Vec<u8>>| Values::Stored(self.storage, entries.concat());
        Ok(Replayed { samples: stored(samples), clean: stored(clean) })
    }

    /// Runs some samples through the whole loop, and appends the samples and clean samples to each entry.
    fn replay_piece(&self, piece: &Piece<'_>, samples: &mut [Vec<u8>], clean: &mut [Vec<u8>]) -> Outcome {
        let total = piece.shape.total();
        let started = started(piece.sampler.start(), &piece.run.initial.data, values(&piece.run.noises));
        let x = self.upload("tweedie-cli::x", &piece.of(&started, 0));
        let slices = piece.sampler.slices();
        let [noise, learned, x0] =
            ["noise", "learned", "x0"].map(|label| self.buffer(&format!("tweedie-cli::{label}"), total));
        let prediction = self.buffer("tweedie-cli::prediction", slices as u64 * total);
        let sampler = of_one_noise(piece.sampler);
        let known = piece.run.known.as_ref();
        let [mask, original] = [known.map(|it| &it.mask), known.map(|it| &it.original)]
            .map(|list| list.map(|list| self.upload("tweedie-cli::known", &piece.of(list, 0))));
        let known = mask.as_ref().zip(original.as_ref());
        let front = Sampling {
            known: known.map(|(mask, x0)| Inpainting { mask: self.tensor(mask), x0: self.tensor(x0) }),
            learned: piece.run.learned.as_ref().map(|_| self.tensor(&learned)),
            x0: Some(self.tensor(&x0)),
            ..Sampling::in_place(
                &sampler,
                piece.shape,
                self.tensor(&x),
                self.tensor(&prediction),
                Noise::Tensor(self.tensor(&noise)),
            )
        };
        // The predictions are those of the tape, so no input is written for a network.
        let rows = front.rows();
        let of_tokens = piece.run.tokens.as_ref();
        let which = of_tokens.map(|tokens| {
            (tokens, self.gpu.upload("tweedie-cli::calls", bytemuck::cast_slice(piece.rows_of(tokens, 0))))
        });
        let step = match &which {
            Some((tokens, which)) => {
                Step { calls: Timesteps::per_group(which, tokens.groups), ..front.with_rows(&tokens.rows) }
            }
            None => front.with_rows(&rows),
        };
        let plan = step.plan(&self.context).map_err(plan_failure)?;
        samples[0].extend(self.download(&x, total)?);
        for (k, call) in piece.sampler.calls().iter().enumerate() {
            self.refill(&prediction, &piece.slices_of(&piece.run.predictions.data, k, slices));
            self.refill(&noise, &piece.noise(call));
            self.refill(&learned, &piece.of(values(&piece.run.learned), k));
            let at = match &which {
                Some((tokens, which)) => {
                    self.gpu.queue.write_buffer(which, 0, bytemuck::cast_slice(piece.rows_of(tokens, k)));
                    Recording::per_sample()
                }
                None => Recording::call(k as u32),
            };
            self.run(&plan, at)?;
            if let Some(kept) = &piece.run.kept {
                let next = Values::Stored(self.storage, self.download(&x, total)?).widened();
                let left = next.iter().zip(piece.of(kept, 0)).map(|(&x, kept)| x as f32 * kept);
                self.refill(&x, &left.collect::<Vec<_>>());
            }
            samples[k + 1].extend(self.download(&x, total)?);
            clean[k].extend(self.download(&x0, total)?);
        }
        Ok(())
    }
}

/// The sampler with rows of two noises changed to take their sum as one, since a tensor holds one noise.
fn of_one_noise(sampler: &Sampler) -> Sampler {
    let mut sampler = sampler.clone();
    for call in sampler.calls_mut().iter_mut().filter(|call| call.row.second_z.0 != 0.0) {
        (call.row.z, call.row.second_z) = (1.0, (0.0, 0));
    }
    sampler
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
    /// The noise of a call: one of the tape, or the sum of two of them.
    fn noise(&self, call: &Call) -> Vec<f32> {
        let noises = values(&self.run.noises);
        let first = self.of(noises, call.noise);
        let (second_z, stream) = call.row.second_z;
        if second_z == 0.0 {
            return first;
        }
        let second = self.of(noises, stream as usize);
        let sum = |(z, second): (&f32, &f32)| call.row.z * f64::from(*z) + second_z * f64::from(*second);
        first.iter().zip(&second).map(|pair| sum(pair) as f32).collect()
    }

    /// The rows of the samples' tokens in a call.
    fn rows_of<'a>(&self, tokens: &'a TokenLevels, call: usize) -> &'a [u32] {
        let elements = self.shape.elements as usize;
        tokens.of_call(call, self.first / elements, self.shape.batch as usize)
    }

    /// The samples' part of an entry of a list; empty where the list has no such entry.
    fn of(&self, list: &[f64], entry: usize) -> Vec<f32> {
        self.slices_of(list, entry, 1)
    }

    /// The same for a list whose samples have this many slices.
    fn slices_of(&self, list: &[f64], entry: usize, slices: usize) -> Vec<f32> {
        let place = (slices * (entry * self.run.total() + self.first), slices * self.shape.total() as usize);
        part(list, place).iter().map(|&value| value as f32).collect()
    }
}

fn on_cpu(sampler: &Sampler, run: &RecordedRun) -> Replayed {
    let rules = StepOptions { clip: sampler.clip(), deviation: sampler.deviation(), ..StepOptions::default() };
    let (total, elements) = (run.total(), run.initial.per_sample());
    let mut samples = started(sampler.start(), &run.initial.data, values(&run.noises));
    let [mut clean, mut remembered] = [const { Vec::<f64>::new() }; 2];
    let slices = sampler.slices();
    // The elements that share a row: a sample, or a run of a token.
    let tokens = run.tokens.as_ref();
    let piece = tokens.map_or(elements, |tokens| tokens.groups.run as usize);
    for (k, call) in sampler.calls().iter().enumerate() {
        for first in (0..total).step_by(piece) {
            let row = tokens.map_or(&call.row, |tokens| tokens.row(k, first / elements, first % elements));
            let place = |entry: usize| (entry * total + first, piece);
            let sample = Sample {
                x: part(&samples, place(k)),
                predictions: [part(&run.predictions.data, (slices * place(k).0, slices * piece)), &[]],
                history: from_fn(|back| {
                    k.checked_sub(back + 1).map_or(&[][..], |entry| part(&remembered, place(entry)))
                }),
                noise: part(values(&run.noises), place(call.noise)),
                second_noise: part(values(&run.noises), place(call.row.second_z.1 as usize)),
                learned: part(values(&run.learned), place(k)),
                known: run.known.as_ref().map(|it| [&it.mask, &it.original].map(|list| part(list, place(0)))),
            };
            let stepped = Step::reference(row, &rules, &sample);
            let kept = run.kept.as_deref().map(|kept| part(kept, (first, piece)));
            let left = |(i, x): (usize, f64)| kept.map_or(x, |kept| x * kept[i]);
            samples.extend(stepped.next.iter().map(|exact| exact.value).enumerate().map(left));
            clean.extend(stepped.x0.iter().map(|exact| exact.value));
            remembered.extend(stepped.remembered.iter().map(|exact| exact.value));
        }
    }
    Replayed { samples: Values::Double(samples), clean: Values::Double(clean) }
}

/// The sample of the first call: that of the tape, with the noise that is added before the call.
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

/// A piece of a list, by its start and length; empty where the list does not reach that far.
fn part(list: &[f64], (start, length): (usize, usize)) -> &[f64] {
    list.get(start..start + length).unwrap_or_default()
}
