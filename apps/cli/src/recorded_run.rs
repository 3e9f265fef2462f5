//! A recorded sampling run: the sample that it starts from, the outputs of the network, and the noise that was drawn.

use crate::known_region::{KnownRegion, asked, of_rows};
use crate::report::Outcome;
use crate::token_levels::TokenLevels;
use files::{Array, Header, TensorFile};
use tweedie::Model;
use tweedie::math::Sampler;
use tweedie::table::Deviation;

/// Everything that a sampler needs to run again without its network.
pub struct RecordedRun {
    /// The first sample, `[B, ...]`.
    pub initial: Array,
    /// Outputs of the network, `[K, B, ...]`; the slices of a sample follow each other.
    pub predictions: Array,
    /// Standard normal noise, `[at least as many as are drawn, B, ...]`; none where the sampler draws none.
    pub noises: Option<Array>,
    /// The network's second output, `[K, B, ...]`, where the variance is learned.
    pub learned: Option<Array>,
    /// The region that is known, where there is one.
    pub known: Option<KnownRegion>,
    /// 1 for the elements of the batch that are kept after each call, 0 for those that are set to 0.
    pub kept: Option<Vec<f64>>,
    /// Tokens at levels of their own.
    pub tokens: Option<TokenLevels>,
}

impl RecordedRun {
    /// Reads what the sampler needs and no more.
    pub fn read(file: &TensorFile, model: &Model, sampler: &Sampler) -> Outcome<Self> {
        let calls = sampler.calls().len();
        let mut predictions = asked(file, file.finite_floats("model_outputs")?)?;
        let slices = sampler.slices();
        if slices > 1 {
            in_slices(file, &mut predictions, slices)?;
        }
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
        let kept = file.has("emit_mask").then(|| kept(file, &initial)).transpose()?;
        let tokens = TokenLevels::read(file, model, sampler, &initial)?;
        Ok(Self { initial, predictions, noises, learned, known, kept, tokens })
    }

    /// Elements of all samples together.
    pub fn total(&self) -> usize {
        self.initial.data.len()
    }
}

/// Moves the slices from the last axis, so that in each sample they follow each other. The shape is then that of one slice.
fn in_slices(file: &TensorFile, predictions: &mut Array, slices: usize) -> Outcome<()> {
    let shape = predictions.shape.clone();
    let wide = shape.last().copied().unwrap_or(0);
    file.require(shape.len() > 2 && wide % slices == 0, "model_outputs", || {
        format!("expected {slices} slices on the last axis, found shape {shape:?}")
    })?;
    let width = wide / slices;
    let sample: usize = shape[2..].iter().product();
    let of_sample = |part: &[f64]| -> Vec<f64> {
        let rows = |slice: usize| part.chunks(wide).flat_map(move |row| &row[slice * width..][..width]);
        (0..slices).flat_map(rows).copied().collect()
    };
    predictions.data = predictions.data.chunks(sample).flat_map(of_sample).collect();
    if let Some(last) = predictions.shape.last_mut() {
        *last = width;
    }
    Ok(())
}

/// Expands a mask over the leading axes of a batch to each of its elements.
fn kept(file: &TensorFile, like: &Array) -> Outcome<Vec<f64>> {
    let mask = file.finite_floats("emit_mask")?;
    file.require(like.shape.starts_with(&mask.shape), "emit_mask", || {
        format!("expected leading axes of {:?}, found shape {:?}", like.shape, mask.shape)
    })?;
    let each = like.data.len() / mask.data.len();
    Ok(mask.data.iter().flat_map(|&kept| std::iter::repeat_n(kept, each)).collect())
}

/// Reads the noises, at least as many as the sampler draws.
fn noises(file: &TensorFile, drawn: usize, like: &Array) -> anyhow::Result<Array> {
    let noises = file.finite_floats("noises")?;
    file.require(noises.batch() >= drawn && noises.shape[1..] == like.shape, "noises", || {
        let wanted: Vec<usize> = [&[drawn], &like.shape[..]].concat();
        format!("expected shape {wanted:?} or more entries (noise that the sampler draws), found {:?}", noises.shape)
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
    let Array { header: Header { name, shape: found, dtype }, mut data } = file.floats("samples")?;
    file.require(found[1..] == *shape, "samples", || {
        format!("expected entries of shape {shape:?} like those of `model_outputs`, found {:?}", &found[1..])
    })?;
    data.truncate(shape.iter().product());
    let first = Array { header: Header { name, shape: shape.to_vec(), dtype }, data };
    file.within(first.require_finite())?; // the other entries are not used
    Ok(first)
}
