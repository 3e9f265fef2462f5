//! A run of ComfyUI as data, and the sigmas that reach its sampler.

use super::compat::RunCompat;
use super::error::RunError;
use super::grid::{Grid, checked};
use super::model::RunModel;
use super::precision::Precision;
use super::sigma_nodes::flipped;
use super::solvers::sampler::RunSampler;
use super::value::{Node, RunValue};
use super::window::{Window, of_scheduler};
use crate::few::few;
use crate::math::guidance::guider::Guider;

/// Where a run's sigmas come from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunGrid {
    /// A scheduler by name, or a node with its inputs.
    Scheduler(Node),
    /// The sigmas themselves, from the first to the last.
    Sigmas(Vec<f64>),
}

/// The guidance of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunGuidance {
    /// The scale of classifier-free guidance; at 1, to within 1e-9, no unconditional prediction is needed.
    Scale(f64),
    /// Another kind of guidance: its name and options, and the guider that they describe.
    Kind {
        /// The name of the kind, with its options as inputs.
        node: Node,
        /// The guider.
        guider: Box<Guider>,
    },
}

/// A run of ComfyUI as data: the settings of its nodes.
///
/// ```
/// use tweedie::math::run::{Node, Run, RunGrid, RunModel};
///
/// let run = Run {
///     model: Some(RunModel::named("sd15")?),
///     sampler: Some("dpmpp_2m".to_owned()),
///     steps: Some(20),
///     denoise: Some(0.5),
///     grid: Some(RunGrid::Scheduler(Node::named("karras"))),
///     ..Run::default()
/// };
/// let (sigmas, told) = (run.sigmas()?, run.timesteps()?);
/// assert_eq!((sigmas.len(), told.len(), sigmas[20]), (21, 20, 0.0));
/// # Ok::<(), tweedie::math::run::RunError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The model. Not needed for the sigmas of a grid that takes none from it.
    pub model: Option<RunModel>,
    /// The name of the model, where it has one.
    pub model_name: Option<String>,
    /// The sampler, by ComfyUI's name or another name of [`RunSampler::CATALOGUE`].
    pub sampler: Option<String>,
    /// The node that builds the sampler, with its inputs; `None` for a sampler that is chosen by name.
    pub node: Option<Node>,
    /// Where the sigmas come from. A run that only describes guidance needs no grid.
    pub grid: Option<RunGrid>,
    /// The number of steps of the sampler.
    pub steps: Option<usize>,
    /// The fraction of the schedule that is run, its last part, from 0 to 1. For a scheduler by name, everything above 0.9999 is the
    /// whole schedule.
    pub denoise: Option<f64>,
    /// The fraction of the steps that is run, from 0 to 1, as in the image-to-image pipelines of diffusers: the last
    /// `trunc(steps*strength)` steps of the whole grid. (`denoise` makes a finer grid and takes its last `steps`.)
    #[doc(alias = "img2img")]
    pub strength: Option<f64>,
    /// The first step that is run, from 0. If it is not before the end of the window, nothing is run.
    pub start_step: Option<usize>,
    /// The step before which the run ends.
    pub last_step: Option<usize>,
    /// True if a run that `last_step` cuts short still goes to sigma 0 in its last step.
    pub force_full_denoise: bool,
    /// True by default. False for a run that starts from the latent image without noise.
    pub add_noise: bool,
    /// True to reverse the sigmas, from clean to noisy.
    pub flip_sigmas: bool,
    /// The options of the sampler, under the names of its arguments in ComfyUI.
    pub options: Vec<(String, RunValue)>,
    /// The guidance.
    pub guidance: Option<RunGuidance>,
    /// The share of a mask, from 0 to 1, that is made binary at each call; `None` without differential diffusion.
    pub differential_diffusion_strength: Option<f64>,
    /// The seed of the noise.
    pub seed: Option<u64>,
    /// The source whose formulas the run follows where a name means different things.
    pub compat: RunCompat,
    /// True for sigmas as a program computes them in f32, with each operation rounded.
    pub float32: bool,
}

/// An empty run: no model, no sigmas, no sampler, and every option at its default. Noise is added.
impl Default for Run {
    fn default() -> Self {
        Self {
            model: None,
            model_name: None,
            sampler: None,
            node: None,
            grid: None,
            steps: None,
            denoise: None,
            strength: None,
            start_step: None,
            last_step: None,
            force_full_denoise: false,
            add_noise: true,
            flip_sigmas: false,
            options: Vec::new(),
            guidance: None,
            differential_diffusion_strength: None,
            seed: None,
            compat: RunCompat::default(),
            float32: false,
        }
    }
}

impl Run {
    /// Its model, in the precision of the run.
    ///
    /// # Errors
    /// [`RunError::Missing`] for a run without one, [`RunError::Sigmas`] for a model whose sigmas do not fit f32.
    pub fn model(&self) -> Result<RunModel, RunError> {
        let model = self.model.as_ref().ok_or(RunError::Missing { expected: "a model" })?;
        if self.float32 { model.in_float32() } else { Ok(model.clone()) }
    }

    /// The sigmas that reach the sampler, from the first to the last, after every rule of the window: one more than steps, or
    /// none if the run has nothing to do.
    ///
    /// Samplers that make one step more and drop the last sigma but one do so only with a scheduler that is given by name. The first
    /// sigma of a flow is that of the grid; some samplers replace it, see [`FIRST_FLOW_PERCENT`](super::FIRST_FLOW_PERCENT).
    ///
    /// # Errors
    /// [`RunError`]: an unknown scheduler, inputs or steps out of range, and options that contradict each other.
    pub fn sigmas(&self) -> Result<Vec<f64>, RunError> {
        let Self { last_step, force_full_denoise, .. } = *self;
        let sigmas = self.whole()?;
        let start_step = self.first_step(sigmas.len().saturating_sub(1))?;
        let sigmas = Window { start_step, last_step, force_full_denoise }.cut(sigmas);
        Ok(if self.flip_sigmas { flipped(sigmas, self.precision()) } else { sigmas })
    }

    /// The numbers that the network is told at the sigmas, one for each of them but the last.
    ///
    /// # Errors
    /// As [`sigmas`](Self::sigmas) and [`model`](Self::model).
    pub fn timesteps(&self) -> Result<Vec<f64>, RunError> {
        let (mut sigmas, model) = (self.sigmas()?, self.model()?);
        sigmas.pop();
        Ok(sigmas.into_iter().map(|sigma| model.told(sigma)).collect())
    }

    /// The first of `steps` steps that is run: `start_step`, or by `strength`.
    fn first_step(&self, steps: usize) -> Result<Option<usize>, RunError> {
        let Some(strength) = self.strength else { return Ok(self.start_step) };
        let rivals = [("start_step", self.start_step.is_some()), ("denoise", self.denoise.is_some_and(|it| it != 1.0))];
        if let Some((beside, _)) = rivals.into_iter().find(|(_, given)| *given) {
            return Err(RunError::Unused { option: "strength", beside });
        }
        if !(0.0..=1.0).contains(&strength) {
            return Err(RunError::Number { name: "strength", expected: "between 0 and 1", found: strength });
        }
        Ok(Some(steps - (steps as f64 * strength) as usize))
    }

    const fn precision(&self) -> Precision {
        if self.float32 { Precision::Single } else { Precision::Double }
    }

    /// The sigmas before the window.
    fn whole(&self) -> Result<Vec<f64>, RunError> {
        if let Some(found) = self.denoise.filter(|denoise| !(0.0..=1.0).contains(denoise)) {
            return Err(RunError::Number { name: "denoise", expected: "between 0 and 1", found });
        }
        let precision = self.precision();
        let node = match &self.grid {
            None => return Err(RunError::Missing { expected: "a scheduler or sigmas" }),
            Some(RunGrid::Scheduler(node)) => node,
            Some(RunGrid::Sigmas(list)) => {
                if self.denoise.is_some_and(|denoise| denoise != 1.0) {
                    return Err(RunError::Unused { option: "denoise", beside: "a list of sigmas" });
                }
                if self.steps.is_some_and(|steps| list.len().checked_sub(1) != Some(steps)) {
                    return Err(RunError::Unused {
                        option: "steps",
                        beside: "a list of sigmas for another number of steps",
                    });
                }
                return checked(list, precision);
            }
        };
        let model = self.model.as_ref().map(|_| self.model()).transpose()?;
        let grid = Grid::new(node, model.as_ref(), precision, self.compat)?;
        if !grid.entry.make.is_node {
            let steps = self.steps.ok_or(RunError::Missing { expected: "steps" })?;
            let name = grid.entry.name;
            if steps == 0 {
                let (expected, found) = ("at least 1".to_owned(), "0".to_owned());
                return Err(RunError::Steps { grid: name, expected, found });
            }
            let sampler = self.sampler.as_deref().and_then(|name| RunSampler::CATALOGUE.find(name).ok());
            let drops_a_sigma = sampler.is_some_and(|sampler| sampler.make.drops_a_sigma);
            return of_scheduler(name, steps, self.denoise.unwrap_or(1.0), drops_a_sigma, |steps| grid.sigmas(steps));
        }
        // A node has inputs for its steps and its denoise; where they are missing, those of the run are used.
        let mut node = node.clone();
        let own = [("steps", self.steps.map(|steps| steps as f64)), ("denoise", self.denoise)];
        for (name, of_run) in own.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            let is_input = grid.entry.parameter(name).is_some() && !grid.entry.make.changes_sigmas;
            match node.input(name) {
                _ if !is_input && name == "denoise" && of_run == 1.0 => {}
                _ if !is_input => return Err(RunError::Unused { option: name, beside: grid.entry.name }),
                None => node.inputs.push((name.to_owned(), of_run.into())),
                Some(RunValue::Number(number)) if *number == of_run => {}
                Some(other) => {
                    let (expected, found) = (format!("{} as in the run", few(&of_run)), other.to_string());
                    return Err(RunError::Value { name: format!("{name} of {}", grid.entry.name), expected, found });
                }
            }
        }
        Grid::new(&node, model.as_ref(), precision, self.compat)?.sigmas_of_inputs()
    }
}
