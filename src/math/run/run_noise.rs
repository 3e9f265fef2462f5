//! The noise of a run: tensors that are given, or what ComfyUI draws from the run's seed for a latent on the CPU.

use super::error::RunError;
use super::inputs::RunInputs;
use super::run_loop::{RunLoop, Seeded};
use super::solvers::sampler::StepNoise;
use crate::noise::brownian_tree::BrownianTree;
use crate::noise::comfyui::ComfyNoise;
use crate::noise::dtype::Dtype;

/// The noise of a run, drawn as it is asked for. Given tensors take the place of what its seed gives.
///
/// It holds what was drawn: 8 bytes for each element of the start and of every draw so far.
#[derive(Clone, Debug)]
pub struct RunNoise<'a> {
    given: RunInputs<'a>,
    count: usize,
    start: Option<Vec<f64>>,
    known: Option<Vec<f64>>,
    steps: Steps,
    drawn: Vec<Vec<f64>>,
    clip: Option<f64>,
}

/// The origin of the noise after the start.
#[derive(Clone, Debug)]
enum Steps {
    /// Nothing but what is given.
    Given,
    /// The generator of the start, which has no seed where nothing is drawn for the start.
    Unseeded,
    Generator {
        noise: Box<ComfyNoise>,
        goes_on: bool,
    },
    Brownian {
        tree: Box<BrownianTree>,
        spans: Vec<[f64; 2]>,
    },
}

impl RunLoop {
    /// The noise of this run: what `inputs` hold, the rest from the [seed](super::Run::seed).
    ///
    /// The start noise is one f32 draw of torch's CPU generator. A sampler's own generator has the seed that follows; churn and
    /// `heunpp2` go on with that of the start; SDE samplers ask the Brownian tree of the seed, at the sigmas of a program that computes
    /// in f32. Words are torch's to the bit, normals within 1e-6 or so, see [`TorchCpu`](crate::noise::TorchCpu).
    ///
    /// # Errors
    /// [`RunError::Value`] for a tensor of another length than the rest, [`RunError::Missing`] where nothing says how many elements
    /// there are, [`RunError::Noise`] for more elements than a draw may have, and for sigmas that no Brownian tree spans.
    pub fn noise<'a>(&self, inputs: &RunInputs<'a>) -> Result<RunNoise<'a>, RunError> {
        let count = inputs.count()?;
        let mut it = RunNoise {
            given: *inputs,
            count,
            // A run that adds no noise has zeros in its place, also in a known region.
            start: (!self.adds_noise()).then(|| vec![0.0; count]),
            known: None,
            steps: Steps::Given,
            drawn: Vec::new(),
            clip: self.clip,
        };
        if let Some(seeded) = &self.seeded {
            it.seed(self, seeded)?;
        }
        Ok(it)
    }

    /// The sample at the first call.
    ///
    /// # Errors
    /// [`RunError::Missing`] without noise that the start needs, [`RunError::Value`] for too few noises.
    pub fn first_sample(&self, noise: &mut RunNoise<'_>) -> Result<Vec<f64>, RunError> {
        let (of_latent, mut x) = self.first_parts(noise)?;
        if of_latent != 0.0 {
            x.iter_mut().enumerate().for_each(|(i, x)| *x += of_latent * noise.given.latent_at(i));
        }
        Ok(x)
    }

    /// The sample at the first call but for the latent image, and the factor of that.
    ///
    /// # Errors
    /// As [`first_sample`](Self::first_sample).
    pub fn first_parts(&self, noise: &mut RunNoise<'_>) -> Result<(f64, Vec<f64>), RunError> {
        let [of_latent, of_noise] = self.start();
        let (mut of_latent, mut x) = match noise.given.initial {
            Some(initial) => (0.0, initial.to_vec()),
            None => (of_latent, scaled(of_noise, noise.start(), noise.count)?),
        };
        let (kept, draws) = self.churn();
        of_latent *= kept;
        x.iter_mut().for_each(|x| *x *= kept);
        for &(draw, c) in draws {
            x.iter_mut().zip(noise.draw(draw)?).for_each(|(x, z)| *x += c * z);
        }
        Ok((of_latent, x))
    }
}

/// A noise times its factor. It is not looked at where that is 0.
fn scaled(factor: f64, noise: Option<&[f64]>, count: usize) -> Result<Vec<f64>, RunError> {
    match noise {
        _ if factor == 0.0 => Ok(vec![0.0; count]),
        Some(noise) => Ok(noise.iter().map(|z| factor * z).collect()),
        None => Err(RunError::Missing { expected: "noise, with which the run starts, or a seed" }),
    }
}

impl RunNoise<'_> {
    fn seed(&mut self, run: &RunLoop, seeded: &Seeded) -> Result<(), RunError> {
        let (redraws_known, draws) = (run.redraws_known_noise(), run.draws() > 0 || run.is_adaptive());
        let shape = [self.count];
        let mut noise = Box::new(ComfyNoise::new(seeded.seed));
        let start = noise.start(&shape)?;
        self.start.get_or_insert(start);
        // The noise of a known region is the first draw of the next seed, with which the generator of the start begins anew.
        if redraws_known {
            self.known = Some(noise.step(&shape)?);
        }
        self.steps = match seeded.source {
            _ if !draws || !self.given.noises.is_empty() => Steps::Given,
            StepNoise::Brownian => {
                let [least, most] = seeded.ends;
                let tree = Box::new(BrownianTree::new(seeded.seed, self.count, least, most)?);
                Steps::Brownian { tree, spans: seeded.spans.clone() }
            }
            StepNoise::OfStart if !run.adds_noise() && !redraws_known => Steps::Unseeded,
            source => Steps::Generator { noise, goes_on: source == StepNoise::OfStart && !redraws_known },
        };
        Ok(())
    }

    /// The elements of each draw.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The noise of the start, if it is given or drawn; zeros for a run that adds none.
    #[must_use]
    pub fn start(&self) -> Option<&[f64]> {
        self.given.noise.or(self.start.as_deref())
    }

    /// The noise of a known region, if it is given or drawn.
    #[must_use]
    pub fn known(&self) -> Option<&[f64]> {
        self.given.inpaint_noise.or(self.known.as_deref()).or(self.start())
    }

    /// The known region at a level: the latent image and its noise, each times its factor.
    pub(super) fn known_at(&self, [of_latent, of_noise]: [f64; 2]) -> Result<Vec<f64>, RunError> {
        let mut known = scaled(of_noise, self.known(), self.count)?;
        known.iter_mut().enumerate().for_each(|(i, x)| *x += of_latent * self.given.latent_at(i));
        Ok(known)
    }

    /// The noise of a draw, from 0, clipped as the run asks for.
    ///
    /// # Errors
    /// [`RunError::Value`] for a draw that the inputs do not have and no seed gives, [`RunError::Missing`] where a run without noise
    /// at its start would go on with the generator of the start, [`RunError::Noise`] where a Brownian tree has no value.
    pub fn draw(&mut self, draw: usize) -> Result<Vec<f64>, RunError> {
        let found = match &self.steps {
            Steps::Given => {
                let begin = draw.saturating_mul(self.count);
                let part = self.given.noises.get(begin..begin.saturating_add(self.count));
                part.ok_or_else(|| self.too_few(draw))?
            }
            _ => {
                while self.drawn.len() <= draw {
                    let next = self.next()?;
                    self.drawn.push(next);
                }
                self.drawn.get(draw).map_or(&[][..], Vec::as_slice)
            }
        };
        Ok(clipped(found, self.clip))
    }

    fn too_few(&self, draw: usize) -> RunError {
        let (name, expected) = ("noises".to_owned(), format!("at least {} draws, or none and a seed", draw + 1));
        RunError::Value { name, expected, found: (self.given.noises.len() / self.count.max(1)).to_string() }
    }

    fn next(&mut self) -> Result<Vec<f64>, RunError> {
        let draw = self.drawn.len();
        match &mut self.steps {
            Steps::Given => Err(self.too_few(draw)),
            Steps::Unseeded => {
                let expected = "noises: without noise at the start, the generator that goes on has no seed";
                Err(RunError::Missing { expected })
            }
            Steps::Generator { noise, goes_on: true } => Ok(noise.global().normals(self.count, Dtype::F32)),
            Steps::Generator { noise, .. } => Ok(noise.step(&[self.count])?),
            Steps::Brownian { tree, spans } => match spans.get(draw) {
                Some(&[from, to]) => Ok(tree.noise(from, to)?),
                None => Err(self.too_few(draw)),
            },
        }
    }
}

/// The noise between so many deviations of the whole batch, unbiased, as ComfyUI takes it.
fn clipped(noise: &[f64], clip: Option<f64>) -> Vec<f64> {
    let Some(clip) = clip else { return noise.to_vec() };
    let n = noise.len() as f64;
    let mean = noise.iter().sum::<f64>() / n;
    let deviation = (noise.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let most = clip * deviation;
    noise.iter().map(|z| if most.is_nan() { *z } else { z.clamp(-most, most) }).collect()
}
