//! The Adams-Bashforth family: PNDM, LMS, iPNDM and DEIS, which extrapolate the slope from earlier calls.
//!
//! **Theory.** A step integrates the polynomial through the last values of the [slope](super::slope):
//! ```text
//! x' = r*x + w*sum_i b_i*s_i        sum_i b_i = 1        b_i = integral_0^1 of the polynomial that is 1 at node i
//! ```
//! The methods differ in the variable of the polynomial, the clock, and so in the nodes:
//!
//! | name | clock | source |
//! |---|---|---|
//! | PNDM (PLMS), iPNDM | the number of the step: 3/2, -1/2; 23/12, -16/12, 5/12; 55/24, -59/24, 37/24, -9/24 | Liu et al. 2022, arXiv 2202.09778, eq. 9 and 12; Zhang & Chen 2023, arXiv 2204.13902, section 3.3 |
//! | LMS | `sigma/alpha`, of a rectified flow its time | k-diffusion, `sample_lms` |
//! | DEIS | `ln(sigma/alpha)`, integrated over `sigma/alpha` | Zhang & Chen 2023, eq. 15; the DPM-Solver of exact integrals in epsilon |
//!
//! With the number of the step as clock, the polynomial is exact for steps that are equal in `sigma/alpha`; for others the method
//! is of second order, as its paper proves.
//!
//! **Practice.** The first steps use the slopes that exist by then, except in PNDM. Its paper takes three Runge-Kutta steps of
//! four calls each; PLMS (Katherine Crowson, latent-diffusion #51) takes the first step twice, the second time with the mean of
//! the slopes at both ends.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::multistep::{FEW_STEPS, MOST_NODES, integrals, weights};
use super::runge_kutta::{CLASSICAL, HEUN, stage};
use super::slope::Slope;
use super::solver::{Compat, Solution, Solver};
use super::transition::Transition;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::quantity::Quantity;
use crate::table::step::{HISTORY, StepRow};

/// The number of steps that PNDM takes by Runge-Kutta.
pub(in crate::math) const RUNGE_KUTTA_STEPS: usize = 3;

/// The variable of the polynomial through the slopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The number of the step: fixed weights.
    Steps,
    /// The ratio of noise to signal, or the time of a rectified flow.
    Sigma,
    /// The logarithm of that ratio.
    LogSigma,
}

/// The method of the first steps, where too few slopes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WarmUp {
    /// With the slopes that exist so far, at lower order.
    LowerOrders,
    /// The first step is taken twice: the second time with the mean of the slopes at the first and at the second timestep (PLMS).
    Twice,
    /// The first three steps are taken by the classical Runge-Kutta method, with four calls each. Each covers two steps of the
    /// grid; a grid of fewer than six steps has fewer of them.
    RungeKutta,
}

/// An Adams-Bashforth method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdamsBashforth {
    /// The number of slopes that a step uses, 1 to 4.
    pub order: usize,
    /// The variable of the polynomial through them.
    pub clock: Clock,
    /// The method of the first steps.
    pub warm_up: WarmUp,
    /// With fewer than 15 steps, the last step is of first order, the one before of second order at most, and so on.
    pub lower_order_final: bool,
    /// diffusers' PNDM mixes predictions directly, also those of v, and its IPNDM assumes that x0 is 0 at pure noise.
    pub compat: Compat,
}

impl AdamsBashforth {
    const fn new(order: usize, clock: Clock) -> Self {
        Self { order, clock, warm_up: WarmUp::LowerOrders, lower_order_final: false, compat: Compat::Published }
    }

    /// Creates PNDM of fourth order without its Runge-Kutta steps: PLMS, as Stable Diffusion uses it.
    #[doc(alias = "plms")]
    #[must_use]
    pub const fn pndm() -> Self {
        Self { warm_up: WarmUp::Twice, ..Self::new(4, Clock::Steps) }
    }

    /// Creates the linear multistep method in sigma (k-diffusion).
    #[must_use]
    pub const fn lms(order: usize) -> Self {
        Self::new(order, Clock::Sigma)
    }

    /// Creates iPNDM: fixed weights, with lower orders in the first steps.
    #[must_use]
    pub const fn ipndm(order: usize) -> Self {
        Self::new(order, Clock::Steps)
    }

    /// Creates DEIS in the logarithm of `sigma/alpha`, with diffusers' defaults.
    #[must_use]
    pub const fn deis(order: usize) -> Self {
        Self { lower_order_final: true, ..Self::new(order, Clock::LogSigma) }
    }

    fn slope(&self, grid: &Grid, denoiser: &Denoiser) -> Slope {
        let warms = self.warm_up != WarmUp::LowerOrders;
        match Slope::of(grid.scale()) {
            // This clock belongs to epsilon, on any levels.
            _ if self.clock == Clock::LogSigma => Slope::Epsilon,
            Slope::Epsilon if warms && self.compat == Compat::Diffusers && denoiser.prediction != Quantity::Epsilon => {
                Slope::Prediction
            }
            slope => slope,
        }
    }

    /// The most slopes that step `k` of `steps` may use.
    fn order_at(&self, k: usize, steps: usize) -> usize {
        let few = self.lower_order_final && steps < FEW_STEPS;
        if few { self.order.min(steps - k) } else { self.order }
    }

    /// The position of the level `j` slopes back, in units of the step: 0 where the step starts, 1 where it ends.
    fn node(&self, slope: Slope, step: &Step, j: usize, past: NoiseLevel) -> f64 {
        let move_ = Transition::of(step);
        match self.clock {
            Clock::Steps => -(j as f64),
            Clock::Sigma => -slope.distance(step.from, past) * slope.unit(step.to) / move_.added(),
            Clock::LogSigma if move_.h().is_finite() => -Transition { from: past, to: step.from }.h() / move_.h(),
            Clock::LogSigma => f64::INFINITY,
        }
    }

    /// The integrals of the powers of the clock over the step, relative to the first.
    fn integrals(&self, step: &Step) -> [f64; MOST_NODES] {
        if self.clock == Clock::LogSigma {
            let found = integrals(-Transition::of(step).h());
            return found.map(|integral| integral / found[0]);
        }
        std::array::from_fn(|i| 1.0 / (i + 1) as f64)
    }
}

impl Solver for AdamsBashforth {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        if !(1..=MOST_NODES).contains(&self.order) {
            let (solver, most, found) = ("an Adams-Bashforth method", MOST_NODES, self.order);
            return Err(SamplerError::Order { solver, most, found });
        }
        let slope = self.slope(grid, denoiser);
        let mut run = Run { solver: self, grid, denoiser, slope, calls: Vec::new(), slopes: Vec::new() };
        let taken = match self.warm_up {
            WarmUp::LowerOrders => 0,
            WarmUp::Twice => run.twice()?,
            WarmUp::RungeKutta => run.runge_kutta()?,
        };
        for k in taken..grid.len() {
            run.step(k, self.order_at(k, grid.len()))?;
        }
        Ok(Solution { keeps: slope.quantity(denoiser), ..run.calls.into() })
    }
}

/// A loop under construction.
struct Run<'a> {
    solver: &'a AdamsBashforth,
    grid: &'a Grid,
    denoiser: &'a Denoiser,
    slope: Slope,
    calls: Vec<Call>,
    /// The calls whose slopes later steps may use, and their levels.
    slopes: Vec<(usize, NoiseLevel)>,
}

impl Run<'_> {
    fn begin(&self, k: usize, step: &Step) -> Result<Call, SamplerError> {
        Call::begin(k, step, self.denoiser, self.slope.quantity(self.denoiser))
    }

    /// Adds a step that uses at most `order` slopes.
    fn step(&mut self, k: usize, order: usize) -> Result<(), SamplerError> {
        let (step, now) = (&self.grid.steps()[k], self.calls.len());
        let mut call = self.begin(k, step)?;
        let earlier: Vec<_> = self.slopes.iter().rev().take(order - 1).collect();
        let past = earlier.iter().enumerate().map(|(i, (_, past))| self.solver.node(self.slope, step, i + 1, *past));
        let nodes: Vec<f64> = std::iter::once(0.0).chain(past.take_while(|node| node.is_finite())).collect();
        self.slopes.push((now, step.from));
        if self.slope.is_infinite(step.from) {
            self.leave_noise(k, step, &mut call)?;
        } else {
            let [ratio, weight] = self.slope.over(k, step, self.denoiser)?;
            let shares = match nodes[..] {
                [_] => [1.0, 0.0, 0.0, 0.0],
                _ => weights(&nodes, &self.solver.integrals(step)),
            };
            (call.row.x, call.row.clean) = (ratio, weight * shares[0]);
            let mut history = [0.0; HISTORY];
            for ((call, _), share) in self.slopes[..self.slopes.len() - 1].iter().rev().zip(&shares[1..nodes.len()]) {
                if let Some(coefficient) = history.get_mut(now - call - 1) {
                    *coefficient = weight * share;
                }
            }
            call.row = StepRow { history, ..call.row };
        }
        self.calls.push(call);
        Ok(())
    }

    /// Sets the row of the step from pure noise, from the x0 and the epsilon that the prediction implies.
    fn leave_noise(&self, k: usize, step: &Step, call: &mut Call) -> Result<(), SamplerError> {
        let noise = self.denoiser.row(Quantity::Epsilon, k, step)?;
        let clean = match self.solver.compat {
            Compat::Diffusers => [0.0; 2],
            Compat::Published => self.denoiser.row(Quantity::X0, k, step)?,
        };
        let (alpha, sigma) = (step.to.alpha(), step.to.sigma());
        let [x, p] = [0, 1].map(|i| alpha * clean[i] + sigma * noise[i]);
        (call.row.x, call.row.p) = (x, p);
        Ok(())
    }

    /// Takes the first step twice and returns the number of steps taken.
    fn twice(&mut self) -> Result<usize, SamplerError> {
        self.step(0, 1)?;
        let [first, second, ..] = self.grid.steps() else { return Ok(1) };
        if self.slope.is_infinite(first.from) {
            return Ok(1);
        }
        let again = Step { from: self.grid.again().unwrap_or(first.from), to: second.from, ..*first };
        let moves = [self.slope.over(0, first, self.denoiser)?, self.slope.over(0, &again, self.denoiser)?];
        let (x, slopes) = stage(HEUN, &moves);
        let mut call = self.begin(0, &Step { to: second.from, ..*second })?;
        (call.row.x, call.row.clean) = (x, slopes[0]);
        call.row = call.row.looking_back(&slopes[1..]);
        self.calls.push(call);
        Ok(1)
    }

    /// Takes the first steps by Runge-Kutta and returns the number of steps of the grid that they cover.
    fn runge_kutta(&mut self) -> Result<usize, SamplerError> {
        let steps = self.grid.steps();
        let pairs = (steps.len() / 2).min(RUNGE_KUTTA_STEPS);
        for pair in 0..pairs {
            let (k, first, second) = (2 * pair, &steps[2 * pair], &steps[2 * pair + 1]);
            // The last of the four calls is made at the end of the step.
            let callable = second.to_timestep.filter(|_| second.to.sigma() > 0.0);
            match callable.filter(|_| !self.slope.is_infinite(first.from)) {
                Some(timestep) => self.four_calls(k, first, second, timestep)?,
                None => {
                    self.step(k, 1)?;
                    self.step(k + 1, 1)?;
                }
            }
        }
        Ok(2 * pairs)
    }

    fn four_calls(&mut self, k: usize, first: &Step, second: &Step, timestep: f64) -> Result<(), SamplerError> {
        let end = Step { timestep, from: second.to, input: self.grid.scale().input(second.to), ..*second };
        let stages =
            [(k, first, first.to), (k + 1, second, second.from), (k + 1, second, second.to), (k + 1, &end, end.to)];
        let mut moves = Vec::new();
        self.slopes.push((self.calls.len(), first.from));
        for (k, at, to) in stages {
            moves.push(self.slope.over(k, &Step { to, ..*first }, self.denoiser)?);
            let (x, slopes) = stage(CLASSICAL, &moves);
            let mut call = self.begin(k, &Step { to, ..*at })?;
            (call.row.x, call.row.clean) = (x, slopes[0]);
            call.row = call.row.looking_back(&slopes[1..]);
            self.calls.push(call);
        }
        Ok(())
    }
}
