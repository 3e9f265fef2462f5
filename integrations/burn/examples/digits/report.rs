//! The losses and norms of a training in Burn and in PyTorch: numbers, and a plot of the curves.

use super::batches::Batches;
use anyhow::{Context as _, Result};
use plots::Scale;
use plots::curves::{Panel, Series, draw};

/// The results of both trainings.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    pub date: String,
    pub adapter: String,
    pub fusion: bool,
    pub torch: String,
    pub parameters: usize,
    pub steps: usize,
    pub batch: usize,
    /// The learning rate of the last step.
    pub rate: f64,
    pub burn_step_seconds: f64,
    pub torch_step_seconds: f64,
    pub losses: Curves,
    /// The norms of all gradients together.
    pub norms: Curves,
}

/// A number for each step, in Burn and in PyTorch.
#[derive(Debug, serde::Serialize)]
pub struct Curves {
    /// The largest relative difference, and the first step that has it, counted from 1.
    pub largest_difference: f64,
    pub at_step: usize,
    /// The relative difference in the first step, in which both have the same weights.
    pub first_difference: f64,
    pub burn: Vec<f32>,
    pub torch: Vec<f32>,
}

impl Curves {
    /// Compares the numbers of both, of which there must be equally many.
    pub fn new(burn: Vec<f32>, torch: Vec<f32>) -> Result<Self> {
        anyhow::ensure!(burn.len() == torch.len(), "expected {} steps, found {}", torch.len(), burn.len());
        anyhow::ensure!(
            burn.iter().chain(&torch).all(|number| number.is_finite()),
            "expected finite numbers: {burn:?}"
        );
        let apart = differences(&burn, &torch);
        let first_difference = *apart.first().context("expected a step, found none")?;
        let largest_difference = apart.iter().copied().fold(0.0, f64::max);
        let at_step = 1 + apart.iter().position(|apart| *apart == largest_difference).unwrap_or_default();
        Ok(Self { largest_difference, at_step, first_difference, burn, torch })
    }

    fn panels(&self, name: &str) -> [Panel; 2] {
        let series =
            |name: &str, numbers: &[f32]| -> Series { (name.to_owned(), points(numbers.iter().map(|&x| x.into()))) };
        let both = vec![series("PyTorch", &self.torch), series("Burn and tweedie", &self.burn)];
        let apart = vec![("relative".to_owned(), points(differences(&self.burn, &self.torch).into_iter()))];
        [
            Panel::new(capital(name), name, Scale::Linear, both),
            Panel::new(format!("Difference of the two: {name}"), "relative", Scale::Decades, apart),
        ]
    }
}

/// The difference of each step, relative to PyTorch's number.
fn differences(burn: &[f32], torch: &[f32]) -> Vec<f64> {
    let apart = |(burn, torch): (&f32, &f32)| (f64::from(*burn) - f64::from(*torch)).abs() / f64::from(*torch).abs();
    burn.iter().zip(torch).map(apart).collect()
}

fn points(numbers: impl Iterator<Item = f64>) -> Vec<(f64, f64)> {
    numbers.enumerate().map(|(step, number)| ((step + 1) as f64, number)).collect()
}

fn capital(name: &str) -> String {
    name[..1].to_uppercase() + &name[1..]
}

impl Report {
    /// Creates the report of a whole run from its losses and norms.
    pub fn new(
        batches: &Batches,
        adapter: String,
        parameters: usize,
        seconds: f64,
        found: [Vec<f32>; 2],
    ) -> Result<Self> {
        let [losses, norms] = found;
        let date = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        Ok(Self {
            date: date.split('T').next().unwrap_or_default().to_owned(),
            adapter,
            fusion: cfg!(feature = "fusion"),
            torch: batches.torch.clone(),
            parameters,
            steps: batches.steps(),
            batch: batches.size,
            rate: batches.rates.last().copied().unwrap_or_default(),
            burn_step_seconds: seconds / batches.steps() as f64,
            torch_step_seconds: batches.seconds,
            losses: Curves::new(losses, batches.losses.clone())?,
            norms: Curves::new(norms, batches.norms.clone())?,
        })
    }

    /// The curves as SVG.
    pub fn drawing(&self) -> Result<String> {
        let title = format!("The network for v, continued for {} steps of {} digits", self.steps, self.batch);
        let panels = [self.losses.panels("loss"), self.norms.panels("norm of the gradients")].into_iter().flatten();
        draw(&title, "step", Scale::Linear, &panels.collect::<Vec<_>>())
    }
}
