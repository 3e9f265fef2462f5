//! Every recorded run of ComfyUI as a loop of one submit, except for the adaptive ones.

use crate::harness::Harness;
use crate::loop_scene::{Data, Scene, upload};
use crate::support::loops::deviation;
use crate::support::{Vectors, id};
use serde_json::Value;
use tweedie::math::run::{Run, RunInputs, RunLoop};
use tweedie::{Error, LoopMask, LoopTensors, Shape, Tensor};

pub const TESTS: &[crate::Test] =
    &[("loop_records::every_recorded_run_in_one_submit", every_recorded_run_in_one_submit)];

/// The recorded tolerances are those of runs in which only the outputs are rounded to f32. Here the sample, the noise, what is
/// remembered and the network's own arithmetic are f32 too, and each call rounds its sums: four times as many roundings of that size.
const STORED: f64 = 4.0;

/// A recorded run.
struct Recorded {
    case: Value,
    run: RunLoop,
    shape: Shape,
    sizes: Vec<usize>,
}

fn recorded_runs() -> Vec<Recorded> {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../vectors/K.json")).expect("the cases");
    let is_whole = |case: &Value| case["config"]["sampler"].is_string();
    let read = |case: Value| {
        let run = Run::from_json(&case["config"].to_string()).expect("a run").plan().expect("a plan");
        let size = |value: &Value| value.as_u64().expect("a size") as usize;
        let sizes: Vec<usize> = case["config"]["shape"].as_array().expect("a shape").iter().map(size).collect();
        let (batch, elements) = (sizes[0], sizes[1..].iter().product::<usize>());
        Recorded { run, shape: Shape::new(batch as u32, elements as u32), sizes, case }
    };
    cases.into_iter().filter(is_whole).map(read).filter(|it| !it.run.is_adaptive()).collect()
}

impl Recorded {
    fn tensor(&self, file: &Vectors, name: &str) -> Option<Vec<f64>> {
        let has = self.case["tensors"].as_array().expect("names").iter().any(|it| it == name);
        has.then(|| file.numbers(&format!("{}/{name}", id(&self.case).trim_start_matches("K_"))))
    }

    fn data(&self, file: &Vectors) -> Data {
        let of = |name: &str| self.tensor(file, name);
        let conditional = ["mu", "s"].map(|name| of(name).expect("the data"));
        let [mean, deviation] = ["mu_uncond", "s_uncond"].map(of);
        let unconditional = mean.zip(deviation).map_or_else(|| conditional.clone(), |(mean, spread)| [mean, spread]);
        Data { conditional, unconditional }
    }
}

/// Every sampler, mask, window and scale of the recordings, from recorded noise and the network: start, calls and end in one submit.
/// Runs with a seed and noise between their steps are repeated from the seed alone.
fn every_recorded_run_in_one_submit(harness: &Harness) {
    let (file, mut count, mut seeds) = (Vectors::load("K"), 0, 0);
    for it in recorded_runs() {
        let name = id(&it.case);
        let given = ["noise", "latent_image", "mask", "inpaint_noise", "noises"].map(|name| it.tensor(&file, name));
        let [noise, latent_image, mask, inpaint_noise, noises] = given.each_ref().map(Option::as_deref);
        let noises = noises.unwrap_or_default();
        let inputs = RunInputs { noise, latent_image, mask, inpaint_noise, noises, ..RunInputs::default() };
        let data = it.data(&file);
        let scene = Scene::new(harness, &it.run, it.shape, &data);
        let latent = latent_image.map(|image| upload(harness, image));
        let tensors = LoopTensors {
            latent_image: latent.as_ref().map(Tensor::f32),
            mask: mask.map(LoopMask::Host),
            ..scene.tensors()
        };
        let recorded = scene.recorded(&tensors, it.run.noise(&inputs).expect("noise"));
        let found = scene.run(&recorded);
        let tolerance = it.case["tolerance_f32"].as_array().and_then(|all| all.last()?.as_f64()).expect("a tolerance");
        // A flow divides its last sample by 1 less the last sigma.
        let allowed = STORED * tolerance * it.run.end();
        let off = deviation(&found, &it.tensor(&file, "output").expect("the result"));
        println!("{name}: off by {off:.1e}, allowed {allowed:.1e}");
        assert!(off <= allowed, "{name}: off by {off:.1e}, allowed {allowed:.1e}");
        assert_eq!(recorded.calls(), it.run.call_sigmas().len(), "{name}");
        if mask.is_none() {
            assert_eq!(recorded.dispatches() - it.run.calls().len(), 1 + usize::from(it.run.end() != 1.0), "{name}");
        }
        if it.run.needs_unconditional() && mask.is_none() {
            let off = deviation(&in_one_batch(&scene, &inputs, tensors.latent_image), &found);
            assert!(off <= allowed, "{name}: both predictions in one batch: off by {off:.1e}");
        }
        if it.run.has_seed() && !noises.is_empty() {
            let seeded = it.run.noise(&RunInputs { shape: &it.sizes, ..RunInputs::default() }).expect("noise");
            let off = deviation(&scene.run(&scene.recorded(&tensors, seeded)), &found);
            println!("{name} from its seed: off by {off:.1e}");
            assert!(off <= allowed, "{name} from its seed: off by {off:.1e}, allowed {allowed:.1e}");
            seeds += 1;
        }
        count += 1;
    }
    assert_eq!((count, seeds), (160, 5));
}

/// Returns the result of the same run with `[cond | uncond]` in one buffer, and an input that holds the sample twice.
fn in_one_batch(scene: &Scene<'_>, inputs: &RunInputs<'_>, latent_image: Option<Tensor<'_>>) -> Vec<f64> {
    let [x, input, outputs] = [&scene.x, &scene.input, &scene.outputs].map(Tensor::f32);
    let tensors = LoopTensors { latent_image, ..LoopTensors::in_one_batch(scene.shape, x, input, outputs) };
    let bytes = 4 * scene.shape.total();
    let recorded = scene.recorded(&tensors, scene.run.noise(inputs).expect("noise"));
    let (networks, apart) = (scene.networks(&recorded, scene.apart()), scene.harness.gpu.buffer("apart", bytes));
    let record = |encoder: &mut wgpu::CommandEncoder| {
        recorded.record(encoder, |encoder, call| -> Result<(), Error> {
            networks.iter().for_each(|network| network.record(encoder, call.index));
            // These networks bind their outputs at separate offsets; a network of one batch writes one right after the other.
            encoder.copy_buffer_to_buffer(&scene.outputs, scene.apart(), &apart, 0, bytes);
            encoder.copy_buffer_to_buffer(&apart, 0, &scene.outputs, bytes, bytes);
            Ok(())
        })
    };
    scene.harness.gpu.submit(record).expect("device").expect("a recording");
    let both = scene.harness.read(&scene.input);
    assert!(both[..bytes as usize] == both[bytes as usize..], "the input holds the sample twice");
    scene.read(&scene.x)
}
