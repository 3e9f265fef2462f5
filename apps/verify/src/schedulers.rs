//! Whole runs of the scheduler classes of diffusers, replayed: the options of a class and its recorded network outputs go in, and
//! its result must come out.
//!
//! The tensors are f32. The bound on the result is that of a forward analysis of the rows; a clip does not enlarge an error.

use crate::device::Device;
use crate::inexact::{Inexact, compared};
use crate::tensors::Tensors;
use crate::{Error, Named, Outcome, WRONG};
use serde_json::Value;
use tweedie::config::Scheduler;
use tweedie::gpu::compare::Comparison;
use tweedie::math::catalog::SamplerOptions;
use tweedie::table::{Clip, Deviation};
use tweedie::{Noise, Recording, Sampler, Sampling, Shape, Storage, Tensor, wgpu};

const CASES: &str = include_str!("../../../tests/vectors/P.json");
static TENSORS: Tensors = Tensors::new(include_bytes!("../../../tests/vectors/P.safetensors"));

/// A recorded run of a class.
#[derive(Debug)]
pub struct Recorded {
    sampler: Sampler,
    shape: Shape,
    /// The first sample, with the churn of the first step in it.
    first: Vec<f64>,
    outputs: Vec<Vec<f64>>,
    /// The noise of each call; empty where none is drawn.
    noises: Vec<Vec<f64>>,
    result: Vec<f64>,
}

/// The recorded runs of classes that are one sampler on whole samples, with one prediction and a variance that is not learned.
pub fn recorded() -> Outcome<Vec<Named<Recorded>>> {
    let cases: Vec<Value> = serde_json::from_str(CASES).map_err(Error::of_record)?;
    let all = cases.iter().filter(|case| is_plain(case)).map(read);
    let all = all.collect::<Outcome<Vec<_>>>()?;
    Ok(all.into_iter().filter(|(_, it)| it.is_whole()).collect())
}

/// The arguments of `set_timesteps` that are read here, and the tensors that a plain run does not have.
const ARGUMENTS: [&str; 4] = ["num_inference_steps", "timesteps", "sigmas", "mu"];
const OTHERS: [&str; 10] = [
    "original",
    "mask",
    "emit_mask",
    "kind",
    "var_values",
    "times",
    "token_timesteps",
    "conditioning",
    "moves",
    "prev_timesteps",
];

fn is_plain(case: &Value) -> bool {
    let config = &case["config"];
    let knows = |set: &Value, names: &[&str]| {
        set.as_object().is_none_or(|set| set.keys().all(|name| names.contains(&name.as_str())))
    };
    let has = |name: &&str| !case["tensors"][*name].is_null();
    let is_run = ["samples", "model_outputs", "timesteps"].iter().all(has);
    knows(&config["set_timesteps"], &ARGUMENTS)
        && knows(&config["step_kwargs"], &["eta"])
        && is_run
        && !OTHERS.iter().any(has)
}

fn read(case: &Value) -> Outcome<Named<Recorded>> {
    let id = case["id"].as_str().unwrap_or_default().trim_start_matches("P_");
    let sizes = |name: &str| -> Vec<usize> {
        let sizes = case["tensors"][name].as_array().into_iter().flatten();
        sizes.filter_map(Value::as_u64).map(|size| size as usize).collect()
    };
    let parts = |name: &str| -> Outcome<Vec<Vec<f64>>> {
        let Some(&calls) = sizes(name).first() else { return Ok(Vec::new()) };
        let all = TENSORS.numbers(&format!("{id}/{name}"))?;
        Ok(all.chunks((all.len() / calls.max(1)).max(1)).map(<[f64]>::to_vec).collect())
    };
    let (samples, outputs, noises) = (parts("samples")?, parts("model_outputs")?, parts("noises")?);
    let sampler = sampler(case)?;
    let [kept, churn] = sampler.start();
    let noise = |i: usize| noises.first().and_then(|noise| noise.get(i)).copied().unwrap_or(0.0);
    let first = samples.first().into_iter().flatten().enumerate().map(|(i, x)| kept * x + churn * noise(i));
    let batch = sizes("samples").get(1).copied().unwrap_or(1);
    let first: Vec<f64> = first.collect();
    let shape = Shape::new(batch as u32, (first.len() / batch.max(1)) as u32);
    let result = samples.last().cloned().unwrap_or_default();
    Ok((id.to_owned(), Recorded { sampler, shape, first, outputs, noises, result }))
}

/// Builds the sampler from the options of a class and the arguments of its methods.
fn sampler(case: &Value) -> Outcome<Sampler> {
    let mut file = case["config"]["kwargs"].clone();
    file["_class_name"] = case["source"].clone();
    let (set, step) = (&case["config"]["set_timesteps"], &case["config"]["step_kwargs"]);
    let list = |value: &Value| Some(value.as_array()?.iter().filter_map(Value::as_f64).collect());
    let count = |value: &Value| value.as_u64().map(|count| count as usize);
    let options = SamplerOptions {
        steps: count(&set["num_inference_steps"]),
        timesteps: list(&set["timesteps"]),
        sigma_list: list(&set["sigmas"]),
        mu: set["mu"].as_f64(),
        eta: step["eta"].as_f64(),
        begin_index: count(&case["config"]["begin_index"]),
        ..SamplerOptions::default()
    };
    let scheduler = Scheduler::parse(&file.to_string()).map_err(Error::of_record)?;
    scheduler.sampler(&options.as_diffusers()).map_err(Error::of_record)
}

impl Recorded {
    /// True for a run whose rows are sums: of one slice and one noise, with at most a clip of each element, and a fixed deviation.
    fn is_whole(&self) -> bool {
        let is_sum = |sampler: &Sampler| {
            matches!(sampler.clip(), Clip::None | Clip::Range(_))
                && sampler.deviation() == Deviation::Fixed
                && sampler.slices() == 1
        };
        is_sum(&self.sampler)
            && self.sampler.calls().len() == self.outputs.len()
            && self.sampler.calls().iter().all(|call| call.row.second_z.0 == 0.0 && call.row.x0[2] == 0.0)
    }

    /// The bound on the error of each element of the result.
    fn bounds(&self) -> Vec<f64> {
        let mut x = Inexact::rounded(self.first.clone(), 1.0);
        let mut past: Vec<Inexact> = Vec::new();
        let none = Vec::new();
        for (call, output) in self.sampler.calls().iter().zip(&self.outputs) {
            let row = &call.row;
            let prediction = Inexact::rounded(output.clone(), 1.0);
            let noise = Inexact::rounded(self.noises.get(call.noise).unwrap_or(&none).clone(), 1.0);
            let mut clean = Inexact::sum(&[(row.x0[0], &x), (row.x0[1], &prediction)]);
            if let Some(Clip::Range(range)) = row.clip {
                clean.values.iter_mut().for_each(|value| *value = value.clamp(-range, range));
            }
            let mut terms = vec![(row.x, &x), (row.p, &prediction), (row.clean, &clean), (row.z, &noise)];
            terms.extend(row.history.iter().copied().zip(past.iter().rev()));
            let next = Inexact::sum(&terms);
            let remembered = Inexact::sum(&[(row.kept[0], &x), (row.kept[1], &clean)]);
            past.push(remembered);
            x = next;
        }
        x.errors
    }
}

/// Replays a run in one submit, with its own coefficients or spoilt ones.
pub async fn check(device: &Device<'_>, of: &Recorded, wrong: bool) -> Outcome<Comparison> {
    let mut sampler = of.sampler.clone();
    if wrong {
        sampler.calls_mut().iter_mut().for_each(|call| {
            call.row.x *= WRONG;
            call.row.p *= WRONG;
            call.row.clean *= WRONG;
        });
    }
    let total = of.shape.total();
    let bytes = total * Storage::F32.bytes();
    let upload = |values: &[f64]| {
        let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
        device.upload("verify::scheduler", &values)
    };
    let x = upload(&of.first);
    let [input, prediction, noise] = ["input", "prediction", "noise"].map(|label| device.buffer(label, total));
    let (outputs, noises) = (upload(&of.outputs.concat()), upload(&of.noises.concat()));
    let sampling = Sampling::in_place(
        &sampler,
        of.shape,
        Tensor::f32(&x),
        Tensor::f32(&prediction),
        if of.noises.is_empty() { Noise::None } else { Noise::Tensor(Tensor::f32(&noise)) },
    );
    let plan = Sampling { input: Some(Tensor::f32(&input)), ..sampling }.plan(device.context).map_err(Error::Loop)?;
    let record = |encoder: &mut wgpu::CommandEncoder| {
        for (index, call) in sampler.calls().iter().enumerate() {
            encoder.copy_buffer_to_buffer(&outputs, index as u64 * bytes, &prediction, 0, bytes);
            if call.row.z != 0.0 {
                encoder.copy_buffer_to_buffer(&noises, call.noise as u64 * bytes, &noise, 0, bytes);
            }
            plan.encode(encoder, Recording::call(index as u32))?;
        }
        Ok(())
    };
    device.gpu.submit(record)?.map_err(Error::Record)?;
    let bounds = of.bounds();
    let found = device.read(Storage::F32, &x, total).await?;
    Ok(compared(&found, &of.result, &bounds))
}
