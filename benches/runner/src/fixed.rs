//! The costs of work that do not depend on its size: the beginning of the size plot, in its parts.
//!
//! They are the wall time of a tiny plan, recorded in different ways and waited for. On small tensors these costs are all that
//! can be saved, by recording many steps into one pass and submitting once.

use crate::clock::Clock;
use crate::statistics::Summary;
use anyhow::Result;
use std::time::Instant;
use tweedie::gpu::{Context, Drawn, NoiseKey, Plan, RecordError, Recording};
use tweedie::{Shape, Storage, Tensor};

/// Rounds of the four ways that are measured, and those before them that warm up.
const TURNS: usize = 30;
const WARM_UP: usize = 5;
/// Passes, or dispatches of a pass, over which their cost is spread.
const MANY: usize = 32;

/// Milliseconds of the host's clock, medians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FixedCosts {
    /// An encoder with nothing in it, submitted and waited for.
    pub submit: f64,
    /// A first pass with a dispatch, in addition to that.
    pub first: f64,
    /// Each further dispatch of the same pass.
    pub dispatch: f64,
    /// Each further pass with a dispatch.
    pub pass: f64,
}

/// The four ways: passes, and dispatches in each.
const WAYS: [[usize; 2]; 4] = [[0, 0], [1, 1], [1, MANY], [MANY, 1]];

/// Measures the costs on an adapter.
pub fn measure(clock: &Clock, context: &Context) -> Result<FixedCosts> {
    let buffer = clock.gpu.buffer("tweedie-bench::tiny", 16);
    let tensor = Tensor::new(&buffer, Storage::F32);
    let plan = Plan::fill(context, Shape::new(1, 4), Drawn::new(NoiseKey::seed(0)), tensor)?;
    let mut times = WAYS.map(|_| Vec::with_capacity(TURNS));
    for turn in 0..WARM_UP + TURNS {
        for ([passes, dispatches], times) in WAYS.into_iter().zip(&mut times) {
            let begun = Instant::now();
            clock.gpu.submit(|encoder| record(encoder, &plan, passes, dispatches))??;
            clock.gpu.wait()?;
            if turn >= WARM_UP {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let medians = times.map(|times| Summary::of(times).map_or(f64::NAN, |it| it.median));
    Ok(FixedCosts::of(medians))
}

fn record(
    encoder: &mut wgpu::CommandEncoder,
    plan: &Plan,
    passes: usize,
    dispatches: usize,
) -> Result<(), RecordError> {
    for _ in 0..passes {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        (0..dispatches).try_for_each(|_| plan.record(&mut pass, Recording::timestep(0)))?;
    }
    Ok(())
}

impl FixedCosts {
    /// Splits the times of [`WAYS`].
    fn of([submit, one, dispatches, passes]: [f64; 4]) -> Self {
        let further = |many: f64| (many - one) / (MANY - 1) as f64;
        Self { submit, first: one - submit, dispatch: further(dispatches), pass: further(passes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cost_is_what_its_way_adds() {
        let many = (MANY - 1) as f64;
        let costs = FixedCosts::of([1.0, 3.0, 3.0 + 0.5 * many, 3.0 + 2.0 * many]);
        assert_eq!(costs, FixedCosts { submit: 1.0, first: 2.0, dispatch: 0.5, pass: 2.0 });
    }
}
