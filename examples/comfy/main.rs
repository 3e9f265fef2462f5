//! Runs a workflow of ComfyUI and prints the latent, which is the one that ComfyUI makes:
//! `cargo run --features run-files --example comfy [FILE]`. FILE is a workflow of a rectified flow without guidance.
//!
//! The network is the best one for normal data, in closed form. ComfyUI was run on `workflow.json` with the same network, and
//! the example checks that the latent is the same. Exit code 0: it is, or FILE was given; 1: it is not, or an error.

mod network;

use anyhow::{Context as _, Result, ensure};
use network::{ELEMENTS, Network};
use tweedie::headless::Gpu;
use tweedie::math::run::{Run, RunInputs};
use tweedie::{Context, Error, Loop, LoopTensors, Shape, Storage, Tensor};

/// The latent: two samples of two channels.
const SHAPE: [usize; 4] = [2, 2, 2, 3];

/// The latent that ComfyUI 0.33.0 makes of `workflow.json`, in f32.
const COMFYUI: [f32; 2 * ELEMENTS] = [
    -0.292_070_06,
    0.924_024_94,
    0.596_561_43,
    -0.023_231_857,
    -1.339_089_6,
    -0.067_849_62,
    0.104_156_6,
    0.319_291_44,
    -0.123_574_354,
    1.188_873_4,
    -1.503_625_6,
    -0.534_189_3,
    -0.696_396_35,
    -0.116_372_87,
    -0.665_119_65,
    0.046_903_26,
    -1.452_626_5,
    0.407_938_57,
    0.311_598_54,
    -1.757_918_1,
    1.770_260_2,
    0.666_238_7,
    -1.913_442_9,
    -0.766_342_3,
];

/// Rounding of f32 over nine calls: ComfyUI's own run in f32 is 6.6e-6 from its run in f64.
const NEAR: f32 = 1e-5;

fn main() -> Result<()> {
    let path = std::env::args().nth(1);
    let workflow = path.as_ref().map_or(Ok(include_str!("workflow.json").to_owned()), std::fs::read_to_string)?;
    let latent = latent(&workflow)?;
    println!("{latent:?}");
    if path.is_none() {
        let off = latent.iter().zip(COMFYUI).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max);
        println!("off by {off:.1e} from ComfyUI's own");
        ensure!(off <= NEAR && latent.iter().all(|x| x.is_finite()), "expected ComfyUI's latent");
    }
    Ok(())
}

/// The loop around the network.
fn latent(workflow: &str) -> Result<Vec<f32>> {
    let gpu = pollster::block_on(Gpu::open(None))?;
    let context = Context::new(&gpu.device);
    let shape = Shape::new(2, ELEMENTS as u32);
    let [x, prediction] = ["x", "prediction"].map(|label| gpu.buffer(label, 4 * shape.total()));
    let network = Network::new(&gpu.device, &x, &prediction);

    // A model, a sampler, steps and a seed, with sigmas computed in f32 as by ComfyUI.
    let run = Run { float32: true, ..Run::from_comfyui(workflow, None, None)? }.plan()?;
    let noise = run.noise(&RunInputs { shape: &SHAPE, ..RunInputs::default() })?;
    let tensors = LoopTensors::in_place(Tensor::f32(&x), Tensor::f32(&prediction));
    let recorded = Loop::new(&context, &run, shape, &tensors, noise)?;
    gpu.submit(|encoder| {
        recorded.record(encoder, |encoder, call| -> Result<(), Error> {
            network.record(encoder, &call);
            Ok(())
        })
    })??;

    let bytes = pollster::block_on(gpu.download(&x, 0..4 * shape.total())).context("the latent")?;
    Ok(Storage::F32.decode(&bytes))
}
