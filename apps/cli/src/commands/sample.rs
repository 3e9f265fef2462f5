//! `tweedie sample`: pictures from noise, without trained weights.

use crate::engine::Adapter;
use crate::model_args::ModelArgs;
use crate::report::{Failure, Outcome, say};
use crate::sample::drawing::{self, Shown, looks};
use crate::sample::generate::{Generated, Generator};
use crate::sample::sampler_list::{Choice, Entry, sampler_list};
use crate::sample::set::{Likeness, Set};
use crate::sampler_args::SamplerArgs;
use anyhow::{Context as _, anyhow};
use files::{atomic, picture};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tweedie::Storage;
use tweedie::headless::Gpu;
use tweedie::table::Clip;

/// Generate pictures from noise with the ideal denoiser of a set of pictures
///
/// No weights are needed: what a perfectly trained network would predict for a finite set of pictures is known in closed
/// form. Every sampler starts from the same noise. Writes DIR/grid.png, the generated pictures next to the nearest ones of the
/// set, and DIR/trajectory-NAME.png, one sample call by call and the clean picture that the network predicts. Exits with 1
/// if samples that should end on a picture of the set do not.
#[derive(clap::Args, Clone, Debug)]
pub struct Sample {
    /// The set: PNG or JPEG files of any size, cropped to their central square [default: six generated pictures]
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// The folder for the results, created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// Names of samplers from `tweedie list samplers`, such as ddim,dpm++, or all [default: that of --config, or those of ddim,
    /// ddpm, heun, dpm++ and flow-euler that suit the model]
    #[arg(long = "sampler", id = "sampler", value_name = "NAME,..", value_delimiter = ',', value_parser = Choice::parse)]
    choices: Vec<Choice>,

    /// The number of pictures that each sampler generates
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
    options: SamplerArgs,

    #[command(flatten)]
    model: ModelArgs,
}

/// The PSNR of a sample and its picture, in decibels, from which it counts as landed on it. What is left is the rounding of
/// f32, more than 100 dB below the picture; for samplers whose last step mixes earlier slopes (PNDM, iPNDM), their error, some
/// 60 dB below it. Other pictures are within 20 dB.
const LANDED: f64 = 50.0;

/// The most noise, as a share of the variance, at which the last call can tell the pictures apart.
const LITTLE_NOISE: f64 = 0.1;

impl Sample {
    pub fn run(&self, json: bool) -> Outcome {
        let entries = sampler_list(&self.choices, &self.options, &self.model)?;
        let set = Set::open(&self.images, self.size)?;
        let adapter = Adapter::open(self.adapter.as_deref(), Storage::F32)?;
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let generator = Generator { adapter: &adapter, set: &set, count: self.count, seed: self.seed };
        if !json {
            self.print_header(&adapter, &set)?;
        }
        let mut takes = Vec::new();
        for entry in &entries {
            let take = generator.generate(entry, &looks(entry.sampler.calls().len()))?;
            check_finite(entry, &take)?;
            report(&Shown { entry, take: &take }, &set, json)?;
            takes.push(take);
        }
        let shown: Vec<Shown<'_>> = entries.iter().zip(&takes).map(|(entry, take)| Shown { entry, take }).collect();
        self.draw(&set, &shown, json)?;
        check(&set, &shown)
    }

    fn print_header(&self, adapter: &Adapter, set: &Set) -> Outcome {
        say(format_args!("{}", Gpu::describe(&adapter.gpu.info)))?;
        say(format_args!("{}, {} samples each\n", self.subtitle(set), self.count))?;
        say(format_args!(
            "{:<16} {:<9} {:>6} {:>10} {:>7} {:>9}  {:<28} found",
            "sampler", "predicted", "calls", "dispatches", "noises", "ms", "nearest picture: worst, best"
        ))
    }

    fn subtitle(&self, set: &Set) -> String {
        let (count, side) = (set.members.len(), set.side);
        format!("The ideal denoiser of {count} pictures of {side} x {side}, seed {}", self.seed)
    }

    /// Everything is drawn before the first file is replaced.
    fn draw(&self, set: &Set, shown: &[Shown<'_>], json: bool) -> Outcome {
        let subtitle = || self.subtitle(set);
        let mut files = vec![(self.out.join("grid.png"), drawing::grid(set, shown, subtitle())?)];
        for one in shown {
            let name = format!("trajectory-{}.png", one.entry.name);
            files.push((self.out.join(name), drawing::trajectory(set, one, subtitle())?));
        }
        files.iter().try_for_each(|(path, _)| atomic::check_destination(path))?;
        files.iter().try_for_each(|(path, image)| picture::save_png(image, path))?;
        let paths: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
        if json {
            return say(json!({ "files": paths }));
        }
        say("")?;
        paths.iter().try_for_each(|path| say(format_args!("-> {path}")))
    }
}

fn report(shown: &Shown<'_>, set: &Set, json: bool) -> Outcome {
    let Shown { entry, take } = shown;
    let near = likenesses(set, take);
    let psnr = || near.iter().map(|likeness| likeness.psnr);
    let worst = psnr().fold(f64::INFINITY, f64::min);
    let best = psnr().fold(f64::NEG_INFINITY, f64::max);
    let (name, calls, noises) = (entry.name.to_string(), entry.sampler.calls().len(), entry.sampler.noises());
    let found: BTreeSet<&str> = near.iter().map(|likeness| set.members[likeness.member].name.as_str()).collect();
    let landed = must_land(entry).then(|| landed(&near));
    if json {
        let finite = |psnr: f64| psnr.is_finite().then_some(psnr);
        return say(json!({
            "sampler": name,
            "prediction": entry.predicts.name(),
            "grid": entry.sampler.grid(),
            "calls": calls,
            "dispatches": take.dispatches,
            "noises": noises,
            "ms": take.seconds * 1e3,
            "psnr_worst": finite(worst),
            "psnr_best": finite(best),
            "found": found,
            "landed": landed,
        }));
    }
    say(format_args!(
        "{name:<16} {:<9} {calls:>6} {:>10} {noises:>7} {:>9.1}  {:<28} {}{}",
        entry.predicts,
        take.dispatches,
        take.seconds * 1e3,
        format!("{worst:.1} dB, {best:.1} dB"),
        found.into_iter().collect::<Vec<_>>().join(" "),
        if landed == Some(false) { "  FAILED" } else { "" },
    ))
}

/// Returns whether a sampler has to end on pictures: its last call sees nearly clean samples and its last step leads to clean
/// ones, which nothing clips.
fn must_land(entry: &Entry) -> bool {
    entry.sampler.calls().last().is_some_and(|call| {
        let clean = call.row.known[1] == 0.0 && entry.sampler.clip() == Clip::None;
        clean && call.level.one_minus_alpha_bar() < LITTLE_NOISE
    })
}

/// Refuses a sample that left the range of f32, before anything is drawn.
fn check_finite(entry: &Entry, take: &Generated) -> Outcome {
    let beyond = |sample: &Vec<f32>| sample.iter().position(|value| !value.is_finite());
    let found = take.samples.iter().enumerate().find_map(|(i, sample)| Some((i, beyond(sample)?)));
    let Some((sample, element)) = found else { return Ok(()) };
    let (name, value) = (entry.name, take.samples[sample][element]);
    let found = format!("{name}: sample {sample} is beyond the range of f32: found {value} at element {element}");
    Err(Failure::check(anyhow!("{found} after the last step")))
}

fn check(set: &Set, shown: &[Shown<'_>]) -> Outcome {
    let stray = shown.iter().filter(|one| must_land(one.entry) && !landed(&likenesses(set, one.take)));
    let names: Vec<String> = stray.map(|one| one.entry.name.to_string()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let names = names.join(", ");
    Err(Failure::check(anyhow!(
        "not every sample of {names} ended on a picture of the set (PSNR of at least {LANDED} dB)"
    )))
}

fn likenesses(set: &Set, take: &Generated) -> Vec<Likeness> {
    take.samples.iter().map(|sample| set.nearest(sample)).collect()
}

fn landed(likenesses: &[Likeness]) -> bool {
    likenesses.iter().all(|likeness| likeness.psnr >= LANDED)
}
