//! Whole runs of ComfyUI, replayed: its recorded network outputs go in, and its result must come out.
//!
//! The tensors are f32, and the recorded outputs are rounded to that. The bound on the result is that of a forward analysis of the
//! run: each row passes on the errors of the samples that it reads, times its coefficients, and adds those of its own sums.

use crate::device::Device;
use crate::inexact::{Inexact, compared};
use crate::tensors::Tensors;
use crate::{Error, Named, Outcome, WRONG};
use serde_json::Value;
use tweedie::gpu::compare::Comparison;
use tweedie::math::run::{Run, RunInputs, RunLoop, RunNoise};
use tweedie::{Loop, LoopTensors, Shape, Storage, Tensor, wgpu};

const CASES: &str = include_str!("../../../tests/vectors/K.json");
static TENSORS: Tensors = Tensors::new(include_bytes!("../../../tests/vectors/K.safetensors"));

/// Roundings of the start: of products of noise and latent image with factors that are products themselves.
const START: f64 = 6.0;

/// A recorded run.
#[derive(Debug)]
pub struct Trajectory {
    planned: RunLoop,
    shape: Shape,
    sizes: Vec<usize>,
    noise: Option<Vec<f64>>,
    noises: Vec<f64>,
    latent_image: Option<Vec<f64>>,
    outputs: [Vec<f32>; 2],
    result: Vec<f64>,
}

/// The runs that can be recorded ahead and have a result, without a mask: all but those of `dpm_adaptive`, which chooses its steps
/// by its errors, of flows that end at pure noise, and of known regions, whose errors do not follow from the rows alone.
pub fn trajectories() -> Outcome<Vec<Named<Trajectory>>> {
    let cases: Vec<Value> = serde_json::from_str(CASES).map_err(Error::of_record)?;
    let is_masked = |case: &Value| case["tensors"].as_array().is_some_and(|names| names.iter().any(|it| it == "mask"));
    let whole = cases.iter().filter(|case| case["config"]["sampler"].is_string() && !is_masked(case));
    let all = whole.map(read).collect::<Outcome<Vec<_>>>()?;
    Ok(all.into_iter().filter(|(_, it)| !it.planned.is_adaptive() && it.planned.end().is_finite()).collect())
}

fn read(case: &Value) -> Outcome<Named<Trajectory>> {
    let id = case["id"].as_str().unwrap_or_default().trim_start_matches("K_");
    let tensor = |name: &str| -> Outcome<Option<Vec<f64>>> {
        let has = case["tensors"].as_array().is_some_and(|names| names.iter().any(|it| it == name));
        has.then(|| TENSORS.numbers(&format!("{id}/{name}"))).transpose()
    };
    let planned = Run::from_json(&case["config"].to_string()).map_err(Error::of_record)?;
    let planned = planned.plan().map_err(Error::of_record)?;
    let sizes = case["config"]["shape"].as_array().into_iter().flatten().filter_map(Value::as_u64);
    let sizes: Vec<usize> = sizes.map(|size| size as usize).collect();
    let (batch, elements) = (sizes.first().copied().unwrap_or(0), sizes.iter().skip(1).product::<usize>());
    let narrow = |values: Option<Vec<f64>>| values.unwrap_or_default().into_iter().map(|x| x as f32).collect();
    let trajectory = Trajectory {
        planned,
        shape: Shape::new(batch as u32, elements as u32),
        sizes,
        noise: tensor("noise")?,
        noises: tensor("noises")?.unwrap_or_default(),
        latent_image: tensor("latent_image")?,
        outputs: [narrow(tensor("call_output")?), narrow(tensor("call_output_uncond")?)],
        result: tensor("output")?.unwrap_or_default(),
    };
    Ok((id.to_owned(), trajectory))
}

/// Replays a run in one submit, with its own coefficients or spoilt ones.
pub async fn check(device: &Device<'_>, of: &Trajectory, wrong: bool) -> Outcome<Comparison> {
    let mut planned = of.planned.clone();
    if wrong {
        planned.calls_mut().iter_mut().for_each(|call| {
            call.row.x *= WRONG;
            call.row.clean *= WRONG;
        });
    }
    let total = of.shape.total();
    let upload = |values: &[f64]| {
        let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
        device.upload("verify::trajectory", &values)
    };
    let outputs = of.outputs.each_ref().map(|values| device.upload("verify::outputs", values));
    let [x, input, prediction, unconditional] =
        ["x", "input", "prediction", "unconditional"].map(|label| device.buffer(label, total));
    let latent_image = of.latent_image.as_deref().map(upload);
    let tensors = LoopTensors {
        unconditional: Some(Tensor::f32(&unconditional)),
        latent_image: latent_image.as_ref().map(Tensor::f32),
        ..LoopTensors::new(Tensor::f32(&x), Tensor::f32(&input), Tensor::f32(&prediction))
    };
    let inputs = RunInputs {
        shape: &of.sizes,
        noise: of.noise.as_deref(),
        noises: &of.noises,
        latent_image: of.latent_image.as_deref(),
        ..RunInputs::default()
    };
    let [noise, noise_of_bounds] = [0; 2].map(|_| planned.noise(&inputs));
    let (noise, mut noise_of_bounds) = (noise.map_err(Error::of_record)?, noise_of_bounds.map_err(Error::of_record)?);
    let recorded = Loop::new(device.context, &planned, of.shape, &tensors, noise).map_err(Error::Loop)?;
    let bytes = total * Storage::F32.bytes();
    let network = |encoder: &mut wgpu::CommandEncoder, index: usize| {
        for (from, to) in outputs.iter().zip([&prediction, &unconditional]) {
            let begin = index as u64 * bytes;
            if begin + bytes <= from.size() {
                encoder.copy_buffer_to_buffer(from, begin, to, 0, bytes);
            }
        }
    };
    let record = |encoder: &mut wgpu::CommandEncoder| {
        recorded.record(encoder, |encoder, call| -> Result<(), tweedie::Error> {
            network(encoder, call.index);
            Ok(())
        })
    };
    device.gpu.submit(record)?.map_err(Error::Loop)?;
    let bounds = of.bounds(&mut noise_of_bounds)?;
    let found = device.read(Storage::F32, &x, total).await?;
    Ok(compared(&found, &of.result, &bounds))
}

/// The clean samples of a call: the guided one, and that of the unconditional prediction.
type Clean = [Inexact; 2];

impl Trajectory {
    /// The bound on the error of each element of the result.
    fn bounds(&self, noise: &mut RunNoise<'_>) -> Outcome<Vec<f64>> {
        let total = self.shape.total() as usize;
        let mut x = Inexact::rounded(self.planned.first_sample(noise).map_err(Error::of_record)?, START);
        let (mut past, mut clean, mut answers): (Vec<Inexact>, Clean, _) = (Vec::new(), Clean::default(), 0..);
        for (call, asks) in self.planned.calls().iter().zip(self.planned.asks()) {
            let row = &call.row;
            let mut predictions = [Inexact::default(), Inexact::default()];
            if *asks {
                let begin = answers.next().unwrap_or(0) * total;
                predictions = self.outputs.each_ref().map(|list| {
                    let answer = list.get(begin..begin + total).unwrap_or_default();
                    Inexact::rounded(answer.iter().map(|x| f64::from(*x)).collect(), 1.0)
                });
                let [conditional, unconditional] = &predictions;
                let [of_x, of_p, _] = row.x0;
                let [c, u] = row.guidance.map(|guidance| of_p * guidance);
                clean = [
                    Inexact::sum(&[(of_x, &x), (c, conditional), (u, unconditional)]),
                    Inexact::sum(&[(of_x, &x), (of_p, unconditional)]),
                ];
            }
            let draws = [(row.z, call.noise), (row.second_z.0, row.second_z.1 as usize)];
            let mut terms = Vec::new();
            for (c, draw) in draws.into_iter().filter(|(c, _)| *c != 0.0) {
                terms.push((c, Inexact::rounded(noise.draw(draw).map_err(Error::of_record)?, 1.0)));
            }
            let mut all: Vec<(f64, &Inexact)> = terms.iter().map(|(c, it)| (*c, it)).collect();
            all.extend(row.history.iter().copied().zip(past.iter().rev()));
            all.push((row.unconditional_clean, &clean[1]));
            if *asks {
                // The kernel writes the clean sample out in terms of the sample and the outputs.
                let [of_x, of_p, _] = row.x0.map(|c| c * row.clean);
                let [c, u] = row.guidance.map(|guidance| of_p * guidance);
                all.extend([(row.x + of_x, &x), (c, &predictions[0]), (u, &predictions[1])]);
            } else {
                all.extend([(row.x, &x), (row.clean, &clean[0])]);
            }
            let [of_x, of_clean, of_alone] = row.kept;
            let remembered = Inexact::sum(&[(of_x, &x), (of_clean, &clean[0]), (of_alone, &clean[1])]);
            x = Inexact::sum(&all);
            past.push(remembered);
        }
        let end = self.planned.end();
        Ok(Inexact::sum(&[(end, &x)]).errors)
    }
}
