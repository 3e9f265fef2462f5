//! Group K: runs of ComfyUI from their seeds alone, noise and all.

use crate::support::loops::{deviation, gaussian_output};
use crate::support::{Vectors, id};
use serde_json::Value;
use tweedie::math::run::{HostLoop, Run, RunError, RunInputs, RunSampler, StepNoise};

/// A recorded run with a seed.
struct Seeded {
    case: Value,
    run: Run,
    shape: Vec<usize>,
}

fn seeded() -> Vec<Seeded> {
    let cases: Vec<Value> = serde_json::from_str(include_str!("vectors/K.json")).unwrap();
    let has_seed = |case: &Value| case["config"]["seed"].is_u64();
    let read = |case: Value| {
        let run = Run::from_json(&case["config"].to_string()).unwrap();
        let shape = case["config"]["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize);
        Seeded { run, shape: shape.collect(), case }
    };
    cases.into_iter().filter(has_seed).map(read).collect()
}

impl Seeded {
    fn tensor(&self, file: &Vectors, name: &str) -> Option<Vec<f64>> {
        let has = self.case["tensors"].as_array().unwrap().iter().any(|it| it == name);
        has.then(|| file.numbers(&format!("{}/{name}", id(&self.case).trim_start_matches("K_"))))
    }

    /// The noise of the start for a run that was given it; the seed of such a run drew the noise of the known region.
    fn given_noise(&self, file: &Vectors) -> Option<Vec<f64>> {
        if self.tensor(file, "noises").is_some() { None } else { self.tensor(file, "noise") }
    }

    fn source(&self) -> StepNoise {
        RunSampler::CATALOGUE.find(self.run.sampler.as_deref().unwrap()).unwrap().make.noise
    }
}

/// Torch's f32 logarithms, sines and cosines, which differ from processor to processor; sums of a few of them in a tree.
const NORMAL: f64 = 2e-6;

#[test]
fn noise_is_comfyuis_own() {
    let file = Vectors::load("K");
    let mut sources = Vec::new();
    for it in seeded() {
        let name = id(&it.case);
        let planned = it.run.plan().unwrap();
        let given = it.given_noise(&file);
        let inputs = RunInputs { shape: &it.shape, noise: given.as_deref(), ..RunInputs::default() };
        let mut noise = planned.noise(&inputs).unwrap();
        let start = deviation(noise.start().unwrap(), &it.tensor(&file, "noise").unwrap());
        assert!(start <= NORMAL, "{name}: the start is off by {start:.1e}");
        if let Some(known) = it.tensor(&file, "inpaint_noise") {
            let off = deviation(noise.known().unwrap(), &known);
            assert!(off <= NORMAL, "{name}: the noise of the known region is off by {off:.1e}");
            assert!(deviation(noise.start().unwrap(), &known) > 0.1, "{name}: both noises are the same");
        }
        let Some(noises) = it.tensor(&file, "noises") else { continue };
        for (draw, expected) in noises.chunks(it.shape.iter().product()).enumerate() {
            let off = deviation(&noise.draw(draw).unwrap(), expected);
            assert!(off <= NORMAL, "{name}: draw {draw} is off by {off:.1e}");
        }
        sources.push(it.source());
    }
    for source in [StepNoise::NextSeed, StepNoise::OfStart, StepNoise::Brownian] {
        assert!(sources.contains(&source), "{source:?}");
    }
}

/// Every run with a seed, from its settings, its seed and the network alone; one was given its start.
#[test]
fn whole_runs_follow_from_their_seeds() {
    let file = Vectors::load("K");
    let mut count = 0;
    for it in seeded() {
        let name = id(&it.case);
        let [mean, spread] = ["mu", "s"].map(|name| it.tensor(&file, name).unwrap());
        let [latent, mask] = ["latent_image", "mask"].map(|name| it.tensor(&file, name));
        let given = it.given_noise(&file);
        let inputs = RunInputs {
            shape: &it.shape,
            noise: given.as_deref(),
            latent_image: latent.as_deref(),
            mask: mask.as_deref(),
            ..RunInputs::default()
        };
        let planned = it.run.plan().unwrap();
        let network = |seed: Option<u64>| {
            let planned = Run { seed: seed.or(it.run.seed), ..it.run.clone() }.plan().unwrap();
            planned
                .drive::<RunError>(&inputs, |ask| {
                    let output = gaussian_output(planned.model(), ask.sigma, ask.x, [&mean, &spread]);
                    Ok([output, Vec::new(), Vec::new(), Vec::new()])
                })
                .unwrap()
        };
        let record = network(None);
        let tolerances: Vec<f64> =
            it.case["tolerance_f32"].as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect();
        let samples = it.tensor(&file, "samples").unwrap();
        let entry = samples.len() / record.samples.len();
        for (k, ((found, expected), bound)) in
            record.samples.iter().zip(samples.chunks(entry)).zip(&tolerances).enumerate()
        {
            let off = deviation(found, expected);
            println!("{name} sample {k}: off by {off:.1e}, allowed {bound:.1e}");
            assert!(off <= *bound, "{name}: sample {k}");
        }
        let last = tolerances.last().unwrap();
        let expected = it.tensor(&file, "output").unwrap();
        assert!(deviation(&record.output, &expected) <= *last, "{name}: the result");
        let other = network(Some(1)).samples.concat();
        assert!(deviation(&other, &samples) > 1000.0 * last, "{name}: another seed passes");
        assert_eq!(planned.draws() > 0, it.tensor(&file, "noises").is_some(), "{name}");
        count += 1;
    }
    assert_eq!(count, 6);
}

/// The tree is asked at the sigmas that a program in f32 asks for, the middle of a step of two stages among them.
#[test]
fn a_brownian_tree_is_asked_at_the_sigmas_of_f32() {
    let file = Vectors::load("K");
    let mut count = 0;
    for it in seeded().into_iter().filter(|it| it.source() == StepNoise::Brownian) {
        let (name, shape) = (id(&it.case), RunInputs { shape: &it.shape, ..RunInputs::default() });
        let asked = it.tensor(&file, "noise_request_f32_stock").unwrap();
        let mut grid = Run { float32: true, ..it.run.clone() }.sigmas().unwrap();
        grid.retain(|sigma| *sigma > 0.0);
        let ends = [grid.last(), grid.first()].map(|sigma| *sigma.unwrap());
        let elements = it.shape.iter().product();
        let mut tree = tweedie::noise::BrownianTree::new(it.run.seed.unwrap(), elements, ends[0], ends[1]).unwrap();
        let mut noise = it.run.plan().unwrap().noise(&shape).unwrap();
        for (draw, span) in asked.chunks(2).enumerate() {
            // The last bit of an f32 sigma moves the path by about 1e-3.
            assert_eq!(noise.draw(draw).unwrap(), tree.noise(span[0], span[1]).unwrap(), "{name}: draw {draw}");
            count += 1;
        }
    }
    assert_eq!(count, 13);
}

#[test]
fn given_noise_wins_over_a_seed() {
    let it = seeded().into_iter().find(|it| id(&it.case).contains("euler_ancestral")).unwrap();
    let count: usize = it.shape.iter().product();
    let (given, planned) = (vec![0.25; count], it.run.plan().unwrap());
    let inputs = RunInputs { shape: &it.shape, noise: Some(&given), ..RunInputs::default() };
    let mut noise = planned.noise(&inputs).unwrap();
    assert_eq!(noise.start().unwrap(), given);
    assert_ne!(noise.draw(0).unwrap(), given, "the noise of the steps is the given one");
    let mut noise = planned.noise(&RunInputs { noises: &given, ..inputs }).unwrap();
    assert_eq!(noise.draw(0).unwrap(), given);
    let text = noise.draw(1).unwrap_err().to_string();
    assert_eq!(text, "noises: expected at least 2 draws, or none and a seed, found 1");
}

#[test]
fn noise_that_no_seed_gives_is_refused() {
    let it = seeded().into_iter().find(|it| id(&it.case).contains("heunpp2")).unwrap();
    let inputs = RunInputs { shape: &it.shape, ..RunInputs::default() };
    let text = |run: Run, inputs| {
        let planned = run.plan().unwrap();
        let result = HostLoop::new(&planned, inputs).map(|_| ());
        result.and_then(|()| planned.noise(&inputs)?.draw(0).map(|_| ())).unwrap_err().to_string()
    };
    let unseeded = Run { seed: None, ..it.run.clone() };
    assert_eq!(text(unseeded, inputs), "expected a seed, or noise to start the run with");
    let without = Run { add_noise: false, ..it.run.clone() };
    assert_eq!(
        text(without.clone(), inputs),
        "expected noises: the sampler continues the generator of the start noise, and this run adds none"
    );
    assert!(without.plan().unwrap().noise(&inputs).unwrap().known().unwrap().iter().all(|z| *z == 0.0));
    let nothing = RunInputs { shape: &[], ..inputs };
    assert_eq!(text(it.run.clone(), nothing), "expected noise, an initial sample, a latent image, or a shape");
    let other = [1, 2];
    let noise = [0.0; 12];
    let wrong = RunInputs { shape: &other, noise: Some(&noise), ..inputs };
    assert_eq!(text(it.run, wrong), "noise: expected 2 elements, found 12");
}
