//! The numbers that each process draws and computes for its own samples: to the bit those of a single process.

use crate::Test;
use crate::stage::{BATCH, Finished, HALF, SIZES, STEPS, Stage};
use anyhow::{Result, ensure};
use tweedie::NoiseKey;

pub const TESTS: &[Test] = &[
    ("draws::are_those_of_one_process_to_the_bit", are_those_of_one),
    ("draws::are_those_of_the_key", are_those_of_the_key),
    ("draws::are_those_of_one_process_from_a_checkpoint", from_a_checkpoint),
    ("draws::a_wrong_first_sample_is_noticed", wrong_first_sample),
];

/// The tensors that depend on the sample alone.
const DRAWN: [&str; 3] = ["timesteps", "noise", "x_t"];
/// The tensors that also depend on the weights, which are the same in the first step of a run or from a checkpoint.
const COMPUTED: [&str; 2] = ["losses", "loss_gradient"];
/// The seed of timesteps and noise, in `streams.rs` of the example.
const KEY: NoiseKey = NoiseKey::seed(2016);

/// The first of these steps and tensors in which two runs differ in a bit.
fn difference(runs: [&Finished; 2], steps: std::ops::Range<u32>, names: &[&str]) -> Result<Option<String>> {
    for step in steps {
        for name in names {
            let [one, other] = [runs[0].tensor(step, name)?, runs[1].tensor(step, name)?];
            ensure!(one.len() >= BATCH as usize && one.len() == other.len(), "{name}: {} numbers", other.len());
            ensure!(one.iter().any(|x| *x != one[0]), "{name}: equal numbers show nothing");
            // Every f32 is a different f64, including both zeros.
            if one.iter().zip(&other).any(|(a, b)| a.to_bits() != b.to_bits()) {
                return Ok(Some(format!("step {step}: {name}")));
            }
        }
    }
    Ok(None)
}

fn are_those_of_one(stage: &Stage) -> Result<()> {
    let [one, others @ ..] = stage.whole()?;
    for other in &others {
        let drawn = difference([&one, other], 0..STEPS, &DRAWN)?;
        let computed = difference([&one, other], 0..1, &COMPUTED)?;
        ensure!(drawn.is_none() && computed.is_none(), "{} processes: {drawn:?}, {computed:?}", other.processes);
    }
    Ok(())
}

fn are_those_of_the_key(stage: &Stage) -> Result<()> {
    for run in stage.whole()? {
        for step in [0, STEPS - 1] {
            let expected = KEY.stream(step).reference(BATCH as usize, 2);
            let found = run.tensor(step, "noise")?;
            let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            let most = apart.fold(0.0, |most, apart| if apart > most || apart.is_nan() { apart } else { most });
            ensure!(most < NoiseKey::TOLERANCE, "{} processes, step {step}: off by {most:.1e}", run.processes);
        }
    }
    Ok(())
}

/// Runs of a few steps from the same checkpoint, which one process has written.
fn from_a_checkpoint(stage: &Stage) -> Result<()> {
    let half = stage.run("half", 1, &["--until", &HALF.to_string()])?;
    let go_on = |processes| {
        let name = format!("from_half{processes}");
        std::fs::copy(&half.checkpoint, stage.path(&format!("{name}.safetensors")))?;
        stage.run(&name, processes, &["--until", &(HALF + 2).to_string()])
    };
    let [one, two, four] = SIZES.map(go_on);
    let (one, others) = (one?, [two?, four?]);
    for other in &others {
        let drawn = difference([&one, other], HALF..HALF + 2, &DRAWN)?;
        let computed = difference([&one, other], HALF..HALF + 1, &COMPUTED)?;
        ensure!(drawn.is_none() && computed.is_none(), "{} processes: {drawn:?}, {computed:?}", other.processes);
    }
    Ok(())
}

fn wrong_first_sample(stage: &Stage) -> Result<()> {
    let [one, ..] = stage.whole()?;
    let faulty = stage.run("shifted", 2, &["--until", "1", "--fault", "sample"])?;
    for name in DRAWN.into_iter().chain(COMPUTED) {
        ensure!(difference([&one, &faulty], 0..1, &[name])?.is_some(), "{name}: the fault is not noticed");
    }
    Ok(())
}
