//! The ops of the map kernel: noising, conversions, posterior means.

use crate::device::{Device, Found};
use crate::{Named, Outcome, WRONG, drawn, normals, over_shapes, wide};
use tweedie::gpu::compare::Comparison;
use tweedie::gpu::{Drawn, Map, Noise, NoiseKey, Recording, Timesteps};
use tweedie::table::{Matrix, Table};
use tweedie::{Quantity, Schedule, Shape};

/// One op: what is computed from what.
#[derive(Debug)]
pub struct Op {
    table: Table,
    drawn: bool,
}

/// Every op of a schedule: noising with every target, every prediction to every quantity, every posterior mean.
pub fn ops(schedule: &Schedule) -> Vec<Named<Op>> {
    let mut ops = Vec::new();
    for target in outputs() {
        // The score exists wherever there is noise, which is everywhere in these schedules unless a beta is 0.
        let Ok(table) = schedule.noising(Some(target)) else { continue };
        for drawn in [false, true] {
            let how = if drawn { "drawn noise" } else { "given noise" };
            ops.push((format!("x_t and {target}, {how}"), Op { table: table.clone(), drawn }));
        }
    }
    for given in outputs() {
        for (first, second) in
            [(Quantity::X0, Quantity::Epsilon), (Quantity::V, Quantity::Flow), (Quantity::Score, Quantity::Xt)]
        {
            let table = schedule.conversion_where_defined(given, first, Some(second));
            ops.push((format!("{given} to {first} and {second}"), Op { table, drawn: false }));
        }
        let table = schedule.posterior_mean_where_defined(given);
        ops.push((format!("posterior mean from {given}"), Op { table, drawn: false }));
    }
    ops
}

/// Every quantity that a network can predict.
fn outputs() -> impl Iterator<Item = Quantity> {
    let all = Quantity::CATALOGUE.entries.iter().filter_map(|entry| entry.build(&[]).ok());
    all.filter(|quantity| *quantity != Quantity::Xt)
}

/// The largest coefficient of the second input in each output at these timesteps: that of the noise, where noise is drawn.
pub fn noise_coefficients(table: &Table, times: &[u32]) -> [f64; 2] {
    let rows = || times.iter().filter_map(|&t| table.row(t as usize));
    [0, 1].map(|output| rows().map(|row| row[output][1].abs()).fold(0.0, f64::max))
}

/// Runs an op on all shapes, with its own coefficients or spoilt ones.
pub async fn check(device: &Device<'_>, op: &Op, wrong: bool) -> Outcome<Comparison> {
    let spoilt = wrong.then_some(|row: Matrix| row.map(|row| row.map(|c| c * WRONG)));
    over_shapes(device, &op.table, spoilt, async |table, times, shape| {
        check_shape(device, op, table, times, shape).await
    })
    .await
}

async fn check_shape(device: &Device<'_>, op: &Op, table: &Table, times: &[u32], shape: Shape) -> Outcome<Comparison> {
    let storage = device.storage;
    let [in0, in1] = [1, 2].map(|seed| normals(storage, seed, shape));
    let key = NoiseKey::seed(3).stream(7);
    let (a, b) = (device.upload("verify::in0", &in0), device.upload("verify::in1", &in1));
    let out = ["verify::out0", "verify::out1", "verify::noise"].map(|label| device.buffer(label, shape.total()));
    let t = device.gpu.upload("verify::t", bytemuck::cast_slice(times));
    let map = Map {
        table,
        shape,
        timesteps: Timesteps::per_sample(&t),
        in0: Some(device.tensor(&a)),
        in1: if op.drawn {
            Noise::Drawn(Drawn::new(key).keep(device.tensor(&out[2])))
        } else {
            Noise::Tensor(device.tensor(&b))
        },
        out0: device.tensor(&out[0]),
        out1: Some(device.tensor(&out[1])),
    };
    let plan = map.plan(device.context)?;
    device.run(&plan, Recording::per_sample())?;

    let second = if op.drawn { key.reference(times.len(), shape.elements as usize) } else { wide(&in1) };
    let [first_exact, second_exact] = Map::reference(&op.table, times, shape.elements as usize, &wide(&in0), &second);
    let [first_noise, second_noise] = if op.drawn { noise_coefficients(&op.table, times) } else { [0.0; 2] };
    let mut outputs = vec![(&out[0], first_exact, first_noise), (&out[1], second_exact, second_noise)];
    if op.drawn {
        outputs.push((&out[2], drawn(key, shape), 1.0));
    }
    let mut total = Comparison::new(storage);
    for (buffer, exact, noise) in outputs {
        total.merge(&device.compare(Found { storage, buffer, roundings: 1.0, noise }, &exact).await?);
    }
    Ok(total)
}
