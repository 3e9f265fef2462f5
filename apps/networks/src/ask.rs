//! The questions of a loop to a network.

use tweedie::Quantity;
use tweedie::math::run::{RunLoop, RunModel};
use tweedie::math::{NoiseLevel, Sampler};

/// A question to a network: the level of the sample, and the answer as a mixture of two expectations.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Ask {
    /// The signal in what the network sees.
    pub alpha: f32,
    /// The noise in what the network sees.
    pub sigma: f32,
    /// Coefficient of `E[x0 | x]` in the answer.
    pub x0: f32,
    /// Coefficient of `E[epsilon | x]` in the answer.
    pub epsilon: f32,
}

impl Ask {
    /// Makes the question to a network that predicts this quantity and sees samples of this level.
    ///
    /// The formulas of the quantities are repeated here, so that a mistake in the library cannot agree with itself.
    #[must_use]
    pub fn new(predicts: Quantity, alpha: f64, sigma: f64) -> Self {
        let [x0, epsilon] = match predicts {
            Quantity::Xt => [alpha, sigma],
            Quantity::X0 => [1.0, 0.0],
            Quantity::Epsilon => [0.0, 1.0],
            Quantity::V => [-sigma, alpha],
            Quantity::Score => [0.0, -1.0 / sigma],
            Quantity::Flow => [-1.0, 1.0],
            Quantity::RisingFlow => [1.0, -1.0],
            Quantity::Edm(sigma_data) | Quantity::TrigFlow(sigma_data) => {
                let data = sigma_data.value();
                let whole = (data * alpha).hypot(sigma);
                let sign = if matches!(predicts, Quantity::Edm(_)) { 1.0 } else { -1.0 };
                [sign * sigma / (data * whole), -sign * data * alpha / whole]
            }
        };
        Self::rounded([alpha, sigma, x0, epsilon])
    }

    /// Makes the question to the network of a run's model, at a sigma above 0.
    ///
    /// Its answer `r` follows from the clean sample `c0*x + c1*r` that the model computes from it.
    #[must_use]
    pub fn of_model(model: &RunModel, sigma: f64) -> Self {
        let (alpha, noise, input) = (model.alpha(sigma), sigma * model.noise_scale(), model.input(sigma));
        let [of_x, of_output] = model.denoised(sigma);
        Self::rounded([input * alpha, input * noise, (1.0 - of_x * alpha) / of_output, -of_x * noise / of_output])
    }

    fn rounded(numbers: [f64; 4]) -> Self {
        let [alpha, sigma, x0, epsilon] = numbers.map(|number| number as f32);
        Self { alpha, sigma, x0, epsilon }
    }
}

/// Lists what a sampler asks of a network that predicts this quantity, call by call. The network sees samples in its own scale.
#[must_use]
pub fn asks(sampler: &Sampler, predicts: Quantity) -> Vec<Ask> {
    let seen = |level: NoiseLevel, input: f64| Ask::new(predicts, input * level.alpha(), input * level.sigma());
    sampler.calls().iter().map(|call| seen(call.level, call.input)).collect()
}

/// Lists what a run asks of the network of its model, call by call.
#[must_use]
pub fn run_asks(run: &RunLoop) -> Vec<Ask> {
    run.call_sigmas().iter().map(|sigma| Ask::of_model(run.model(), *sigma)).collect()
}
