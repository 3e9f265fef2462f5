//! The ops that `tweedie bench` measures. An op is one entry of [`OPS`].

use crate::set::{STEPS, Set};
use tweedie::gpu::{
    Context, Drawn, Gradient, GradientScale, Loss, Noise, NoiseKey, Plan, Reduction, VlbInputs, VlbTerms,
};
use tweedie::math::sampler::{Ddpm, Denoiser, FirstOrder, Grid, Sampler, Solver, Variance};
use tweedie::math::{LossInputs, ModelVariance, NoiseLevel, Objective, Vlb, Weight};
use tweedie::table::{Clip, Penalty};
use tweedie::{Conversion, Error, Noising, OnUndefined, Quantity, Sampling, Schedule};

/// An op: the tensors that it reads and writes at least, and its plan.
#[derive(Debug)]
pub struct Op {
    /// The name, as in `benches/peers/torch_bench.py`, if that has the op.
    pub name: &'static str,
    /// Tensors read: the first inputs of a set.
    pub reads: usize,
    /// Tensors written: the first outputs of a set.
    pub writes: usize,
    plan: fn(&Maker<'_>) -> Planned,
}

/// Every op: its name, the tensors that it reads and writes, and its plan.
pub const OPS: [Op; 11] = [
    op("noise", 2, 1, |it| it.noising(it.set.noise(1), None)),
    op("noise_target_v", 2, 2, |it| it.noising(it.set.noise(1), Some(Quantity::V))),
    op("draw_noise_target_v", 1, 2, |it| it.noising(drawn(), Some(Quantity::V))),
    op("eps_to_x0", 2, 1, |it| it.conversion(Quantity::Epsilon, None)),
    op("v_to_x0_eps", 2, 2, |it| it.conversion(Quantity::V, Some(Quantity::Epsilon))),
    op("ddim_v_clip", 2, 1, |it| it.step(&DDIM, Quantity::V, Noise::None)),
    op("ddpm_eps_clip_draw", 2, 1, |it| it.step(&DDPM, Quantity::Epsilon, Noise::drawn(KEY))),
    op("loss_grad_v", 3, 1, |it| it.loss(it.set.noise(2))),
    op("draw_loss_grad_v", 2, 1, |it| it.loss(drawn())),
    op("vlb_grad_eps", 3, 1, |it| it.vlb(it.set.noise(2))),
    op("draw_vlb_grad_eps", 2, 1, |it| it.vlb(drawn())),
];

const KEY: NoiseKey = NoiseKey::seed(1);
const DDIM: FirstOrder = FirstOrder { rederived: true, ..FirstOrder::ddim(0.0) };
const DDPM: Ddpm = Ddpm::new(Variance::FixedSmall);

const fn op(name: &'static str, reads: usize, writes: usize, plan: fn(&Maker<'_>) -> Planned) -> Op {
    Op { name, reads, writes, plan }
}

/// Noise that the kernel draws.
fn drawn() -> Noise<'static> {
    Noise::Drawn(Drawn::new(KEY))
}

/// A plan, or why there is none.
pub type Planned = Result<Plan, Error>;

/// Makes the schedule of every op.
///
/// # Errors
/// None: the schedule is valid.
pub fn schedule() -> Result<Schedule, Error> {
    Ok(Schedule::linear(STEPS as usize, 1e-4, 0.02)?)
}

impl Op {
    /// Finds the op of this name.
    ///
    /// # Errors
    /// A text that lists the names there are.
    pub fn named(name: &str) -> Result<&'static Op, String> {
        OPS.iter().find(|op| op.name == name).ok_or_else(|| {
            let known = OPS.map(|op| op.name).join(", ");
            format!("expected one of {known}, found `{name}`")
        })
    }

    /// The least number of bytes that the op moves, for tensors of this many bytes: each input is read once, each output written
    /// once. Timesteps and losses, one number a sample, are not counted.
    pub fn bytes(&self, tensor: u64) -> u64 {
        (self.reads + self.writes) as u64 * tensor
    }

    /// Plans the op on a set of buffers that was made for it.
    ///
    /// # Errors
    /// The device is unable to run it.
    pub fn plan(&self, schedule: &Schedule, context: &Context, set: &Set) -> Planned {
        (self.plan)(&Maker { schedule, context, set })
    }
}

/// Makes plans on the tensors of a set.
struct Maker<'a> {
    schedule: &'a Schedule,
    context: &'a Context,
    set: &'a Set,
}

impl Maker<'_> {
    /// Plans `x_t` of `x0` and noise, and a target if there is one.
    fn noising(&self, epsilon: Noise<'_>, target: Option<Quantity>) -> Planned {
        let mut outputs = vec![(Quantity::Xt, self.set.output(0))];
        outputs.extend(target.map(|target| (target, self.set.output(1))));
        let noising = Noising {
            schedule: self.schedule,
            shape: self.set.shape,
            timesteps: self.set.timesteps(),
            x0: self.set.input(0),
            epsilon,
            outputs: &outputs,
        };
        noising.plan(self.context)
    }

    /// Plans `x0` of `x_t` and a prediction, and a second quantity if there is one.
    fn conversion(&self, from: Quantity, second: Option<Quantity>) -> Planned {
        let mut outputs = vec![(Quantity::X0, self.set.output(0))];
        outputs.extend(second.map(|quantity| (quantity, self.set.output(1))));
        let conversion = Conversion {
            schedule: self.schedule,
            shape: self.set.shape,
            timesteps: self.set.timesteps(),
            x_t: self.set.input(0),
            prediction: (from, self.set.input(1)),
            outputs: &outputs,
            on_undefined: OnUndefined::Error,
        };
        conversion.plan(self.context)
    }

    /// Plans a step of a sampler that visits every timestep. The timesteps of a set are read as calls here, so each sample is at
    /// a step of its own.
    fn step(&self, solver: &impl Solver, prediction: Quantity, noise: Noise<'_>) -> Planned {
        let schedule = self.schedule;
        let timesteps: Vec<usize> = (0..schedule.len()).rev().collect();
        let grid = Grid::of_schedule(schedule, &timesteps, NoiseLevel::CLEAN)?;
        let sampler = Sampler::new(solver, &grid, &Denoiser::new(prediction).clipped(Clip::Range(1.0)))?;
        let Set { shape, .. } = *self.set;
        let in_place = Sampling::in_place(&sampler, shape, self.set.input(0), self.set.input(1), noise);
        let step = Sampling { calls: self.set.timesteps(), next: self.set.output(0), ..in_place };
        step.plan(self.context)
    }

    /// Plans each sample's min-SNR loss of a v prediction, and the gradient of the batch's mean.
    fn loss(&self, epsilon: Noise<'_>) -> Planned {
        let objective = Objective::of(Quantity::V).weighted(Weight::MinSnr { gamma: 5.0 });
        let loss = Loss {
            table: &self.schedule.loss(&objective, LossInputs::CleanAndNoise)?,
            penalty: Penalty::MSE,
            shape: self.set.shape,
            timesteps: self.set.timesteps(),
            prediction: self.set.input(0),
            in0: Some(self.set.input(1)),
            in1: epsilon,
            losses: (&self.set.losses, 0),
            mean: None,
            gradient: Some(Gradient::mean(self.set.output(0))),
        };
        Ok(loss.plan(self.context)?)
    }

    /// Plans each sample's term of the variational bound, of an epsilon prediction with a learned variance, and the gradient of
    /// the batch's mean with respect to the network's second output: the second half of a hybrid loss. At the timesteps of a
    /// set, which are above 0, the clean sample cancels and is not read, so any tensor may be given for it.
    fn vlb(&self, epsilon: Noise<'_>) -> Planned {
        let bound = Vlb::new(self.schedule, Quantity::Epsilon, ModelVariance::LearnedRange, None)?;
        let inputs = VlbInputs {
            table: &bound.table(LossInputs::CleanAndNoise)?,
            clip: None,
            shape: self.set.shape,
            prediction: self.set.input(0),
            learned: Some(self.set.input(1)),
            x0: self.set.input(0),
            in1: epsilon,
        };
        let terms = VlbTerms {
            inputs,
            timesteps: self.set.timesteps(),
            terms: (&self.set.losses, 0),
            mean: None,
            gradient: None,
            learned_gradient: Some(self.set.output(0)),
            reduction: Reduction::Mean,
            scale: GradientScale::ONE,
        };
        Ok(terms.plan(self.context)?)
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
