//! The loop of a scene: a sampler of the library, or a run of ComfyUI.

use crate::schedules::{ScheduleChoice, can_be_rescaled};
use networks::{Ask, asks, run_asks};
use tweedie::gpu::{Noise, NoiseKey};
use tweedie::math::Sampler;
use tweedie::math::catalog::Entry;
use tweedie::math::run::{Node, Run, RunError, RunGrid, RunLoop, RunModel, RunSampler};
use tweedie::math::sampler::Call;
use tweedie::wgpu;
use tweedie::{Context, Error, Loop, LoopTensors, Quantity, Sampling, Shape, Tensor};

/// The calls of the network in a loop, and the loop itself.
#[derive(Debug)]
pub struct Course {
    calls: Vec<Call>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Sampler(Sampler),
    Run(Box<RunLoop>),
}

/// The tensors of a loop on the GPU.
pub(crate) struct Buffers<'a> {
    pub x: &'a wgpu::Buffer,
    pub input: &'a wgpu::Buffer,
    pub prediction: &'a wgpu::Buffer,
    /// The clean sample of each call.
    pub x0: &'a wgpu::Buffer,
    /// The pictures that the samples begin with.
    pub pictures: Option<&'a wgpu::Buffer>,
}

impl From<Sampler> for Course {
    fn from(sampler: Sampler) -> Self {
        Self { calls: sampler.calls().to_vec(), way: Way::Sampler(sampler) }
    }
}

impl From<RunLoop> for Course {
    fn from(run: RunLoop) -> Self {
        let asking = run.calls().iter().zip(run.asks()).filter_map(|(call, asks)| asks.then_some(*call));
        Self { calls: asking.collect(), way: Way::Run(Box::new(run)) }
    }
}

impl Course {
    /// The calls of the network.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Returns the coefficients of signal and noise in the sample before a call, or after the last one, in the sampler's scale.
    #[must_use]
    pub fn level(&self, call: usize) -> [f64; 2] {
        let before = self.calls.get(call).map(|call| [call.level.alpha(), call.level.sigma()]);
        before.unwrap_or_else(|| match &self.way {
            Way::Sampler(sampler) => sampler.calls().last().map_or([1.0, 0.0], |last| last.row.known),
            Way::Run(run) => {
                let sigma = run.last_sigma();
                [run.model().alpha(sigma), sigma].map(|factor| run.end() * factor)
            }
        })
    }

    /// Returns what each call asks of a network that predicts this quantity.
    pub(crate) fn asks(&self, predicts: Quantity) -> Vec<Ask> {
        match &self.way {
            Way::Sampler(sampler) => asks(sampler, predicts),
            Way::Run(run) => run_asks(run),
        }
    }

    /// Plans the loop on these tensors, with noise that the kernels draw.
    pub(crate) fn recorded(
        &self,
        context: &Context,
        shape: Shape,
        buffers: &Buffers<'_>,
        key: NoiseKey,
    ) -> Result<Loop, Error> {
        let [x, input, prediction, x0] = [buffers.x, buffers.input, buffers.prediction, buffers.x0].map(Tensor::f32);
        let pictures = buffers.pictures.map(Tensor::f32);
        match &self.way {
            Way::Sampler(sampler) => {
                let sampling = Sampling {
                    x0: Some(x0),
                    input: Some(input),
                    ..Sampling::in_place(sampler, shape, x, prediction, Noise::drawn(key))
                };
                Loop::of_sampling(context, &sampling, key, pictures)
            }
            Way::Run(run) => {
                let tensors = LoopTensors {
                    // The network gives the same answer with and without a condition.
                    unconditional: Some(prediction),
                    preview: Some(x0),
                    latent_image: pictures,
                    ..LoopTensors::new(x, input, prediction)
                };
                Loop::new(context, run, shape, &tensors, key)
            }
        }
    }
}

/// The choices of a run in a scene.
pub(crate) struct RunChoice {
    pub sampler: &'static Entry<RunSampler>,
    pub schedule: ScheduleChoice,
    pub steps: usize,
    /// The name and the value of the option for drawn noise.
    pub stochasticity: Option<(&'static str, f64)>,
    pub strength: f64,
    pub predicts: Quantity,
}

/// The scheduler of all runs.
const SCHEDULER: &str = "simple";

impl RunChoice {
    /// Plans the loop of these choices.
    pub fn plan(&self) -> Result<RunLoop, RunError> {
        let options = self.stochasticity.map(|(name, value)| (name.to_owned(), value.into()));
        let run = Run {
            model: Some(run_model(self.schedule, self.predicts)?),
            sampler: Some(self.sampler.name.to_owned()),
            grid: Some(RunGrid::Scheduler(Node::named(SCHEDULER))),
            steps: Some(self.steps),
            strength: (self.strength < 1.0).then_some(self.strength),
            options: options.into_iter().collect(),
            ..Run::default()
        };
        run.plan()
    }
}

/// The model that predicts this quantity, on a schedule that ComfyUI has too, or on the straight flow.
fn run_model(schedule: ScheduleChoice, predicts: Quantity) -> Result<RunModel, RunError> {
    let parameterisation = match predicts {
        Quantity::Epsilon => "EPS",
        Quantity::V => "V_PREDICTION",
        Quantity::X0 => "X0",
        Quantity::Edm(_) => "EDM",
        Quantity::Flow => return RunModel::new("ModelSamplingDiscreteFlow", "CONST", &[]),
        other => return Err(refused("predicts", "epsilon, v, x0, edm or flow in a run of ComfyUI", other.name())),
    };
    let recipe = schedule.recipe();
    let betas = match recipe.name {
        "linear" => "sqrt_linear",
        "scaled-linear" => "linear",
        "cosine" => "cosine",
        other => return Err(refused("schedule", "linear, scaled-linear or cosine in a run of ComfyUI", other)),
    };
    let rescaled = schedule.zero_terminal_snr && can_be_rescaled(recipe);
    let mut settings =
        vec![("beta_schedule".to_owned(), betas.into()), ("zsnr".to_owned(), f64::from(u8::from(rescaled)).into())];
    // The ends of the betas have other names in ComfyUI.
    for (name, other) in [("beta_start", "linear_start"), ("beta_end", "linear_end")] {
        let default = recipe.parameter(name).and_then(|parameter| parameter.default);
        settings.extend(default.map(|beta| (other.to_owned(), beta.into())));
    }
    if let Quantity::Edm(data) = predicts {
        settings.push(("sigma_data".to_owned(), data.value().into()));
    }
    RunModel::new("ModelSamplingDiscrete", parameterisation, &settings)
}

fn refused(name: &str, expected: &str, found: &str) -> RunError {
    RunError::Value { name: name.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}
