//! `tweedie sample`: pictures from noise, without trained weights.

use super::{quantity, schedule};
use crate::atomic;
use crate::compute::Adapter;
use crate::picture;
use crate::report::{Failure, Outcome, say};
use crate::sample::drawing::{self, Shown, looks};
use crate::sample::set::{Likeness, Set};
use crate::sample::solvers::{Course, Name};
use crate::sample::studio::{Studio, Take};
use crate::schedule_args::ScheduleArgs;
use anyhow::{Context as _, anyhow};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tweedie::headless::describe;
use tweedie::math::Spacing;
use tweedie::{Quantity, Storage};

/// Generate pictures from noise with the ideal denoiser of a set of pictures
///
/// No weights are needed: what a perfectly trained network would answer about a finite set of pictures is known in closed
/// form. Every solver starts from the same noise and must end on a picture of the set. Writes DIR/grid.png, the generated
/// pictures beside the nearest ones of the set, and DIR/trajectory-NAME.png, one sample on its way and what the network
/// makes of it; and checks where the samples end.
#[derive(clap::Args, Clone, Debug)]
pub struct Sample {
    /// The set: PNG or JPEG files of any size; their middle is used [default: six generated ones]
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// The folder for the results; it is made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// The solvers, or `all`
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', default_value = "ddim,ddpm,heun,dpm++,unipc")]
    sampler: Vec<String>,

    /// Steps from noise to a picture
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    steps: u32,

    /// What the network predicts: epsilon, x0, v, score or flow; flow samples along straight lines and has no schedule
    #[arg(long, value_name = "QUANTITY", default_value = "v", value_parser = quantity)]
    prediction: Quantity,

    /// How many pictures each solver generates
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    count: u32,

    /// The side of the pictures in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 96, value_parser = clap::value_parser!(u32).range(8..=512))]
    size: u32,

    /// The seed of the noise
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// The adapter: its index or a part of its name, as `tweedie devices` lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,

    #[command(flatten)]
    schedule: ScheduleArgs,
}

/// From this many steps on a sample must end on a picture of the set.
const ENOUGH_STEPS: u32 = 10;

/// What ends on a picture looks like it this much, in decibels: the last call's denoiser sees so little noise that one
/// picture explains all of it. What is left is the rounding of f32, below -100 dB.
const LANDED: f64 = 60.0;

impl Sample {
    pub fn run(&self, json: bool) -> Outcome {
        let schedule = schedule(&self.schedule)?;
        let names = Name::list(&self.sampler).map_err(Failure::input)?;
        let course = Course {
            schedule: &schedule,
            spacing: Spacing::Trailing,
            steps: self.steps as usize,
            prediction: self.prediction,
            eta: 0.0,
        };
        let samplers = names.iter().map(|name| name.sampler(&course)).collect::<anyhow::Result<Vec<_>>>()?;
        let set = Set::open(&self.images, self.size)?;
        let adapter = Adapter::open(self.adapter.as_deref(), Storage::F32)?;
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let studio =
            Studio { adapter: &adapter, set: &set, count: self.count, seed: self.seed, prediction: self.prediction };
        if !json {
            self.print_header(&adapter, &set)?;
        }
        let mut takes = Vec::new();
        for (name, sampler) in names.iter().zip(&samplers) {
            let take = studio.take(name.title(), sampler, &looks(sampler.calls().len()))?;
            self.report(&Shown { name: *name, sampler, take: &take }, &set, json)?;
            takes.push(take);
        }
        let shown: Vec<Shown<'_>> = names
            .iter()
            .zip(&samplers)
            .zip(&takes)
            .map(|((&name, sampler), take)| Shown { name, sampler, take })
            .collect();
        self.draw(&set, &shown, json)?;
        self.check(&set, &shown)
    }

    fn print_header(&self, adapter: &Adapter, set: &Set) -> Outcome {
        say(format_args!("{}", describe(&adapter.gpu.info)))?;
        say(format_args!("{}, {} samples each\n", self.subtitle(set), self.count))?;
        say(format_args!(
            "{:<18} {:>6} {:>10} {:>7} {:>9}  {:<28} found",
            "sampler", "calls", "dispatches", "noises", "ms", "nearest picture: worst, best"
        ))
    }

    fn subtitle(&self, set: &Set) -> String {
        let (count, side) = (set.members.len(), set.side);
        format!(
            "{count} pictures of {side} x {side}, {} predicted, {} steps, seed {}",
            self.prediction, self.steps, self.seed
        )
    }

    fn report(&self, shown: &Shown<'_>, set: &Set, json: bool) -> Outcome {
        let Shown { name, sampler, take } = shown;
        let near = likenesses(set, take);
        let psnr = || near.iter().map(|likeness| likeness.psnr);
        let worst = psnr().fold(f64::INFINITY, f64::min);
        let best = psnr().fold(f64::NEG_INFINITY, f64::max);
        let calls = sampler.calls().len();
        let found: BTreeSet<&str> = near.iter().map(|likeness| set.members[likeness.member].name.as_str()).collect();
        if json {
            let finite = |psnr: f64| psnr.is_finite().then_some(psnr);
            return say(json!({
                "sampler": name.to_string(),
                "steps": self.steps,
                "calls": calls,
                "dispatches": take.dispatches,
                "noises": sampler.noises(),
                "ms": take.seconds * 1e3,
                "psnr_worst": finite(worst),
                "psnr_best": finite(best),
                "found": found,
                "landed": self.must_land().then_some(landed(&near)),
            }));
        }
        let verdict = if self.must_land() && !landed(&near) { "  FAILED" } else { "" };
        say(format_args!(
            "{:<18} {calls:>6} {:>10} {:>7} {:>9.1}  {:<28} {}{verdict}",
            name.to_string(),
            take.dispatches,
            sampler.noises(),
            take.seconds * 1e3,
            format!("{worst:.1} dB, {best:.1} dB"),
            found.into_iter().collect::<Vec<_>>().join(" "),
        ))
    }

    /// Everything is drawn before the first file is replaced.
    fn draw(&self, set: &Set, shown: &[Shown<'_>], json: bool) -> Outcome {
        let subtitle = || self.subtitle(set);
        let mut files = vec![("grid.png".to_owned(), drawing::grid(set, shown, subtitle())?)];
        for one in shown {
            files.push((format!("trajectory-{}.png", one.name), drawing::trajectory(set, one, subtitle())?));
        }
        let paths: Vec<PathBuf> = files.iter().map(|(name, _)| self.out.join(name)).collect();
        paths.iter().try_for_each(|path| atomic::check_destination(path))?;
        for ((_, image), path) in files.iter().zip(&paths) {
            picture::save_png(image, path)?;
        }
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        if json {
            return say(json!({ "files": paths }));
        }
        say("")?;
        paths.iter().try_for_each(|path| say(format_args!("-> {path}")))
    }

    /// Few steps may end between pictures, many may not.
    const fn must_land(&self) -> bool {
        self.steps >= ENOUGH_STEPS
    }

    fn check(&self, set: &Set, shown: &[Shown<'_>]) -> Outcome {
        let stray = shown.iter().filter(|one| !landed(&likenesses(set, one.take)));
        let names: Vec<String> = stray.map(|one| one.name.to_string()).collect();
        if self.must_land() && !names.is_empty() {
            let names = names.join(", ");
            return Err(Failure::check(anyhow!(
                "not every sample of {names} ended on a picture of the set ({LANDED} dB)"
            )));
        }
        Ok(())
    }
}

fn likenesses(set: &Set, take: &Take) -> Vec<Likeness> {
    take.samples.iter().map(|sample| set.nearest(sample)).collect()
}

fn landed(likenesses: &[Likeness]) -> bool {
    likenesses.iter().all(|likeness| likeness.psnr >= LANDED)
}
