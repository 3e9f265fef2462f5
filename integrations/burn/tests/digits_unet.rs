//! The digits in Burn: the network against PyTorch's results for two inputs, its samples against those of the WGSL network, and
//! the first steps of a training against PyTorch's.

#[path = "../examples/digits/batches.rs"]
#[expect(dead_code, reason = "the example reports more of a run")]
mod batches;
#[path = "../examples/digits/samples.rs"]
mod samples;
#[path = "../examples/digits/train.rs"]
mod train;
#[path = "../examples/digits/unet.rs"]
mod unet;

use crate::harness::{Harness, download, upload_words};
use batches::Batches;
use burn::tensor::{Tensor, TensorData};
use digits::architecture::LAYERS;
use digits::{PREDICTIONS, SamplerRequest, Weights};
use half::f16;
use safetensors::{Dtype, SafeTensors};
use samples::{ByKernels, by_burn, difference};
use train::Run;
use tweedie::{NoiseKey, Quantity};
use tweedie_burn::Bridge;
use unet::UNet;

pub const TESTS: &[crate::Test] = &[
    ("digits::every_layer_is_that_of_pytorch", every_layer),
    ("digits::a_weight_off_by_a_percent_is_noticed", a_wrong_weight),
    ("digits::samples_are_those_of_wgsl", samples_are_those_of_wgsl),
    ("digits::a_training_goes_as_in_pytorch", training),
    ("digits::a_file_of_another_network_is_refused", refused),
];

/// The weights of [`PREDICTIONS`], in the same order.
const WEIGHTS: [&[u8]; 3] = [
    include_bytes!("../../../apps/digits/weights/v.safetensors"),
    include_bytes!("../../../apps/digits/weights/x0.safetensors"),
    include_bytes!("../../../apps/digits/weights/epsilon.safetensors"),
];
const RECORDED: &[u8] = include_bytes!("../../../apps/digits/weights/activations.safetensors");
/// Three steps of four digits, by `continue.py`.
const STEPS: &[u8] = include_bytes!("../examples/digits/steps.safetensors");

/// Half the distance of neighbouring numbers in f16, in which the layers were recorded, relative to the number.
const ROUNDING: f64 = 1.0 / 2048.0;
/// Allowed error in addition, relative to the root mean square of a layer: that of `apps/digits` from the same record, for sums of
/// some thousand products in f32 through up to 24 convolutions.
const TOLERANCE: f64 = 2e-5;
/// Allowed difference of a pixel in -1..1 from WGSL: that of `integrations/onnx`. The predictions of the two differ by some 1e-6,
/// differences are carried on from call to call, and guidance of 2 adds three times the difference of a prediction. Both begin with
/// the same noise.
const PIXEL: f64 = 1e-4;
/// The same for a prediction of epsilon. The clean sample is x less sigma times the prediction, over an alpha that is 5e-5 at the
/// last timestep: there the difference of predictions is multiplied by 2e4, before x0 is clipped.
const PIXEL_BY_EPSILON: f64 = 3e-2;

const LABELS: [u32; 2] = [3, 8];
const CALLS: usize = 4;
const GUIDANCE: f64 = 2.0;
const KEY: NoiseKey = NoiseKey::seed(0);

/// A recorded tensor, widened.
fn recorded(name: &str) -> (Vec<usize>, Vec<f64>) {
    let file = SafeTensors::deserialize(RECORDED).expect("a safetensors file");
    let view = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let bytes = view.data();
    let words = bytes.as_chunks::<4>().0.iter().copied();
    let numbers = match view.dtype() {
        Dtype::F16 => bytes.as_chunks::<2>().0.iter().map(|pair| f16::from_le_bytes(*pair).to_f64()).collect(),
        Dtype::F32 => words.map(|word| f64::from(f32::from_le_bytes(word))).collect(),
        Dtype::I32 => words.map(|word| f64::from(i32::from_le_bytes(word))).collect(),
        other => panic!("{name}: {other}"),
    };
    (view.shape().to_vec(), numbers)
}

/// The largest error of each layer, in units of what is allowed.
fn errors(bridge: &Bridge, file: &[u8]) -> Vec<(&'static str, f64)> {
    let network = UNet::read(file, bridge.device()).expect("weights");
    let (shape, x) = recorded("x");
    let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
    let x = Tensor::<4>::from_data(TensorData::new(x, shape), bridge.device());
    let times: Vec<f32> = recorded("t").1.iter().map(|&t| t as f32).collect();
    let labels: Vec<u32> = recorded("labels").1.iter().map(|&label| label as u32).collect();
    let mut found = Vec::new();
    network.watched(x, &times, upload_words(bridge, &labels), |name, output| {
        found.push((name, error(name, &download(output))));
    });
    found
}

/// The largest error of a layer, in units of what is allowed. The first rows of each plane were recorded.
fn error(layer: &str, found: &[f32]) -> f64 {
    let (name, rounding) = if layer == "conv_out" { ("output", 0.0) } else { (layer, ROUNDING) };
    let (shape, expected) = recorded(name);
    let [samples, channels, rows, columns] = shape[..] else { panic!("{name}: {shape:?}") };
    assert_eq!(found.len(), samples * channels * columns * columns, "{name}");
    let scale = (expected.iter().map(|x| x * x).sum::<f64>() / expected.len() as f64).sqrt();
    assert!(scale > 1e-3, "{name}: a layer of zeros shows nothing");
    let errors = expected.iter().enumerate().map(|(i, expected)| {
        let (plane, place) = (i / (rows * columns), i % (rows * columns));
        let found = f64::from(found[plane * columns * columns + place]);
        (found - expected).abs() / (rounding * expected.abs() + TOLERANCE * scale)
    });
    errors.fold(0.0, |most, error| if error.is_nan() { f64::INFINITY } else { error.max(most) })
}

fn every_layer(harness: &Harness) {
    for (name, bridge) in &harness.bridges {
        let found = errors(bridge, WEIGHTS[0]);
        for (layer, error) in &found {
            println!("{name}, {layer:<9} {error:.3} of what is allowed");
        }
        assert!(found.iter().map(|(layer, _)| *layer).eq(LAYERS.iter().map(|layer| layer.name)), "{found:?}");
        assert!(found.iter().all(|(_, error)| *error <= 1.0), "{name}: {found:?}");
    }
}

/// The file with all numbers of a parameter multiplied by a factor.
fn scaled(file: &[u8], name: &str, factor: f32) -> Vec<u8> {
    let view = SafeTensors::deserialize(file).expect("weights").tensor(name).expect("a parameter");
    let (length, begin) = (view.data().len(), view.data().as_ptr() as usize - file.as_ptr() as usize);
    let mut changed = file.to_vec();
    for pair in changed[begin..begin + length].as_chunks_mut::<2>().0 {
        *pair = f16::from_f32(f16::from_le_bytes(*pair).to_f32() * factor).to_le_bytes();
    }
    assert_ne!(changed, file, "{name}");
    changed
}

/// A wrong parameter must show in the prediction, for parameters of each kind.
fn a_wrong_weight(harness: &Harness) {
    let [(_, bridge), _] = &harness.bridges;
    for name in ["time1.weight", "classes.weight", "down1.norm1.bias", "middle1.embed.weight", "up2.skip.weight"] {
        let found = errors(bridge, &scaled(WEIGHTS[0], name, 1.01));
        let (_, output) = found.last().expect("layers");
        println!("{name}: the prediction is off by {output:.0} times what is allowed");
        assert!(*output > 1.0, "{name}: {found:?}");
    }
}

fn samples_are_those_of_wgsl(harness: &Harness) {
    let [(_, bridge), _] = &harness.bridges;
    let kernels = ByKernels::open().expect("a device");
    for (predicts, file) in PREDICTIONS.into_iter().zip(WEIGHTS) {
        let allowed = if predicts == Quantity::Epsilon { PIXEL_BY_EPSILON } else { PIXEL };
        let model = digits::model(predicts).expect("a model");
        for (solver, guidance) in [("dpm++", GUIDANCE), ("ddpm", 1.0)] {
            let sampler = digits::sampler(&model, solver, CALLS).expect("a sampler").clipped(1.0).expect("a sampler");
            let request = SamplerRequest { labels: &LABELS, sampler: &sampler, guidance, key: KEY };
            let expected = kernels.write(&Weights::read(file).expect("weights"), &request).expect("digits");
            let bright = expected.iter().filter(|pixel| **pixel > 0.0).count();
            assert!(bright > expected.len() / 50, "{predicts}, {solver}: {bright} bright pixels show nothing");
            let apart = |file: &[u8], request: &SamplerRequest<'_>| {
                let network = UNet::read(file, bridge.device()).expect("weights");
                difference(&by_burn(bridge, &network, request).expect("digits"), &expected).expect("as many pixels")
            };
            let found = apart(file, &request);
            let weight = apart(&scaled(file, "down2.conv1.weight", 1.01), &request);
            let seed = apart(file, &SamplerRequest { key: NoiseKey::seed(1), ..request });
            println!(
                "{predicts}, {solver}: off by {found:.1e}, with a wrong weight {weight:.1e}, another seed {seed:.1e}"
            );
            assert!(found < allowed, "{predicts}, {solver}: expected less than {allowed}, found {found:.1e}");
            assert!(weight > allowed, "{predicts}, {solver}: a weight off by a percent is not seen: {weight:.1e}");
            assert!(seed > allowed, "{predicts}, {solver}: another seed is not seen: {seed:.1e}");
        }
    }
}

/// Allowed relative difference of the loss and of the gradients' norm from PyTorch's, with the same weights: the loss is a mean of
/// squares that are off by some 1e-6, and a gradient sums over all pixels in f32.
const FIRST: f64 = 1e-5;
/// The same after one step and two: ten times as much. Adam divides a gradient by its own size, so that a parameter whose gradient
/// is rounding alone takes a whole step either way.
const LATER: f64 = 1e-4;

/// The relative differences of loss and norm from PyTorch's at each step.
fn course(bridge: &Bridge, file: &[u8], batches: &Batches, seed: u64) -> Vec<[f64; 2]> {
    let mut run = Run::new(bridge, file, seed).expect("a run");
    let step = |step| {
        let course = run.step(batches.at(step)).expect("a step");
        let apart = |found: &Tensor<1>, expected: f32| {
            (f64::from(download(found)[0]) - f64::from(expected)).abs() / f64::from(expected)
        };
        [apart(&course.loss, batches.losses[step]), apart(&course.norm, batches.norms[step])]
    };
    (0..batches.steps()).map(step).collect()
}

fn training(harness: &Harness) {
    let [(_, bridge), _] = &harness.bridges;
    let batches = Batches::read(STEPS).expect("batches");
    let found = course(bridge, WEIGHTS[0], &batches, batches.seed);
    println!("losses and norms are apart by {found:?}");
    assert!(found.len() == 3 && found[0].iter().all(|apart| *apart < FIRST), "{found:?}");
    assert!(found[1..].iter().flatten().all(|apart| *apart < LATER), "{found:?}");

    let wrong = course(bridge, &scaled(WEIGHTS[0], "down2.conv1.weight", 1.01), &batches, batches.seed);
    assert!(wrong[0].iter().all(|apart| *apart > FIRST), "a weight off by a percent is not seen: {wrong:?}");
    let wrong = course(bridge, WEIGHTS[0], &batches, batches.seed + 1);
    assert!(wrong[0].iter().all(|apart| *apart > FIRST), "other noise is not seen: {wrong:?}");
    // The steps matter: without them, the loss or the norm at the third step is another one.
    let mut still = batches.clone();
    still.rates.fill(0.0);
    let wrong = course(bridge, WEIGHTS[0], &still, batches.seed);
    println!("without steps by {wrong:?}");
    assert!(wrong[2].iter().any(|apart| *apart > LATER), "steps are not seen: {wrong:?}");
}

fn refused(harness: &Harness) {
    let [(_, bridge), _] = &harness.bridges;
    let view = SafeTensors::deserialize(WEIGHTS[0]).expect("weights");
    let kept = |skipped: &str| {
        let tensors = view.tensors().into_iter().filter(|(name, _)| name != skipped);
        safetensors::serialize(tensors, None).expect("a file")
    };
    assert!(UNet::read(&kept(""), bridge.device()).is_ok());
    for file in [&kept("down1.conv1.weight")[..], &kept("norm_out.bias"), &WEIGHTS[0][..1000], RECORDED] {
        assert!(UNet::read(file, bridge.device()).is_err());
    }
}
