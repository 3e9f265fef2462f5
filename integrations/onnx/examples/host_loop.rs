//! A latent from an ONNX network on the CPU: DPM++ 2M SDE with guidance, and the noise that ComfyUI draws from the seed.
//!
//! `cargo run --manifest-path integrations/onnx/Cargo.toml --example host_loop [SEED]`

use anyhow::{Context, Result};
use tweedie::math::run::{Node, Run, RunGrid, RunGuidance, RunModel};
use tweedie_onnx::{FLOW, MEANS, Network, sample};

const SHAPE: [usize; 3] = [4, 32, 32];

fn main() -> Result<()> {
    let seed = std::env::args().nth(1).map_or(Ok(42), |seed| seed.parse()).context("expected a seed")?;
    let run = Run {
        model: Some(RunModel::named("flow3")?),
        sampler: Some("dpmpp_2m_sde".to_owned()),
        grid: Some(RunGrid::Scheduler(Node::named("beta"))),
        steps: Some(20),
        guidance: Some(RunGuidance::Scale(2.0)),
        seed: Some(seed),
        ..Run::default()
    };
    let latent = sample(&Network::read(FLOW)?, &run, SHAPE)?;
    println!("seed {seed}: {SHAPE:?}");
    for ((channel, values), mean) in latent.chunks(SHAPE[1] * SHAPE[2]).enumerate().zip(MEANS[1]) {
        let found = values.iter().sum::<f64>() / values.len() as f64;
        println!("channel {channel}: mean {found:.3}; the data have {mean}, and guidance leads further");
    }
    Ok(())
}
