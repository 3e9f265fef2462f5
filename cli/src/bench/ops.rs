//! The ops that are measured. To add one, add a row.

use super::batch::Set;
use tweedie::gpu::{Context, Drawn, MapPlan, NoiseKey, Second, Timesteps};
use tweedie::{Conversion, Diffusion, Error, Holes, Noising, Quantity};

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
    pub plan: fn(&Diffusion, &Context, &Set) -> Result<MapPlan, Error>,
}

/// Every op.
pub const OPS: [Op; 5] = [
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
) -> Result<MapPlan, Error> {
    let noising = Noising {
        shape: set.shape,
        timesteps: Timesteps::per_sample(&set.timesteps),
        x0: set.input(0),
        epsilon,
        first: (Quantity::Xt, set.output(0)),
        second: target.map(|target| (target, set.output(1))),
    };
    diffusion.noising(context, &noising)
}

/// `x_t` and a prediction to `x0`, and to a second quantity if there is one.
fn convert(
    diffusion: &Diffusion,
    context: &Context,
    set: &Set,
    from: Quantity,
    second: Option<Quantity>,
) -> Result<MapPlan, Error> {
    let conversion = Conversion {
        shape: set.shape,
        timesteps: Timesteps::per_sample(&set.timesteps),
        x_t: set.input(0),
        prediction: (from, set.input(1)),
        first: (Quantity::X0, set.output(0)),
        second: second.map(|quantity| (quantity, set.output(1))),
        holes: Holes::Reject,
    };
    diffusion.conversion(context, &conversion)
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

    /// The least that must move: each input read once, each output written once. The timesteps are not counted.
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
    }
}
