//! The tensors of a recorded run: everything that a run of a run file needs, except for its network.

use crate::report::Outcome;
use anyhow::anyhow;
use files::{Array, Header, TensorFile};
use tweedie::math::run::{RunError, RunInputs, RunLoop, spread_mask};

/// The tensors of a recorded run.
pub struct RunTape {
    /// `[batch, ...]`.
    pub shape: Vec<usize>,
    noise: Option<Array>,
    initial: Option<Array>,
    pub latent_image: Option<Array>,
    pub mask: Option<Array>,
    pub inpaint_noise: Option<Array>,
    /// Conditional, unconditional, third and fourth outputs of the network, `[calls, batch, ...]`.
    outputs: [Option<Array>; 4],
    noises: Option<Array>,
}

/// The names of a tensor: ours first, then others that it may have.
type Names = &'static [&'static str];

const OUTPUTS: [Names; 4] = [
    &["model_outputs", "call_output"],
    &["unconditional_outputs", "call_output_uncond"],
    &["third_outputs"],
    &["fourth_outputs"],
];

/// Spreads a mask of one channel, or of a resolution that divides that of the samples, over them; returns any other unchanged.
fn spread(mut mask: Array, shape: &[usize]) -> Array {
    if let Ok(data) = spread_mask(&mask.data, &mask.header.shape, shape) {
        mask.data = data;
        mask.header.shape = shape.to_vec();
    }
    mask
}

impl RunTape {
    /// Reads what the run needs and no more. A run with a seed draws the noise that is not there; its shape is then that of an
    /// output of the network.
    pub fn read(file: &TensorFile, run: &RunLoop) -> Outcome<Self> {
        let given = |names: Names| names.iter().find(|name| file.has(name));
        let optional = |name: &str| file.has(name).then(|| file.finite_floats(name)).transpose();
        let [noise, initial, latent_image] = [optional("noise")?, optional("initial")?, optional("latent_image")?];
        let first = initial.as_ref().or(noise.as_ref()).or(latent_image.as_ref()).map(|first| first.header.clone());
        let first = match (first, given(OUTPUTS[0])) {
            (Some(first), _) => first,
            (None, Some(name)) if run.has_seed() => {
                let outputs = file.finite_floats(name)?.header;
                Header { shape: outputs.shape.get(1..).unwrap_or_default().to_vec(), ..outputs }
            }
            _ => {
                let needed = "expected a tensor `noise`, `initial` or `latent_image`, or a seed in the run";
                return Ok(file.within(Err(anyhow!(needed)))?);
            }
        };
        let shape = first.shape.clone();
        file.require(!shape.is_empty(), &first.name, || "expected [batch, ...], found a number".to_owned())?;
        let like = |array: Option<Array>| -> Outcome<Option<Array>> {
            if let Some(array) = &array {
                file.require(array.shape == shape, &array.name, || {
                    format!("expected shape {shape:?} like `{}`, found {:?}", first.name, array.shape)
                })?;
            }
            Ok(array)
        };
        let mask = like(optional("mask")?.map(|mask| spread(mask, &shape)))?;
        let inpaint_noise = like(optional("inpaint_noise")?)?;
        if mask.is_some() && run.redraws_known_noise() && inpaint_noise.is_none() && !run.has_seed() {
            let needed = "expected a tensor `inpaint_noise`, or a seed in the run: this sampler draws the noise of a known region anew";
            return Ok(file.within(Err(anyhow!(needed)))?);
        }
        let lists = |names: Names, needed: bool| -> Outcome<Option<Array>> {
            let name = match (given(names), names.first()) {
                (Some(name), _) => name,
                (None, Some(name)) if needed => name,
                _ => return Ok(None),
            };
            let array = file.finite_floats(name)?;
            file.require(array.shape.get(1..) == Some(&shape[..]), name, || {
                format!("expected [calls, ..] of shape {shape:?}, found {:?}", array.shape)
            })?;
            Ok(Some(array))
        };
        let has_calls = run.is_adaptive() || !run.calls().is_empty();
        let asked = asked(run)?;
        let outputs = [
            lists(OUTPUTS[0], has_calls)?,
            lists(OUTPUTS[1], has_calls && (run.needs_unconditional() || asked[0]))?,
            lists(OUTPUTS[2], has_calls && asked[1])?,
            lists(OUTPUTS[3], has_calls && asked[2])?,
        ];
        let calls = run.call_sigmas().len();
        for array in outputs.iter().flatten().filter(|_| !run.is_adaptive()) {
            file.require(array.shape.first() == Some(&calls), &array.name, || {
                format!("expected {calls} outputs (one for each call of the run), found {}", array.batch())
            })?;
        }
        let noises = lists(&["noises"], false)?;
        let [noise, latent_image] = [like(noise)?, like(latent_image)?];
        Ok(Self { shape, noise, initial, latent_image, mask, inpaint_noise, outputs, noises })
    }

    /// Elements of all samples together.
    pub fn total(&self) -> usize {
        self.shape.iter().product()
    }

    /// All tensors, for a check of their range.
    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        let single = [&self.noise, &self.initial, &self.latent_image, &self.mask, &self.inpaint_noise, &self.noises];
        single.into_iter().chain(&self.outputs).flatten()
    }

    /// The tensors as the loop takes them.
    pub fn inputs(&self) -> RunInputs<'_> {
        RunInputs {
            shape: &self.shape,
            noise: self.noise.as_ref().map(|array| &array.data[..]),
            initial: self.initial.as_ref().map(|array| &array.data[..]),
            latent_image: self.latent_image.as_ref().map(|array| &array.data[..]),
            mask: self.mask.as_ref().map(|array| &array.data[..]),
            inpaint_noise: self.inpaint_noise.as_ref().map(|array| &array.data[..]),
            noises: self.noises.as_ref().map_or(&[], |array| &array.data[..]),
        }
    }

    /// The outputs of a call; empty where a tensor is missing.
    pub fn outputs(&self, call: usize) -> Result<[&[f64]; 4], RunError> {
        let [a, b, c, d] = &self.outputs;
        let of = |array| entry(array, call, self.total());
        Ok([of(a)?, of(b)?, of(c)?, of(d)?])
    }

    /// The number of outputs that were recorded.
    pub fn calls(&self) -> usize {
        self.outputs[0].as_ref().map_or(0, |array| array.batch())
    }
}

/// True for each of the unconditional, the third and the fourth output that the run's guider asks for at any step.
fn asked(run: &RunLoop) -> Outcome<[bool; 3]> {
    let mut asked = [false; 3];
    if let Some(guider) = run.guider() {
        for call in guider.calls(run.sigmas().len().saturating_sub(1)).map_err(RunError::from)? {
            asked.iter_mut().zip(call.asks).for_each(|(any, asks)| *any |= asks);
        }
    }
    Ok(asked)
}

/// An entry of a list of tensors; empty for a list that is missing.
fn entry(array: &Option<Array>, call: usize, total: usize) -> Result<&[f64], RunError> {
    let Some(array) = array else { return Ok(&[]) };
    let begin = call.saturating_mul(total);
    array.data.get(begin..begin.saturating_add(total)).ok_or_else(|| RunError::Value {
        name: array.name.clone(),
        expected: format!("at least {} outputs of the network", call + 1),
        found: array.batch().to_string(),
    })
}
