//! A recorded sampling run: the sample that it starts from and everything that the network and the dice said.

use crate::known_region::{KnownRegion, asked, of_rows};
use crate::report::Outcome;
use files::{Array, TensorFile};
use tweedie::math::Sampler;
use tweedie::table::Deviation;

/// Everything that a sampler needs to run again without its network.
pub struct RecordedRun {
    /// The first sample, `[B, ...]`.
    pub initial: Array,
    /// Outputs of the network, `[K, B, ...]`.
    pub predictions: Array,
    /// Standard normal noise, `[at least as many as are drawn, B, ...]`; none where the sampler draws none.
    pub noises: Option<Array>,
    /// The network's second output, `[K, B, ...]`, where the variance is learned.
    pub learned: Option<Array>,
    /// The region that is known, where there is one.
    pub known: Option<KnownRegion>,
}

impl RecordedRun {
    /// Reads what the sampler needs and no more.
    pub fn read(file: &TensorFile, sampler: &Sampler) -> Outcome<Self> {
        let calls = sampler.calls().len();
        let predictions = asked(file, file.finite_floats("model_outputs")?)?;
        let (found, sample) = (predictions.batch(), &predictions.shape[1..]);
        file.require(!sample.is_empty(), "model_outputs", || {
            format!("expected [calls, batch, ...], found shape {:?}", predictions.shape)
        })?;
        file.require(found == calls, "model_outputs", || {
            format!("expected {calls} network outputs (one for each call of the sampler), found {found}")
        })?;
        let initial = first_sample(file, sample)?;
        let learned = (sampler.deviation() != Deviation::Fixed).then(|| file.floats_like("var_values", &predictions));
        let known = KnownRegion::read(file, &initial)?;
        let needed = if known.is_some() { calls } else { sampler.noises() };
        let noises = (needed > 0).then(|| noises(file, needed, &initial));
        let (noises, learned) = (noises.transpose()?, learned.transpose()?);
        let noises = noises.map(|noises| of_rows(sampler, noises, known.as_ref()));
        Ok(Self { initial, predictions, noises, learned, known })
    }

    /// Elements of all samples together.
    pub fn total(&self) -> usize {
        self.initial.data.len()
    }
}

/// At least as many as are drawn.
fn noises(file: &TensorFile, drawn: usize, like: &Array) -> anyhow::Result<Array> {
    let noises = file.finite_floats("noises")?;
    file.require(noises.batch() >= drawn && noises.shape[1..] == like.shape, "noises", || {
        let wanted: Vec<usize> = [&[drawn], &like.shape[..]].concat();
        format!("expected shape {wanted:?} (the sampler draws noise), found {:?}", noises.shape)
    })?;
    Ok(noises)
}

/// `initial`, or the first entry of `samples`.
fn first_sample(file: &TensorFile, shape: &[usize]) -> Outcome<Array> {
    if file.has("initial") || !file.has("samples") {
        let initial = file.finite_floats("initial")?;
        file.require(initial.shape == shape, "initial", || {
            format!("expected shape {shape:?} like an entry of `model_outputs`, found {:?}", initial.shape)
        })?;
        return Ok(initial);
    }
    let Array { name, shape: found, mut data, dtype } = file.floats("samples")?;
    file.require(found[1..] == *shape, "samples", || {
        format!("expected entries of shape {shape:?} like those of `model_outputs`, found {:?}", &found[1..])
    })?;
    data.truncate(shape.iter().product());
    let first = Array { name, shape: shape.to_vec(), data, dtype };
    file.within(first.require_finite())?; // the others are not looked at
    Ok(first)
}
