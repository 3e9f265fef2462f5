//! Losses of every kind, on what a network predicts and on what that implies, with sums, mean and gradient.

use crate::device::{Device, Found};
use crate::{Error, Named, Outcome, WRONG, drawn, normals, over_shapes, wide};
use tweedie::gpu::compare::Comparison;
use tweedie::gpu::loss::Batch;
use tweedie::gpu::{Drawn, Gradient, GradientScale, Loss, Noise, NoiseKey, Recording, Reduction, Timesteps};
use tweedie::math::{LossInputs, Objective, SigmaData, Weight};
use tweedie::table::{LossRow, Penalty, Table};
use tweedie::{Quantity, Schedule, Shape, Storage, Tensor};

/// Inputs of a loss besides the prediction, and the gradient to compute.
#[derive(Clone, Copy, Debug)]
struct Truth {
    name: &'static str,
    given: LossInputs,
    drawn: bool,
    reduction: Reduction,
}

const TRUTHS: [Truth; 3] = [
    Truth { name: "given noise", given: LossInputs::CleanAndNoise, drawn: false, reduction: Reduction::Sum },
    Truth { name: "drawn noise", given: LossInputs::CleanAndNoise, drawn: true, reduction: Reduction::Mean },
    Truth { name: "given target", given: LossInputs::NoisyAndTarget, drawn: false, reduction: Reduction::Mean },
];

/// A loss that is checked.
#[derive(Debug)]
pub struct Op {
    table: Table<LossRow>,
    penalty: Penalty,
    truth: Truth,
}

/// Every penalty of the catalogue, each on different quantities and with a different weight, for every kind of input that a
/// prediction is compared with.
pub fn ops(schedule: &Schedule) -> Outcome<Vec<Named<Op>>> {
    let mut ops = Vec::new();
    for entry in Penalty::CATALOGUE.entries {
        let (delta, objectives) = objectives(entry.name);
        let given: Vec<_> = entry.parameters.iter().map(|parameter| (parameter.name, delta)).collect();
        let penalty = entry.build(&given).map_err(Error::of_schedule)?;
        for (objective, truth) in objectives.iter().flat_map(|objective| TRUTHS.map(|truth| (objective, truth))) {
            let Objective { predicts, on, weight, .. } = objective;
            let name = format!("{} on {on} from {predicts}, weight {}, {}", entry.name, weight.name(), truth.name);
            let table = schedule.loss_where_defined(objective, truth.given);
            let table = table.map_err(Error::of_schedule)?;
            ops.push((name, Op { table, penalty, truth }));
        }
    }
    Ok(ops)
}

/// The delta of a penalty, which is in the middle of the errors that the samples have, and the objectives to check it on.
fn objectives(penalty: &str) -> (f64, Vec<Objective>) {
    let min_snr = Weight::MinSnr { gamma: 5.0 };
    let p2 = Weight::P2 { k: 1.0, gamma: 1.0 };
    let edm = Quantity::Edm(SigmaData::KARRAS);
    match penalty {
        "mse" => (
            0.5,
            vec![
                Objective::of(Quantity::Epsilon),
                Objective::of(Quantity::V).weighted(min_snr.clone()),
                Objective::of(Quantity::Epsilon).on(Quantity::X0).weighted(min_snr),
            ],
        ),
        "l1" => (0.5, vec![Objective::of(Quantity::X0).weighted(p2)]),
        "smooth-l1" => (0.5, vec![Objective::of(Quantity::V).on(Quantity::Epsilon)]),
        "pseudo-huber" => (0.03, vec![Objective::of(edm).weighted(Weight::SoftMinSnr { gamma: 4.0 })]),
        _ => (0.5, vec![Objective::of(Quantity::Flow)]),
    }
}

/// Runs a loss on all shapes, with its own coefficients or spoilt ones.
pub async fn check(device: &Device<'_>, op: &Op, wrong: bool) -> Outcome<Comparison> {
    let spoilt = |row: LossRow| LossRow {
        prediction: row.prediction * WRONG,
        inputs: row.inputs.map(|coefficient| coefficient * WRONG),
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
    table: &Table<LossRow>,
    times: &[u32],
    shape: Shape,
) -> Outcome<Comparison> {
    let inputs = [1, 2, 3].map(|seed| normals(device.storage, seed, shape));
    let buffers = inputs.each_ref().map(|values| device.upload("verify::input", values));
    let [prediction, in0, in1] = buffers.each_ref().map(|buffer| device.tensor(buffer));
    let key = NoiseKey::seed(4).stream(9);
    let words = |count: u64| device.gpu.buffer("verify::words", count * Storage::F32.bytes());
    let (losses, mean, noise) = (words(shape.batch.into()), words(1), words(shape.total()));
    let gradient = device.buffer("verify::gradient", shape.total());
    let t = device.gpu.upload("verify::t", bytemuck::cast_slice(times));
    let loss = Loss {
        table,
        penalty: op.penalty,
        shape,
        timesteps: Timesteps::per_sample(&t),
        prediction,
        in0: Some(in0),
        in1: match op.truth.drawn {
            true => Noise::Drawn(Drawn::new(key).keep(Tensor::f32(&noise))),
            false => Noise::Tensor(in1),
        },
        losses: (&losses, 0),
        mean: Some((&mean, 0)),
        gradient: Some(Gradient {
            tensor: device.tensor(&gradient),
            reduction: op.truth.reduction,
            scale: GradientScale::ONE,
        }),
    };
    let plan = loss.plan(device.context)?;
    device.run(&plan, Recording::per_sample())?;

    let mut total = Comparison::new(device.storage);
    let [prediction, in0, mut in1] = inputs.each_ref().map(|values| wide(values));
    if op.truth.drawn {
        let found = Found { storage: Storage::F32, buffer: &noise, roundings: 1.0, noise: 1.0 };
        total.merge(&device.compare(found, &drawn(key, shape)).await?);
        in1 = wide(&device.read(Storage::F32, &noise, shape.total()).await?); // the noise that the losses are computed from
    }
    let elements = shape.elements as usize;
    let batch = Batch { timesteps: times, elements, prediction: &prediction, inputs: [&in0, &in1] };
    let exact = Loss::reference(&op.table, op.penalty, &batch, op.truth.reduction);
    for (storage, buffer, exact) in [
        (Storage::F32, &losses, &exact.samples),
        (Storage::F32, &mean, &vec![exact.mean]),
        (device.storage, &gradient, &exact.gradient),
    ] {
        total.merge(&device.compare(Found { storage, buffer, roundings: Loss::ROUNDINGS, noise: 0.0 }, exact).await?);
    }
    Ok(total)
}
