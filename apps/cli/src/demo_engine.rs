//! The work of `demo` on the GPU: each op on one picture at many timesteps, checked and timed.

use crate::batch::{Batch, Held};
use crate::engine::Adapter;
use crate::report::{Failure, Outcome};
use crate::study::measurement::{differences, root_mean_square};
use anyhow::anyhow;
use files::Picture;
use std::time::Instant;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::{Map, NoiseKey, Plan, Recording};
use tweedie::math::NoiseLevel;
use tweedie::table::Table;
use tweedie::{Quantity, Schedule};
use verify::noise_coefficients;

/// Recordings in one timed submit, and how many submits are timed.
const RECORDINGS: u32 = 4;
const SUBMITS: usize = 5;

/// A line of the table.
pub struct Line {
    pub op: String,
    pub comparison: Comparison,
    pub seconds: f64,
    pub bytes: u64,
}

/// The recovered pictures and errors of one parameterization, one for each column.
pub struct Recovered {
    pub quantity: Quantity,
    pub pictures: Vec<Picture>,
    pub errors: Vec<f64>,
}

/// The work on the GPU: one picture, and a sample of the batch for each column.
pub struct Show<'a> {
    batch: Batch<'a>,
    original: &'a Picture,
    error: f64,
    /// Inputs of the reference: the picture as it is stored, once for each sample, and the noise in f64.
    x0_exact: Vec<f64>,
    noise_exact: Vec<f64>,
    pub lines: Vec<Line>,
}

impl<'a> Show<'a> {
    pub fn new(
        adapter: &'a Adapter,
        levels: &[NoiseLevel],
        original: &'a Picture,
        error: f64,
        key: NoiseKey,
    ) -> Outcome<Self> {
        let elements = original.data.len();
        let stored = adapter.storage.decode(&adapter.storage.encode(&original.data));
        let one: Vec<f64> = stored.into_iter().take(elements).map(f64::from).collect();
        Ok(Self {
            batch: Batch::new(adapter, &original.data, levels, key)?,
            original,
            error,
            x0_exact: one.repeat(levels.len()),
            noise_exact: key.reference(levels.len(), elements),
            lines: Vec::new(),
        })
    }

    /// Computes x_t alone, from noise that is drawn in the kernel.
    pub fn noised(&mut self) -> Outcome<Vec<Picture>> {
        let seconds = self.noise(None)?;
        let table = self.schedule().noising(None).map_err(anyhow::Error::from)?;
        let [exact, _] = self.reference(&table, &self.x0_exact, &self.noise_exact);
        let [noise, _] = noise_coefficients(&table, &self.batch.levels);
        let found = self.batch.read(&self.batch.x_t)?;
        self.line("x_t, noise drawn".into(), seconds, (0, 1), &[(&found, &exact, noise)]);
        self.pictures(&found)
    }

    /// Writes x_t and perhaps a target, and returns the seconds that it took.
    fn noise(&self, target: Option<Held<'_>>) -> Outcome<f64> {
        let plan = self.batch.noising(None, target)?;
        self.time(&plan.ok_or_else(|| Failure::input(anyhow!("the target does not exist at every timestep")))?)
    }

    /// Computes the target of a parameterization, a prediction with an error, and the recovered picture.
    pub fn recover(&mut self, quantity: Quantity) -> Outcome<Recovered> {
        let [target, prediction, x0, epsilon] =
            ["demo::target", "demo::prediction", "demo::x0_from", "demo::epsilon_from"]
                .map(|label| self.batch.buffer(label));

        // The training pair: one dispatch, noise drawn and never stored.
        let seconds = self.noise(Some((quantity, &target)))?;
        let table = self.schedule().noising(Some(quantity)).map_err(anyhow::Error::from)?;
        let [x_t_exact, target_exact] = self.reference(&table, &self.x0_exact, &self.noise_exact);
        let (x_t, target_found) = (self.batch.read(&self.batch.x_t)?, self.batch.read(&target)?);
        let [in_x_t, in_target] = noise_coefficients(&table, &self.batch.levels);
        let outputs = [(&x_t[..], &x_t_exact[..], in_x_t), (&target_found[..], &target_exact[..], in_target)];
        self.line(format!("x_t and {quantity} target, noise drawn"), seconds, (0, 2), &outputs);

        // The prediction errs by the same relative size for every parameterization.
        let place = Quantity::ALL.iter().position(|known| *known == quantity).unwrap_or(0);
        let key = self.batch.key.stream(1 + place as u32);
        self.batch.predict(self.error, &target_found, [&target, &prediction], key)?;
        let predicted = self.batch.read(&prediction)?;

        // Back: x0 and epsilon from x_t and the prediction, in one dispatch. At zero terminal SNR epsilon says nothing about
        // the picture, so x0 is NaN there.
        let wanted = [(Quantity::X0, &x0), (Quantity::Epsilon, &epsilon)];
        let seconds = self.time(&self.batch.conversion((quantity, &prediction), &wanted)?)?;
        let table = self.schedule().conversion_where_defined(quantity, Quantity::X0, Some(Quantity::Epsilon));
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let [x0_exact, epsilon_exact] = self.reference(&table, &wide(&x_t), &wide(&predicted));
        let (x0_found, epsilon_found) = (self.batch.read(&x0)?, self.batch.read(&epsilon)?);
        let outputs = [(&x0_found[..], &x0_exact[..], 0.0), (&epsilon_found[..], &epsilon_exact[..], 0.0)];
        self.line(format!("{quantity} to x0 and epsilon"), seconds, (2, 2), &outputs);

        let pictures = self.pictures(&x0_found)?;
        let samples = x0_found.chunks(self.original.data.len());
        let errors = samples.map(|sample| difference(sample, &self.original.data)).collect();
        Ok(Recovered { quantity, pictures, errors })
    }

    fn schedule(&self) -> &Schedule {
        &self.batch.schedule
    }

    fn reference(&self, table: &Table, in0: &[f64], in1: &[f64]) -> [Vec<Expected>; 2] {
        Map::reference(table, &self.batch.levels, self.original.data.len(), in0, in1)
    }

    fn pictures(&self, values: &[f32]) -> Outcome<Vec<Picture>> {
        let Picture { width, height, data, .. } = self.original;
        let pictures = values.chunks(data.len()).map(|sample| Picture::from_planar(*width, *height, sample.to_vec()));
        Ok(pictures.collect::<anyhow::Result<_>>()?)
    }

    /// Returns the seconds of one recording: the median over submits of several recordings each, after a submit to warm up.
    fn time(&self, plan: &Plan) -> Outcome<f64> {
        self.batch.run(plan)?;
        let mut seconds = Vec::with_capacity(SUBMITS);
        for _ in 0..SUBMITS {
            let begun = Instant::now();
            self.batch.adapter.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                (0..RECORDINGS).try_for_each(|_| plan.record(&mut pass, Recording::per_sample()))
            })?;
            seconds.push(begun.elapsed().as_secs_f64() / f64::from(RECORDINGS));
        }
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[SUBMITS / 2])
    }

    /// Adds a line: the tensors read and written, and the outputs with their references and their coefficients of drawn noise.
    fn line(&mut self, op: String, seconds: f64, (read, written): (u64, u64), outputs: &[(&[f32], &[Expected], f64)]) {
        let storage = self.batch.adapter.storage;
        let mut total = Comparison::new(storage);
        for (found, exact, noise) in outputs {
            let mut comparison = Comparison::new(storage).with_noise(*noise);
            comparison.add_all(found, exact);
            total.merge(&comparison);
        }
        // The picture is read once for the whole batch, so it hardly counts.
        let picture = if read == 0 { self.original.data.len() as u64 } else { 0 };
        let bytes = ((read + written) * self.batch.shape.total() + picture) * storage.bytes();
        self.lines.push(Line { op, comparison: total, seconds, bytes });
    }
}

/// The root mean square difference of two pictures.
pub fn difference(a: &[f32], b: &[f32]) -> f64 {
    root_mean_square(differences(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_root_mean_squares() {
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 0.0]), 2f64.sqrt());
    }
}
