//! Measures each target at each noise level on the GPU.
//!
//! **Theory.** A target with row `(a, b)` (see the library's first page) has the variance `a^2 var(x0) + b^2`, for noise
//! that is independent of the data. A prediction that errs by `e` errs by `c1*e` after its conversion, `(c0, c1)` being
//! the coefficients of (x_t, prediction).
//!
//! **Practice.** Every target is computed from the data and drawn noise; its variance is taken in f64. Then noise of a small
//! fraction of its size is added, the sum is converted to x0 and to epsilon, and the results are compared with the true values.
//! f32 rounds at each of these steps, which bounds how near a measurement can come to its formula.

use super::LEVELS;
use super::data::Data;
use super::measurement::{Measurement, differences, root_mean_square, variance};
use super::{ERROR, TARGETS, WANTED};
use crate::batch::Batch;
use crate::engine::Adapter;
use crate::progress::Progress;
use crate::report::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;
use tweedie::gpu::NoiseKey;
use tweedie::gpu::compare::Comparison;
use tweedie::math::{NoiseLevel, solve};
use tweedie::{Quantity, Schedule, Storage};

/// Allowed error of a measured variance in standard errors: a normal exceeds this once in 500 million times, and a study makes
/// several hundred measurements.
const STANDARD_ERRORS: f64 = 6.0;

/// Allowed relative error of a measured amplification beyond what roundings explain: the error that was put in is
/// itself known to one rounding of the prediction in `ERROR`, 6e-6.
const AMPLIFICATION: f64 = 1e-4;

/// Roundings of f32, as a part of the summed terms: those of a kernel, for the noising and for the conversion.
const ROUNDINGS: f64 = 2.0 * Comparison::ARITHMETIC * Storage::F32.unit_roundoff();

/// By how much `--wrong-coefficient` spoils the noise of every level on the adapter.
const SPOILED: f64 = 1.01;

/// A noise level and what was found there.
#[derive(Clone, Debug)]
pub struct Moment {
    pub t: usize,
    pub level: NoiseLevel,
    /// By the name of the target; those that do not exist somewhere are missing.
    pub targets: BTreeMap<&'static str, Target>,
}

/// Measurements of a target at a noise level.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Target {
    pub variance: Measurement,
    /// Amplification of a prediction's error on the way to x0.
    pub into_x0: Measurement,
    /// On the way to epsilon.
    pub into_epsilon: Measurement,
}

/// One of the numbers of a target.
pub type Reading = fn(&Target) -> Measurement;

impl Moment {
    pub fn of(&self, quantity: Quantity) -> Option<&Target> {
        self.targets.get(quantity.name())
    }

    /// All that was measured.
    pub fn measured(&self) -> impl Iterator<Item = &Measurement> {
        self.targets.values().flat_map(|target| [&target.variance, &target.into_x0, &target.into_epsilon])
    }
}

/// The measuring itself.
pub struct Experiment<'a> {
    pub adapter: &'a Adapter,
    pub data: &'a Data,
    pub schedule: &'a Schedule,
    pub key: NoiseKey,
    /// True to give the adapter wrong coefficients: the study must then fail.
    pub spoiled: bool,
}

impl Experiment<'_> {
    /// Measures at these timesteps of the schedule.
    pub fn measure(&self, times: &[usize]) -> Outcome<Vec<Moment>> {
        let mut progress = Progress::new("measuring", times.len() as u64);
        let mut moments = Vec::new();
        for (index, times) in times.chunks(LEVELS).enumerate() {
            let key = self.key.first_sample((index * LEVELS) as u64);
            moments.extend(self.batch(times, key)?);
            progress.advance(times.len() as u64);
        }
        Ok(moments)
    }

    fn batch(&self, times: &[usize], key: NoiseKey) -> Outcome<Vec<Moment>> {
        let levels: Vec<NoiseLevel> = times.iter().map(|&t| self.schedule.levels()[t]).collect();
        let spoil = |level: &NoiseLevel| NoiseLevel::new(level.alpha(), level.sigma() * SPOILED).unwrap_or(*level);
        let computed = if self.spoiled { levels.iter().map(spoil).collect() } else { levels.clone() };
        let batch = Batch::new(self.adapter, &self.data.chosen, &computed, key)?;
        let [target, prediction, x0, epsilon] =
            ["study::target", "study::prediction", "study::x0_from", "study::epsilon_from"].map(|it| batch.buffer(it));
        let noise = batch.draw()?;

        let mut moments: Vec<Moment> =
            times.iter().zip(&levels).map(|(&t, &level)| Moment { t, level, targets: BTreeMap::new() }).collect();
        for (place, quantity) in (1..).zip(TARGETS) {
            let Some(noising) = batch.noising(None, Some((quantity, &target)))? else { continue };
            batch.run(&noising)?;
            let clean = batch.read(&target)?;
            batch.predict(ERROR, &clean, [&target, &prediction], key.stream(place))?;
            // A pass with two outputs has results only where both exist, so each has a pass of its own.
            for wanted in WANTED.into_iter().zip([&x0, &epsilon]) {
                batch.run(&batch.conversion((quantity, &prediction), &[wanted])?)?;
            }
            let [erring, x0, epsilon] = [batch.read(&prediction)?, batch.read(&x0)?, batch.read(&epsilon)?];
            for (index, moment) in moments.iter_mut().enumerate() {
                let [clean, erring, x0, epsilon, noise] =
                    [&clean, &erring, &x0, &epsilon, &noise].map(|values| batch.sample(values, index));
                let seen = Seen { clean, erring, found: [x0, epsilon], truth: [&self.data.chosen, noise] };
                moment.targets.insert(quantity.name(), seen.target(moment.level, quantity));
            }
        }
        Ok(moments)
    }
}

/// One sample of all that was read.
struct Seen<'a> {
    clean: &'a [f32],
    erring: &'a [f32],
    /// x0 and epsilon as the erring prediction gives them, and as they are.
    found: [&'a [f32]; 2],
    truth: [&'a [f32]; 2],
}

impl Seen<'_> {
    fn target(&self, level: NoiseLevel, quantity: Quantity) -> Target {
        let row = quantity.row(level).unwrap_or([f64::NAN; 2]);
        let data = self.truth[0];
        let size = root_mean_square(data.iter().map(|&value| f64::from(value)));
        let put_in = root_mean_square(differences(self.erring, self.clean));
        let into = |index: usize| {
            let came_out = root_mean_square(differences(self.found[index], self.truth[index]));
            amplification(level, quantity, WANTED[index], size, put_in, came_out / put_in)
        };
        let variance = Measurement {
            measured: variance(self.clean),
            expected: row[0] * row[0] * variance(data) + row[1] * row[1],
            tolerance: variance_tolerance(row, variance(data), size, data.len() as f64),
        };
        Target { variance, into_x0: into(0), into_epsilon: into(1) }
    }
}

/// The variance of `a*x0 + b*epsilon` over `count` elements differs from its expectation by that of the noise's own
/// variance and by the correlation that the noise happens to have with the data.
fn variance_tolerance([a, b]: [f64; 2], variance: f64, size: f64, count: f64) -> f64 {
    let sampling = ((2.0 * b.powi(4) + 4.0 * a * a * b * b * variance) / count).sqrt();
    STANDARD_ERRORS * sampling + ROUNDINGS * (a.abs() * size + b.abs()).powi(2)
}

/// The measurement of an amplification. `size` is the root mean square of the data, `put_in` that of the error; the noise's is 1.
fn amplification(
    level: NoiseLevel,
    given: Quantity,
    wanted: Quantity,
    size: f64,
    put_in: f64,
    measured: f64,
) -> Measurement {
    let [c0, c1] = solve(level, given, wanted).unwrap_or([f64::NAN; 2]);
    let terms = |row: [f64; 2]| row[0].abs() * size + row[1].abs();
    let row = |quantity: Quantity| quantity.row(level).unwrap_or([f64::NAN; 2]);
    let added = c0.abs() * terms(row(Quantity::Xt)) + c1.abs() * (terms(row(given)) + put_in) + terms(row(wanted));
    let tolerance = AMPLIFICATION * c1.abs() + ROUNDINGS * added / put_in;
    Measurement { measured, expected: c1.abs(), tolerance }
}
