//! Requests that the network refuses before anything is created.

use crate::{Stage, Test};
use digits::{Calls, DigitsError, Generation, Kernels, Network, Request, Tensors, Times, Weights};
use tweedie::headless::Gpu;
use tweedie::{NoiseKey, Quantity};

pub const TESTS: &[Test] =
    &[("of_networks", networks), ("of_loops", loops), ("of_calls", calls), ("of_small_devices", small)];

fn networks(stage: &Stage) {
    let weights = Weights::trained(Quantity::V).expect("weights");
    let [x, prediction] = [1, 2].map(|samples| stage.gpu.buffer("tensor", samples * 4096));
    let refused = |samples, labels: &[u32], times: Times<'_>| {
        let tensors = Tensors { x: &x, samples, labels, prediction: &prediction };
        Network::new(&stage.kernels, &weights, tensors, times, Calls::Recorded).expect_err("a refusal").to_string()
    };
    let time = Times::Shared(&[5.0]);
    assert!(refused(1, &[11], time).contains("from 0 to 9, or 10 for none, found 11"));
    assert!(refused(1, &[], time).contains("found 0"));
    assert!(refused(0, &[1], time).contains("0 samples"));
    assert!(refused(2, &[1, 2, 3], time).contains("each of 2 samples"));
    assert!(refused(1, &vec![1; 1 << 20], time).contains("at most"));
    assert!(refused(1, &[1], Times::Shared(&[])).contains("1 for each call, found 0"));
    assert!(refused(1, &[1], Times::Shared(&[f32::NAN])).contains("finite"));
    assert!(refused(1, &[1, 2], Times::Each(&[1.0, 2.0, 3.0])).contains("2 for each call, found 3"));
    assert!(refused(2, &[1, 2], time).contains("`x`: expected at least 8192 bytes, found 4096"));
    assert!(refused(1, &[1, 2, 3], time).contains("`prediction`: expected at least 12288 bytes, found 8192"));
}

fn loops(stage: &Stage) {
    let weights = Weights::trained(Quantity::V).expect("weights");
    let refused = |labels: &[u32], calls, guidance| {
        let request = Request { labels, calls, guidance, key: NoiseKey::seed(0) };
        Generation::new(&stage.context, &stage.kernels, &weights, &request).expect_err("a refusal")
    };
    assert!(matches!(refused(&[], 10, 2.0), DigitsError::Labels { samples: 0, .. }));
    assert!(matches!(refused(&[12], 10, 2.0), DigitsError::Label { found: 12 }));
    assert!(matches!(refused(&[1], 0, 2.0), DigitsError::Tweedie(_)));
    assert!(matches!(refused(&[1], 1001, 2.0), DigitsError::Tweedie(_)));
    assert!(matches!(refused(&[1], 10, f64::NAN), DigitsError::Tweedie(_)));
}

fn calls(stage: &Stage) {
    let weights = Weights::trained(Quantity::V).expect("weights");
    let buffer = stage.gpu.buffer("tensor", 4096);
    let tensors = Tensors { x: &buffer, samples: 1, labels: &[1], prediction: &buffer };
    let prediction = stage.gpu.buffer("prediction", 4096);
    let tensors = Tensors { prediction: &prediction, ..tensors };
    let network = Network::new(&stage.kernels, &weights, tensors, Times::Shared(&[5.0, 6.0]), Calls::Recorded);
    let network = network.expect("a network");
    let record =
        |call| stage.gpu.submit(|encoder| network.record(&mut encoder.begin_compute_pass(&Default::default()), call));
    assert!(record(1).expect("a device").is_ok());
    let error = record(2).expect("a device").expect_err("a refusal");
    assert!(matches!(error, DigitsError::Call { calls: 2, found: 2 }), "{error}");
}

fn small(stage: &Stage) {
    let same = |adapter: &wgpu::Adapter| adapter.get_info().name == stage.gpu.info.name;
    let adapter = pollster::block_on(Gpu::adapters()).into_iter().find(same).expect("the adapter of the tests");
    let gpu = pollster::block_on(Gpu::with_limits(&adapter, wgpu::Limits::downlevel_defaults())).expect("a device");
    let error = Kernels::new(&gpu.device).expect_err("a refusal");
    assert!(matches!(error, DigitsError::StorageBuffers { expected: 7, found: 4 }), "{error}");
}
