//! The ops that are measured. To add one, add a row.

use super::batch::Set;
use tweedie::gpu::{
    Context, Drawn, Loss, LossPlan, Noise, NoiseKey, Of, Recordable, Rules, Second, Step, StepPlan, Timesteps,
    VlbInputs, VlbPlan, VlbTerms,
};
use tweedie::math::sampler::{Ddpm, Denoiser, Estimate, FirstOrder, Grid, Sampler, Solver, Variance};
use tweedie::math::{Bound, Given, ModelVariance, NoiseLevel, Objective, Weight};
use tweedie::table::{Clip, Penalty, StepRow};
use tweedie::{Conversion, Diffusion, Error, Holes, Noising, Quantity};

/// What an op makes of a set of buffers.
type Planned = Result<Box<dyn Recordable>, Error>;

/// An op: what it moves at least, and the plan for a set of buffers.
#[derive(Debug)]
pub struct Op {
    /// As in `benches/peers/torch_bench.py`, where that has it.
    pub name: &'static str,
    /// Tensors read.
    pub reads: usize,
    /// Tensors written.
    pub writes: usize,
    /// Reads `set.inputs[..reads]` and writes `set.outputs[..writes]`.
    pub plan: fn(&Diffusion, &Context, &Set) -> Planned,
}

/// Every op.
pub const OPS: [Op; 11] = [
    Op { name: "noise", reads: 2, writes: 1, plan: |d, c, s| noising(d, c, s, given(s), None) },
    Op { name: "noise_target_v", reads: 2, writes: 2, plan: |d, c, s| noising(d, c, s, given(s), Some(Quantity::V)) },
    Op {
        name: "draw_noise_target_v",
        reads: 1,
        writes: 2,
        plan: |d, c, s| noising(d, c, s, drawn(), Some(Quantity::V)),
    },
    Op { name: "eps_to_x0", reads: 2, writes: 1, plan: |d, c, s| convert(d, c, s, Quantity::Epsilon, None) },
    Op {
        name: "v_to_x0_eps",
        reads: 2,
        writes: 2,
        plan: |d, c, s| convert(d, c, s, Quantity::V, Some(Quantity::Epsilon)),
    },
    Op {
        name: "ddim_v_clip",
        reads: 2,
        writes: 1,
        plan: |d, c, s| {
            let ddim = FirstOrder { estimate: Estimate::Rederived, ..FirstOrder::ddim(0.0) };
            step(d, c, s, &ddim, Quantity::V, Noise::None)
        },
    },
    Op {
        name: "ddpm_eps_clip_draw",
        reads: 2,
        writes: 1,
        plan: |d, c, s| {
            let noise = Noise::drawn(NoiseKey::seed(1));
            step(d, c, s, &Ddpm::new(Variance::FixedSmall), Quantity::Epsilon, noise)
        },
    },
    Op { name: "loss_grad_v", reads: 3, writes: 1, plan: |d, c, s| loss(d, c, s, Second::Given(s.input(2))) },
    Op { name: "draw_loss_grad_v", reads: 2, writes: 1, plan: |d, c, s| loss(d, c, s, drawn()) },
    Op { name: "vlb_grad_eps", reads: 3, writes: 1, plan: |d, c, s| bound(d, c, s, Second::Given(s.input(2))) },
    Op { name: "draw_vlb_grad_eps", reads: 2, writes: 1, plan: |d, c, s| bound(d, c, s, drawn()) },
];

fn given(set: &Set) -> Second<'_> {
    Second::Given(set.input(1))
}

fn drawn() -> Second<'static> {
    Second::Drawn(Drawn::new(NoiseKey::seed(1)))
}

/// `x0` and noise to `x_t`, and to a target if there is one.
fn noising(
    diffusion: &Diffusion,
    context: &Context,
    set: &Set,
    epsilon: Second<'_>,
    target: Option<Quantity>,
) -> Planned {
    let noising = Noising {
        shape: set.shape,
        timesteps: Timesteps::per_sample(&set.timesteps),
        x0: set.input(0),
        epsilon,
        first: (Quantity::Xt, set.output(0)),
        second: target.map(|target| (target, set.output(1))),
    };
    Ok(Box::new(diffusion.noising(context, &noising)?))
}

/// `x_t` and a prediction to `x0`, and to a second quantity if there is one.
fn convert(diffusion: &Diffusion, context: &Context, set: &Set, from: Quantity, second: Option<Quantity>) -> Planned {
    let conversion = Conversion {
        shape: set.shape,
        timesteps: Timesteps::per_sample(&set.timesteps),
        x_t: set.input(0),
        prediction: (from, set.input(1)),
        first: (Quantity::X0, set.output(0)),
        second: second.map(|quantity| (quantity, set.output(1))),
        holes: Holes::Reject,
    };
    Ok(Box::new(diffusion.conversion(context, &conversion)?))
}

/// One step of a sampler that visits every timestep, each sample at its own.
fn step(
    diffusion: &Diffusion,
    context: &Context,
    set: &Set,
    solver: &impl Solver,
    prediction: Quantity,
    noise: Noise<'_>,
) -> Planned {
    let schedule = diffusion.schedule();
    let timesteps: Vec<usize> = (0..schedule.len()).rev().collect();
    let grid = Grid::of_schedule(schedule, &timesteps, NoiseLevel::CLEAN)?;
    let sampler = Sampler::new(solver, &grid, &Denoiser::new(prediction).clipped(Clip::Range(1.0)))?;
    // The samples hold timesteps, and timestep t is the call that many before the last.
    let rows: Vec<StepRow> = sampler.calls().iter().rev().map(|call| call.row).collect();
    let step = Step {
        rows: &rows,
        rules: Rules { clip: sampler.clip(), ..Rules::default() },
        shape: set.shape,
        calls: Timesteps::per_sample(&set.timesteps),
        x: set.input(0),
        prediction: set.input(1),
        unconditional: None,
        noise,
        learned: None,
        known: None,
        next: set.output(0),
        x0: None,
        input: None,
        health: false,
    };
    Ok(Box::new(StepPlan::new(context, &step)?))
}

/// The loss of a v prediction by min-SNR, each sample's, and the gradient of the batch's mean.
fn loss(diffusion: &Diffusion, context: &Context, set: &Set, epsilon: Second<'_>) -> Planned {
    let objective = Objective::of(Quantity::V).weighted(Weight::MinSnr { gamma: 5.0 });
    let loss = Loss {
        table: &diffusion.schedule().loss(&objective, Given::Pair)?,
        penalty: Penalty::MSE,
        shape: set.shape,
        timesteps: Timesteps::per_sample(&set.timesteps),
        prediction: set.input(0),
        in0: Some(set.input(1)),
        in1: Some(epsilon),
        seeds: None,
        losses: (&set.losses, 0),
        mean: None,
        gradient: Some((set.output(0), Of::Mean)),
    };
    Ok(Box::new(LossPlan::new(context, &loss)?))
}

/// The variational bound of an epsilon prediction with a learned variance, each sample's, and the gradient of the batch's mean
/// with respect to the second output: the second half of a hybrid loss. At the timesteps of a set, which are above 0, the
/// clean sample cancels and is not read, so any tensor may stand for it.
fn bound(diffusion: &Diffusion, context: &Context, set: &Set, epsilon: Second<'_>) -> Planned {
    let bound = Bound::new(diffusion.schedule(), Quantity::Epsilon, ModelVariance::LearnedRange, None)?;
    let inputs = VlbInputs {
        table: &bound.table(Given::Pair)?,
        clip: None,
        shape: set.shape,
        prediction: set.input(0),
        learned: Some(set.input(1)),
        x0: set.input(0),
        in1: Some(epsilon),
        seeds: None,
    };
    let bound = VlbTerms {
        inputs,
        timesteps: Timesteps::per_sample(&set.timesteps),
        terms: (&set.losses, 0),
        mean: None,
        gradient: None,
        learned_gradient: Some(set.output(0)),
        of: Of::Mean,
    };
    Ok(Box::new(VlbPlan::new(context, &bound)?))
}

impl Op {
    /// The op of this name.
    ///
    /// # Errors
    /// A text that lists the names there are.
    pub fn named(name: &str) -> Result<&'static Op, String> {
        OPS.iter().find(|op| op.name == name).ok_or_else(|| {
            let known: Vec<&str> = OPS.iter().map(|op| op.name).collect();
            format!("expected one of {}, found `{name}`", known.join(", "))
        })
    }

    /// The least that must move: each input read once, each output written once. What is one number a sample, timesteps and
    /// losses, is not counted.
    pub fn bytes(&self, tensor: u64) -> u64 {
        (self.reads + self.writes) as u64 * tensor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_listed() {
        for op in &OPS {
            assert_eq!(Op::named(op.name).unwrap().name, op.name);
        }
        let error = Op::named("nose").unwrap_err();
        assert!(error.contains("`nose`") && error.contains("noise, noise_target_v"), "{error}");
    }

    #[test]
    fn bytes_count_every_tensor_once() {
        assert_eq!(Op::named("noise").unwrap().bytes(100), 300);
        assert_eq!(Op::named("v_to_x0_eps").unwrap().bytes(100), 400);
        assert_eq!(Op::named("draw_loss_grad_v").unwrap().bytes(100), 300);
    }
}
