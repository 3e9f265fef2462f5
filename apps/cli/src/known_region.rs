//! The known region of a recorded run, and the noises of its jumps.

use crate::report::Outcome;
use files::{Array, Header, TensorFile};
use tweedie::math::Sampler;

/// A region of the samples that is known.
pub struct KnownRegion {
    /// 1 where the sample is known and 0 where it is not, for each element of the batch.
    pub mask: Vec<f64>,
    /// The known clean sample, of the same shape.
    pub original: Vec<f64>,
}

impl KnownRegion {
    /// The tensors `mask` and `original`; `None` without a mask.
    pub fn read(file: &TensorFile, like: &Header) -> Outcome<Option<Self>> {
        if !file.has("mask") {
            return Ok(None);
        }
        let [mask, original] = [file.numbers("mask")?, file.finite_floats("original")?];
        for array in [&mask, &original] {
            file.require(array.shape == like.shape, &array.name, || {
                format!("expected shape {:?} like an entry of `model_outputs`, found {:?}", like.shape, array.shape)
            })?;
        }
        file.require(mask.data.iter().all(|known| (0.0..=1.0).contains(known)), "mask", || {
            "expected numbers in 0..=1, 1 where the sample is known".to_owned()
        })?;
        Ok(Some(Self { mask: mask.data, original: original.data }))
    }
}

/// Drops the entries of calls that asked no network: those where `kind` is not 0.
pub fn asked(file: &TensorFile, mut predictions: Array) -> Outcome<Array> {
    if !file.has("kind") {
        return Ok(predictions);
    }
    let kind = file.numbers("kind")?;
    file.require(kind.shape == [predictions.batch()], "kind", || {
        format!(
            "expected {} numbers (one for each entry of `model_outputs`), found shape {:?}",
            predictions.batch(),
            kind.shape
        )
    })?;
    let entries = predictions.data.chunks(predictions.per_sample()).zip(&kind.data);
    predictions.data = entries.filter(|(_, kind)| **kind == 0.0).flat_map(|(entry, _)| entry.to_vec()).collect();
    let asked = kind.data.iter().filter(|kind| **kind == 0.0).count();
    file.require(asked > 0, "kind", || "expected a 0 for each call of the network".to_owned())?;
    predictions.shape[0] = asked;
    Ok(predictions)
}

/// The number of noises that a program draws for a sampler, some of whose rows take sums of several.
pub fn drawn(sampler: &Sampler) -> usize {
    (0..sampler.calls().len()).map(|k| sampler.noise_parts(k).len().max(1)).sum()
}

/// Sums the noises that were drawn in turn to one for each row; returns them unchanged where each row has one already.
pub fn of_rows(sampler: &Sampler, mut noises: Array, region: Option<&KnownRegion>) -> Array {
    let (calls, elements) = (sampler.calls().len(), noises.per_sample());
    let all = drawn(sampler);
    if all == calls || noises.batch() < all {
        return noises;
    }
    let known = |i: usize| region.is_some_and(|region| region.mask[i] > 0.5);
    let (mut rows, mut first) = (Vec::with_capacity(calls * elements), 0);
    for k in 0..calls {
        let parts = match sampler.noise_parts(k) {
            [] => &[[1.0; 2]],
            parts => parts,
        };
        rows.extend((0..elements).map(|i| {
            let terms = parts.iter().enumerate();
            terms.map(|(j, part)| part[usize::from(known(i))] * noises.data[(first + j) * elements + i]).sum::<f64>()
        }));
        first += parts.len();
    }
    (noises.data, noises.shape[0]) = (rows, calls);
    noises
}
