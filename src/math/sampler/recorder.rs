//! Rows from the formulas of a solver.
//!
//! **Theory.** A solver calls the network at samples that it computes and combines the answers. Each sample is linear in the
//! samples, clean samples and noises before it. A [row](crate::table::StepRow) may use the sample of its call, the answer,
//! noise, and one remembered tensor of each earlier call, but no earlier sample. So an earlier sample is eliminated: from
//! `x_mid = k*x + c*d` follows `x = (x_mid - c*d)/k`. Terms that two stages share, noise included, then cancel.
//!
//! **Practice.** The solver is written once, as its paper writes it, with [`Linear`] values. The [`Recorder`] hands out the
//! terms and notes the calls; [`Recorder::finish`] makes the rows and decides what each call remembers for later rows. Where
//! later rows need more than one combination from a call, each further one takes a row of its own, which leaves the sample
//! as it is and only remembers.

use super::call::Call;
use super::linear::{Linear, Term};
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;

/// How a network is called at a noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// The timestep that it is given.
    pub told: f64,
    /// The level, in the scale of the sampler.
    pub level: NoiseLevel,
    /// The factor of the sample in its input.
    pub input: f64,
    /// The coefficients of the sample and of the network's output in the clean sample.
    pub x0: [f64; 2],
}

/// The result of a network call, as terms for later combinations.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The sample at which the network was called.
    pub x: Linear,
    /// The clean sample, after guidance.
    pub d: Linear,
    /// The clean sample that the unconditional prediction implies.
    pub u: Linear,
}

/// A recorded loop: its rows and the noise that it draws.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The rows in order. A row that does not call the network belongs to the call before it.
    pub calls: Vec<Call>,
    /// For each row, true if the network is called for it.
    pub asks: Vec<bool>,
    /// The factors of the sample and of noises in the first sample.
    pub start: (f64, Vec<(usize, f64)>),
    /// The number of noises drawn, used or not.
    pub draws: usize,
}

/// Records what a solver does; see the [module](self).
#[derive(Clone, Debug)]
pub struct Recorder {
    solver: &'static str,
    step: usize,
    pub(super) draws: usize,
    pub(super) calls: Vec<Noted>,
}

/// A call of the network.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub(super) asked: Asked,
    pub(super) step: usize,
    /// The sample as a combination of the sample before it and the tensors of earlier calls.
    pub(super) from_last: Linear,
    pub(super) remembered: Vec<Linear>,
}

impl Recorder {
    /// Begins a loop; the name of the solver is used in errors.
    pub const fn new(solver: &'static str) -> Self {
        Self { solver, step: 0, draws: 0, calls: Vec::new() }
    }

    /// The sample at the start of the loop.
    pub fn start(&self) -> Linear {
        Linear::of(Term::Start)
    }

    /// Sets the step of the grid that the next calls belong to.
    pub fn step(&mut self, step: usize) {
        self.step = step;
    }

    /// Draws standard normal noise.
    pub fn noise(&mut self) -> Linear {
        self.draws += 1;
        Linear::of(Term::Noise(self.draws - 1))
    }

    /// Calls the network at a sample.
    ///
    /// # Errors
    /// [`SamplerError::Unsupported`] for a sample that no row can produce.
    pub fn call(&mut self, x: &Linear, asked: Asked) -> Result<Answer, SamplerError> {
        let from_last = self.current(x)?;
        let k = self.calls.len();
        self.calls.push(Noted { asked, step: self.step, from_last, remembered: Vec::new() });
        let of = |term: fn(usize) -> Term| Linear::of(term(k));
        Ok(Answer { x: of(Term::Sample), d: of(Term::Clean), u: of(Term::Unconditional) })
    }

    /// Makes the last call remember a combination of its sample and its answers, and returns it for later use. Every value
    /// after the first that later rows need costs a row. Clean samples that are used later need no call of this function.
    ///
    /// # Errors
    /// [`SamplerError::Unsupported`] for a combination of other tensors, and before the first call.
    pub fn remember(&mut self, value: &Linear) -> Result<Linear, SamplerError> {
        let last = self.calls.len().checked_sub(1);
        let own = |term: Term| last.is_some_and(|k| axis(term, k).is_some());
        match (last, self.calls.last_mut()) {
            (Some(k), Some(call)) if value.terms().all(|(term, _)| own(term)) => {
                call.remembered.push(value.clone());
                Ok(Linear::of(Term::Remembered(k, call.remembered.len() - 1)))
            }
            _ => Err(self.unsupported("remember a combination of tensors other than those of its last call")),
        }
    }

    /// Returns the same value, expressed by the sample of the last call instead of earlier ones.
    ///
    /// # Errors
    /// [`SamplerError::Unsupported`] where an earlier sample cannot be eliminated.
    pub fn current(&self, value: &Linear) -> Result<Linear, SamplerError> {
        let mut value = value.clone();
        let mut before = Term::Start;
        for (k, call) in self.calls.iter().enumerate() {
            if value.coefficient(before) != 0.0 {
                let kept = call.from_last.coefficient(before);
                if kept == 0.0 {
                    return Err(self.unsupported("use an earlier sample that later samples do not contain"));
                }
                // x_before = (x_now - the rest)/kept
                let rest = call.from_last.without(before);
                value = value.with(before, &((Linear::of(Term::Sample(k)) - rest) * (1.0 / kept)));
            }
            before = Term::Sample(k);
        }
        Ok(value)
    }

    pub(super) const fn unsupported(&self, what: &'static str) -> SamplerError {
        SamplerError::Unsupported { solver: self.solver, what, step: self.step }
    }
}

/// The index of a term among the sample, the clean sample and the unconditional clean sample of a call; `None` for others.
pub(super) fn axis(term: Term, call: usize) -> Option<usize> {
    match term {
        Term::Sample(k) if k == call => Some(0),
        Term::Clean(k) if k == call => Some(1),
        Term::Unconditional(k) if k == call => Some(2),
        _ => None,
    }
}
