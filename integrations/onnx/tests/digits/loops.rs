//! Whole loops: the digits of the engine on the host against those of the kernels, from the same labels, seed, sampler and guidance.

use crate::Stage;
use crate::changes::scaled;
use anyhow::{Result, ensure};
use digits::{Generation, SamplerRequest, Weights};
use tweedie::{NoiseKey, Quantity, Sampler};
use tweedie_onnx::{DIGITS, Network, write_digits};

/// A test of loops.
type Test = (&'static str, fn(&Stage) -> Result<()>);

pub const TESTS: &[Test] = &[
    ("loops::give_the_digits_of_wgsl", agree),
    ("loops::a_wrong_coefficient_is_noticed", wrong_coefficient),
    ("loops::a_wrong_weight_is_noticed", wrong_weight),
    ("loops::another_seed_or_label_is_noticed", wrong_request),
];

/// Allowed difference of a pixel in -1..1. Predictions of the two differ by some 1e-6, as in the test against PyTorch, and the initial
/// noise by 2e-6 (`NoiseKey::TOLERANCE`). Differences are carried on from call to call, and guidance of 2 adds three times the
/// difference of a prediction: six calls may amplify the 5e-6 of each call twenty times. This is an eightieth of a grey level.
const TOLERANCE: f64 = 1e-4;

const LABELS: [u32; 4] = [0, 3, 5, 8];
const CALLS: usize = 6;
const GUIDANCE: f64 = 2.0;
const KEY: NoiseKey = NoiseKey::seed(0);

/// DPM-Solver++ 2M, and a sampler that draws noise in each step; clean samples are clipped, as in the example `digits`.
fn samplers() -> Result<[Sampler; 2]> {
    let model = digits::model(Quantity::V)?;
    let clipped = |name| anyhow::Ok(digits::sampler(&model, name, CALLS)?.clipped(1.0)?);
    Ok([clipped("dpm++")?, clipped("ddpm")?])
}

fn request<'a>(sampler: &'a Sampler, labels: &'a [u32], key: NoiseKey) -> SamplerRequest<'a> {
    SamplerRequest { labels, sampler, guidance: GUIDANCE, key }
}

/// Generates the digits by the kernels.
fn by_kernels(stage: &Stage, request: &SamplerRequest<'_>) -> Result<Vec<f32>> {
    let weights = Weights::trained(Quantity::V)?;
    let generation = Generation::of_sampler(&stage.context, &stage.kernels, &weights, request)?;
    stage.gpu.submit(|encoder| generation.record(&mut encoder.begin_compute_pass(&Default::default())))??;
    let bytes = pollster::block_on(stage.gpu.download(generation.pictures(), 0..generation.pictures().size()))?;
    Ok(bytemuck::pod_collect_to_vec(&bytes))
}

/// The largest difference of a pixel; NaN counts as infinite.
fn difference(found: &[f64], expected: &[f32]) -> Result<f64> {
    ensure!(found.len() == expected.len(), "expected {} pixels, found {}", expected.len(), found.len());
    let apart = found.iter().zip(expected).map(|(a, b)| (a - f64::from(*b)).abs());
    Ok(apart.fold(0.0, |most, apart| if apart.is_nan() { f64::INFINITY } else { apart.max(most) }))
}

fn agree(stage: &Stage) -> Result<()> {
    let network = Network::read(DIGITS)?;
    for sampler in &samplers()? {
        for labels in [&LABELS[..], &LABELS[1..2]] {
            let request = request(sampler, labels, KEY);
            let expected = by_kernels(stage, &request)?;
            let ink = expected.iter().filter(|pixel| **pixel > 0.0).count();
            ensure!(ink > expected.len() / 50, "{ink} bright pixels of {} show nothing", expected.len());
            let found = difference(&write_digits(&network, &request)?, &expected)?;
            println!("{} digits, {} noises: off by {found:.1e}", labels.len(), sampler.noises());
            ensure!(found < TOLERANCE, "expected at most {TOLERANCE}, found {found:.1e}");
        }
    }
    Ok(())
}

/// Fails if the digits of a faulty request or network agree with those of the kernels.
fn differs(stage: &Stage, network: &Network, faulty: &SamplerRequest<'_>, sampler: &Sampler, what: &str) -> Result<()> {
    let expected = by_kernels(stage, &request(sampler, &LABELS[1..2], KEY))?;
    let found = difference(&write_digits(network, faulty)?, &expected)?;
    println!("{what}: off by {found:.1e}");
    ensure!(found > TOLERANCE, "{what}: expected more than {TOLERANCE}, found {found:.1e}");
    Ok(())
}

fn wrong_coefficient(stage: &Stage) -> Result<()> {
    let network = Network::read(DIGITS)?;
    for sampler in samplers()? {
        let mut faulty = sampler.clone();
        for call in faulty.calls_mut() {
            call.row.clean *= 1.01;
        }
        let request = request(&faulty, &LABELS[1..2], KEY);
        differs(stage, &network, &request, &sampler, "the clean sample times 1.01")?;
    }
    let [sampler, _] = samplers()?;
    let guided = SamplerRequest { guidance: 2.02, ..request(&sampler, &LABELS[1..2], KEY) };
    differs(stage, &network, &guided, &sampler, "guidance of 2.02")
}

fn wrong_weight(stage: &Stage) -> Result<()> {
    let [sampler, _] = samplers()?;
    for name in ["classes.weight", "down2.conv1.weight", "norm_out.weight"] {
        let network = Network::read(&scaled(name, 1.01)?)?;
        let request = request(&sampler, &LABELS[1..2], KEY);
        differs(stage, &network, &request, &sampler, &format!("{name} times 1.01"))?;
    }
    Ok(())
}

fn wrong_request(stage: &Stage) -> Result<()> {
    let (network, [sampler, _]) = (Network::read(DIGITS)?, samplers()?);
    for (labels, key, what) in [(&LABELS[1..2], NoiseKey::seed(1), "seed 1"), (&LABELS[2..3], KEY, "another label")] {
        differs(stage, &network, &request(&sampler, labels, key), &sampler, what)?;
    }
    Ok(())
}
