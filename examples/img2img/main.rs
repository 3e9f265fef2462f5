//! Image to image and inpainting: PNG or JPEG in, PNG out.
//!
//! ```text
//! cargo run --example img2img -- cat.png mosaic.png
//! cargo run --example img2img -- cat.png mosaic.png --strength 0.9 --mask mask.png
//! ```
//!
//! The network knows mosaic tiles: it is the best denoiser of patches that are one of 125 tiles, in closed form. A small
//! strength turns the picture into a mosaic, full strength gives a random one. Where the mask is black, the picture stays as it is.
//! Exit code 0: done, 1: a file or the device failed, 2: a usage error, 3: no adapter.

mod patches;

use anyhow::ensure;
use clap::Parser;
use files::Picture;
use networks::{Calls, Mixture, Network, Tensors, asks};
use patches::{ELEMENTS, LEVELS, SIDE, patches};
use std::path::PathBuf;
use std::process::ExitCode;
use tweedie::gpu::Inpainting;
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::math::catalog::{CatalogError, SamplerOptions};
use tweedie::{Context, Model, Noise, NoiseKey, Recording, Sampler, Sampling, Shape, Tensor};

/// The box that the picture is fitted into.
const MOST_SIDE: u32 = 384;
/// The standard deviation of a pixel from that of its tile.
const DEVIATION: f32 = 0.05;

/// Noises a picture, and denoises it with a network that knows tiles.
#[derive(Parser)]
#[command(name = "img2img")]
struct Options {
    /// The picture to start from.
    input: PathBuf,
    /// The picture to write.
    output: PathBuf,
    /// The part of the steps that is taken, in 0..=1: a larger one keeps less of the picture.
    #[arg(long, default_value_t = 0.2, value_parser = fraction)]
    strength: f64,
    /// A picture of the same size: white is painted anew, black stays.
    #[arg(long)]
    mask: Option<PathBuf>,
    /// The steps at strength 1.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: u16,
    /// The seed of the noise.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn fraction(text: &str) -> Result<f64, String> {
    let fraction = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    fraction.ok_or_else(|| "expected a number in 0..=1".to_owned())
}

fn main() -> ExitCode {
    let options = Options::parse(); // a usage error exits with 2
    let Err(error) = run(&options) else { return ExitCode::SUCCESS };
    if error.is::<CatalogError>() {
        eprintln!("img2img: {error}"); // a strength that leaves no step
        return ExitCode::from(2);
    }
    eprintln!("img2img: {error:#}");
    let no_adapter = matches!(error.downcast_ref(), Some(HeadlessError::NoAdapter));
    ExitCode::from(if no_adapter { 3 } else { 1 })
}

fn run(options: &Options) -> anyhow::Result<()> {
    let model = Model::named("sd15")?;
    let wanted = SamplerOptions { strength: Some(options.strength), ..SamplerOptions::steps(options.steps.into()) };
    let sampler = Sampler::CATALOGUE.find("euler-ancestral")?.build(&model, &wanted)?;
    let input = Picture::open(&options.input, MOST_SIDE, MOST_SIDE)?;
    let across = input.width / SIDE;
    let known = options.mask.as_ref().map(|path| known(path, &input)).transpose()?;
    let kept = known.as_deref();

    let samples = sample(&sampler, model.prediction(), &patches(&input), kept, NoiseKey::seed(options.seed))?;
    let output = patches::picture(&samples, across)?;
    files::picture::save_png(&output.to_rgb(), &options.output)?;
    let (width, height) = (output.width, output.height);
    println!("{}: {width} x {height} pixels, {} calls", options.output.display(), sampler.calls().len());
    Ok(())
}

/// The mask of the known region, 1 where the file is black: a value for each number of each patch.
fn known(path: &std::path::Path, picture: &Picture) -> anyhow::Result<Vec<f32>> {
    let mask = Picture::open(path, MOST_SIDE, MOST_SIDE)?;
    let (width, height) = (picture.width, picture.height);
    let [found_width, found_height] = [mask.width, mask.height];
    ensure!(
        (width, height) == (found_width, found_height),
        "{}: expected a mask of {width} x {height} pixels, like the fitted picture, found {found_width} x {found_height}",
        path.display()
    );
    Ok(patches(&mask).iter().map(|value| (1.0 - value) / 2.0).collect())
}

/// Noises patches to the sampler's first level, and denoises them, in one submit.
fn sample(
    sampler: &Sampler,
    predicts: tweedie::Quantity,
    patches: &[f32],
    known: Option<&[f32]>,
    key: NoiseKey,
) -> anyhow::Result<Vec<f32>> {
    let gpu = pollster::block_on(Gpu::open(None))?;
    let context = Context::new(&gpu.device);
    let shape = Shape::new((patches.len() / ELEMENTS) as u32, ELEMENTS as u32);
    ensure!(shape.batch > 0, "expected a picture of at least {SIDE} x {SIDE} pixels");
    let picture = gpu.upload("picture", bytemuck::cast_slice(patches));
    let mask = known.map(|known| gpu.upload("mask", bytemuck::cast_slice(known)));
    let [x, input, prediction] = ["x", "input", "prediction"].map(|label| gpu.buffer(label, shape.total() * 4));

    let sampling = Sampling {
        known: mask.as_ref().map(|mask| Inpainting { mask: Tensor::f32(mask), x0: Tensor::f32(&picture) }),
        input: Some(Tensor::f32(&input)),
        ..Sampling::in_place(sampler, shape, Tensor::f32(&x), Tensor::f32(&prediction), Noise::drawn(key))
    };
    let start = sampling.start_from(&context, key, Tensor::f32(&picture))?;
    let steps = sampling.plan(&context)?;
    let mixture = Mixture::new(ELEMENTS, &patches::tiles(), &[1.0; LEVELS.pow(3)], DEVIATION);
    let tensors = Tensors { batch: shape.batch, x: &input, prediction: &prediction };
    let network = Network::new(&gpu.device, &mixture, &asks(sampler, predicts), tensors, Calls::Recorded);

    gpu.submit(|encoder| {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        start.record(&mut pass, Recording::timestep(0))?;
        (0..sampler.calls().len() as u32).try_for_each(|call| {
            network.record(&mut pass, call);
            steps.record(&mut pass, Recording::call(call))
        })
    })??;
    let bytes = pollster::block_on(gpu.download(&x, 0..shape.total() * 4))?;
    Ok(bytemuck::pod_collect_to_vec(&bytes))
}
