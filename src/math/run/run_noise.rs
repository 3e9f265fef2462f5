//! The noise of a run: given tensors, or what ComfyUI draws from the run's seed for a latent on the CPU.

use super::error::RunError;
use super::inputs::RunInputs;
use super::run_loop::{RunLoop, Seeded};
use super::solvers::sampler::StepNoise;
use crate::noise::brownian_tree::BrownianTree;
use crate::noise::comfyui::ComfyNoise;
use crate::noise::dtype::Dtype;

/// The noise of a run, drawn on demand. Given tensors replace the noise of its seed.
///
/// It keeps everything that it has drawn: 8 bytes for each element of the start, of a known region's own noise, and of every draw
/// so far.
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

/// Where the noise after the start comes from.
#[derive(Clone, Debug)]
enum Steps {
    /// Only from the given tensors.
    Given,
    /// From the generator of the start noise, which was never seeded because the run draws no start noise.
    Unseeded,
    /// From a generator of the seed: that of the start noise if `goes_on`, else the one of the next seed.
    Generator { noise: Box<ComfyNoise>, goes_on: bool },
    /// From a Brownian tree, between the sigmas of each draw.
    Brownian { tree: Box<BrownianTree>, spans: Vec<[f64; 2]> },
}

impl RunLoop {
    /// Creates the noise of this run: what `inputs` hold, and the rest from the [seed](super::Run::seed).
    ///
    /// The start noise is one f32 draw from torch's CPU generator. Most samplers draw step noise from a generator of the next seed;
    /// churn and `heunpp2` continue that of the start; SDE samplers use the Brownian tree of the seed, at sigmas as an f32 program
    /// computes them. Random words equal torch's bit for bit, normals to within 1e-6 or so; see
    /// [`TorchCpu`](crate::noise::TorchCpu).
    ///
    /// # Errors
    /// [`RunError::Value`] for a tensor of another length than the rest, [`RunError::Missing`] where no input gives the number of
    /// elements, [`RunError::Noise`] for more elements than a draw may have, and for sigmas that no Brownian tree spans.
    pub fn noise<'a>(&self, inputs: &RunInputs<'a>) -> Result<RunNoise<'a>, RunError> {
        let count = inputs.count()?;
        let mut it = RunNoise {
            given: *inputs,
            count,
            // A run that adds no noise has zeros instead, also in a known region.
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

    /// Computes the sample at the first call.
    ///
    /// # Errors
    /// [`RunError::Missing`] if the start needs noise and there is none, and those of [`RunNoise::draw`].
    pub fn first_sample(&self, noise: &mut RunNoise<'_>) -> Result<Vec<f64>, RunError> {
        let (of_latent, mut x) = self.first_parts(noise)?;
        if of_latent != 0.0 {
            x.iter_mut().enumerate().for_each(|(i, x)| *x += of_latent * noise.given.latent_at(i));
        }
        Ok(x)
    }

    /// Computes the sample at the first call in two parts: the factor of the latent image, and the sum of all other terms.
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

/// A noise times its factor; zeros, with or without noise, where the factor is 0.
fn scaled(factor: f64, noise: Option<&[f64]>, count: usize) -> Result<Vec<f64>, RunError> {
    match noise {
        _ if factor == 0.0 => Ok(vec![0.0; count]),
        Some(noise) => Ok(noise.iter().map(|z| factor * z).collect()),
        None => Err(RunError::Missing { expected: "a seed, or noise to start the run with" }),
    }
}

impl RunNoise<'_> {
    fn seed(&mut self, run: &RunLoop, seeded: &Seeded) -> Result<(), RunError> {
        let (redraws_known, draws) = (run.redraws_known_noise(), run.draws() > 0 || run.is_adaptive());
        let shape = [self.count];
        let mut noise = Box::new(ComfyNoise::new(seeded.seed));
        let start = noise.start(&shape)?;
        self.start.get_or_insert(start);
        // A sampler that draws new noise for a known region seeds the generator of the start again, with the next seed: the noise is
        // its first draw.
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

    /// The start noise, if it is given or drawn; zeros for a run that adds none.
    #[must_use]
    pub fn start(&self) -> Option<&[f64]> {
        self.given.noise.or(self.start.as_deref())
    }

    /// The noise of a known region, if it is given or drawn; without noise of its own, the start noise.
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

    /// The noise of draw number `draw`, counted from 0, clipped if the run clips noise.
    ///
    /// # Errors
    /// [`RunError::Value`] for a draw that neither the inputs nor a seed give, [`RunError::Missing`] where the sampler would continue
    /// the generator of the start noise and the run adds no such noise, [`RunError::Noise`] where a Brownian tree has no value.
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
                let expected = "noises: the sampler continues the generator of the start noise, and this run adds none";
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

/// The noise clamped at `clip` standard deviations (unbiased, over the whole batch), as ComfyUI does it.
fn clipped(noise: &[f64], clip: Option<f64>) -> Vec<f64> {
    let Some(clip) = clip else { return noise.to_vec() };
    let n = noise.len() as f64;
    let mean = noise.iter().sum::<f64>() / n;
    let deviation = (noise.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let most = clip * deviation;
    noise.iter().map(|z| if most.is_nan() { *z } else { z.clamp(-most, most) }).collect()
}
