//! Terms of the variational bound, for every variance, with their sums, mean and both gradients.

use crate::device::{Device, Found};
use crate::{Error, Named, Outcome, WRONG, normals, over_shapes, wide};
use tweedie::gpu::compare::Comparison;
use tweedie::gpu::vlb::Batch;
use tweedie::gpu::{Drawn, GradientScale, Noise, NoiseKey, Recording, Reduction, Timesteps, VlbInputs, VlbTerms};
use tweedie::math::{LossInputs, ModelVariance, Vlb};
use tweedie::table::{Table, VlbRow};
use tweedie::{Quantity, Schedule, Shape, Storage, Tensor};

/// A term that is checked.
#[derive(Debug)]
pub struct Op {
    table: Table<VlbRow>,
    clip: Option<f64>,
    drawn: bool,
}

/// Terms of every variance, with different predictions, clipped or not, from given noise, drawn noise or the noisy sample.
pub fn ops(schedule: &Schedule) -> Outcome<Vec<Named<Op>>> {
    let ops = [
        ("fixed small", ModelVariance::FixedSmall, Quantity::Epsilon, None, LossInputs::CleanAndNoise, false),
        ("fixed large", ModelVariance::FixedLarge, Quantity::V, Some(1.0), LossInputs::CleanAndNoise, true),
        ("learned", ModelVariance::Learned, Quantity::X0, Some(1.0), LossInputs::CleanAndNoise, false),
        ("learned range", ModelVariance::LearnedRange, Quantity::Epsilon, None, LossInputs::CleanAndNoise, true),
        ("learned range", ModelVariance::LearnedRange, Quantity::V, Some(1.0), LossInputs::NoisyAndTarget, false),
    ];
    let op = |(called, variance, predicts, clip, given, drawn)| {
        let bound = Vlb::new(schedule, predicts, variance, clip)?;
        let source = match (given, drawn) {
            (LossInputs::NoisyAndTarget, _) => "given x_t",
            (LossInputs::CleanAndNoise, true) => "drawn noise",
            (LossInputs::CleanAndNoise, false) => "given noise",
        };
        let clipped = if clip.is_some() { ", clipped" } else { "" };
        let name = format!("bound from {predicts}{clipped}, {called} variance, {source}");
        Ok((name, Op { table: bound.table_where_defined(given), clip, drawn }))
    };
    let ops = ops.into_iter().map(op).collect::<Result<_, tweedie::error::VlbError>>();
    ops.map_err(Error::of_schedule)
}

/// Runs a term on all shapes, with its own coefficients or spoilt ones.
pub async fn check(device: &Device<'_>, op: &Op, wrong: bool) -> Outcome<Comparison> {
    let spoilt = |row: VlbRow| VlbRow {
        prediction: row.prediction * WRONG,
        inputs: row.inputs.map(|c| c * WRONG),
        log_ratio: row.log_ratio.map(|c| c * WRONG), // where a learned variance outweighs the rest
        ..row
    };
    over_shapes(device, &op.table, wrong.then_some(spoilt), async |table, times, shape| {
        check_shape(device, op, table, times, shape).await
    })
    .await
}

async fn check_shape(
    device: &Device<'_>,
    op: &Op,
    table: &Table<VlbRow>,
    times: &[u32],
    shape: Shape,
) -> Outcome<Comparison> {
    let tensors = [1, 2, 3, 4].map(|seed| normals(device.storage, seed, shape));
    let buffers = tensors.each_ref().map(|values| device.upload("verify::input", values));
    let [prediction, learned, x0, in1] = buffers.each_ref().map(|buffer| device.tensor(buffer));
    let key = NoiseKey::seed(6).stream(13);
    let words = |count: u64| device.gpu.buffer("verify::words", count * Storage::F32.bytes());
    let (terms, mean, noise) = (words(shape.batch.into()), words(1), words(shape.total()));
    let gradients = [(); 2].map(|()| device.buffer("verify::gradient", shape.total()));
    let t = device.gpu.upload("verify::t", bytemuck::cast_slice(times));
    let inputs = VlbInputs {
        table,
        clip: op.clip,
        shape,
        prediction,
        learned: Some(learned),
        x0,
        in1: match op.drawn {
            true => Noise::Drawn(Drawn::new(key).keep(Tensor::f32(&noise))),
            false => Noise::Tensor(in1),
        },
    };
    let bound = VlbTerms {
        inputs,
        timesteps: Timesteps::per_sample(&t),
        terms: (&terms, 0),
        mean: Some((&mean, 0)),
        gradient: Some(device.tensor(&gradients[0])),
        learned_gradient: Some(device.tensor(&gradients[1])),
        reduction: Reduction::Mean,
        scale: GradientScale::ONE,
    };
    let plan = bound.plan(device.context)?;
    device.run(&plan, Recording::per_sample())?;

    let mut total = Comparison::new(device.storage);
    let [prediction, learned, x0, mut in1] = tensors.each_ref().map(|values| wide(values));
    if op.drawn {
        in1 = wide(&device.read(Storage::F32, &noise, shape.total()).await?); // the noise of the terms, which the losses check
    }
    let (elements, prediction, learned) = (shape.elements as usize, &prediction[..], &learned[..]);
    let batch = Batch { timesteps: times, elements, prediction, learned, x0: &x0, in1: &in1 };
    let exact = VlbTerms::reference(&op.table, op.clip, &batch, Reduction::Mean);
    for (storage, buffer, exact) in [
        (Storage::F32, &terms, &exact.samples),
        (Storage::F32, &mean, &vec![exact.mean]),
        (device.storage, &gradients[0], &exact.gradient),
        (device.storage, &gradients[1], &exact.learned_gradient),
    ] {
        total.merge(
            &device.compare(Found { storage, buffer, roundings: VlbTerms::ROUNDINGS, noise: 0.0 }, exact).await?,
        );
    }
    Ok(total)
}
