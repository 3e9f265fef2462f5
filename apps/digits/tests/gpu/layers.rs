//! Every layer against PyTorch for two inputs, and the same with a changed weight, which must fail.

use crate::recorded::{ACTIVATIONS, Recorded};
use crate::{Stage, Test};
use digits::architecture::{EMBEDDING, LAYERS, Layer, parameters};
use digits::{Calls, Network, Tensors, Times, Weights};
use tweedie::Quantity;

pub const TESTS: &[Test] = &[("agree_with_pytorch", agree), ("a_changed_parameter_fails", changed)];

/// Half the distance of neighbouring numbers in f16, in which the layers were recorded, relative to the number.
const ROUNDING: f64 = 1.0 / 2048.0;
/// Allowed error besides that, relative to the root mean square of a layer: sums of some thousand products in f32, through
/// up to 24 convolutions. WGSL lets a sine be off by 2^-11, which is more; the drivers that were tried are far better.
const TOLERANCE: f64 = 2e-5;

/// The first of the recorded labels.
const CLASS: usize = 3;
const UNITS: usize = EMBEDDING as usize;

/// The largest error of each layer, in units of what is allowed.
fn errors(stage: &Stage, weights: &Weights) -> Vec<(String, f64)> {
    let x = stage.gpu.upload("x", bytemuck::cast_slice(&Recorded::f32(ACTIVATIONS, "x")));
    let prediction = stage.gpu.buffer("prediction", x.size());
    let [labels, t] = ["labels", "t"].map(|name| Recorded::u32(ACTIVATIONS, name));
    let times: Vec<f32> = t.iter().map(|&t| t as f32).collect();
    let tensors = Tensors { x: &x, samples: labels.len() as u32, labels: &labels, prediction: &prediction };
    let network =
        Network::new(&stage.kernels, weights, tensors, Times::Each(&times), Calls::Recorded).expect("a network");
    let recorded = stage.gpu.submit(|encoder| network.record(&mut encoder.begin_compute_pass(&Default::default()), 0));
    recorded.expect("a device").expect("a recording");
    let of_layer = |layer: &Layer| {
        let (name, rounding) = if layer.name == "conv_out" { ("output", 0.0) } else { (layer.name, ROUNDING) };
        let expected = Recorded::read(ACTIVATIONS, name);
        let found = stage.read(network.output(layer.name).unwrap_or(&prediction));
        let [samples, channels, rows, columns] = expected.shape[..] else { panic!("{name}: {:?}", expected.shape) };
        assert_eq!(found.len(), samples * channels * columns * columns, "{name}");
        let scale = (expected.data.iter().map(|x| x * x).sum::<f64>() / expected.data.len() as f64).sqrt();
        assert!(scale > 1e-3, "{name}: a layer of zeros shows nothing");
        let error = |(i, &expected): (usize, &f64)| {
            let (plane, place) = (i / (rows * columns), i % (rows * columns));
            let found = f64::from(found[plane * columns * columns + place]);
            (found - expected).abs() / (rounding * expected.abs() + TOLERANCE * scale)
        };
        // `max` would ignore a NaN.
        let worst = expected.data.iter().enumerate().map(error);
        let worst = worst.fold(0.0, |most: f64, error| if most.is_nan() || error <= most { most } else { error });
        (layer.name.to_owned(), worst)
    };
    LAYERS.iter().map(of_layer).collect()
}

fn agree(stage: &Stage) {
    let found = errors(stage, &Weights::trained(Quantity::V).expect("weights"));
    for (layer, error) in &found {
        println!("{layer:<9} {error:.3} of what is allowed");
    }
    assert!(found.iter().all(|(_, error)| *error <= 1.0), "{found:?}");
}

/// The largest parameter of each tensor is halved; its layer must differ, and none before it.
fn changed(stage: &Stage) {
    let weights = Weights::trained(Quantity::V).expect("weights");
    for (name, _) in parameters() {
        let mut wrong = weights.clone();
        let tensor = wrong.get_mut(&name);
        // Of the classes, the one that was asked for.
        let seen = if name == "classes.weight" { CLASS * UNITS..(CLASS + 1) * UNITS } else { 0..tensor.len() };
        let largest = seen.max_by(|&a, &b| tensor[a].abs().total_cmp(&tensor[b].abs())).expect("a number");
        tensor[largest] *= 0.5;
        let found = errors(stage, &wrong);
        let layer = name.split('.').next().unwrap_or_default();
        // The embedding is first seen in the first block, the norm before the last convolution in the prediction.
        let seen = match layer {
            "time1" | "time2" | "classes" => "down1",
            "norm_out" => "conv_out",
            layer => layer,
        };
        let place = LAYERS.iter().position(|layer| layer.name == seen).expect("a layer");
        let right = found[..place].iter().all(|(_, error)| *error <= 1.0);
        println!("{name}: {:.1} of what is allowed in {seen}", found[place].1);
        assert!(right && found[place].1 > 1.0, "{name}: {found:?}");
    }
}
