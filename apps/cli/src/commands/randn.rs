//! `tweedie randn`: the noise of a seed as another system draws it.

use crate::names::{find, flag, in_flags, joined};
use crate::noise_draws::{self, Draws, Variation};
use crate::report::{Outcome, say};
use anyhow::{Context, Error, Result, anyhow};
use files::{TensorWriter, atomic};
use half::{bf16, f16};
use safetensors::Dtype as Stored;
use serde_json::json;
use std::path::PathBuf;
use tweedie::math::catalog::{Entry, Make};
use tweedie::noise::{Dtype, Source};

/// Draw the noise of a seed as torch, JAX, numpy, ComfyUI or a web interface draws it
///
/// Writes `noise`, or with several --shape the successive draws of one generator, `call0`, `call1` and so on. Brownian sources
/// write the noise of each step between two --sigmas, [steps, ...]. `tweedie list noise-sources` describes the sources.
///
/// With --words also writes `words` (U32), the random words in the order in which they are used. A row holds the two words of
/// an element (torch-cuda, nv), a word of 64 bits, low half first (numpy-pcg64), or the four words of four elements (tweedie);
/// JAX has the bits of an element, and the others have single words. JAX then also has its `key`, numpy-pcg64 its `state`.
#[derive(clap::Args, Clone, Debug)]
pub struct Randn {
    /// The system that draws
    #[arg(long, value_name = "NAME", default_value = "tweedie", value_parser = source, help = source_help())]
    source: &'static Entry<Make<Source>>,

    /// The seed
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "seeds")]
    seed: u64,

    /// A seed for each sample, which is then drawn by a generator of its own
    #[arg(long, value_name = "N,..", value_delimiter = ',')]
    seeds: Vec<u64>,

    /// The sizes of the tensor, of which dimension 0 is the batch; repeat the option for further draws
    #[arg(long = "shape", value_name = "A,B,..", required = true, value_parser = shape)]
    shapes: Vec<Shape>,

    /// The type in which the numbers are drawn, one for all draws or one for each: f32, f16, bf16 or f64 [default: the source's]
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',')]
    dtype: Vec<Dtype>,

    /// torch-cuda: the number of streaming multiprocessors of the card [default: 132]
    #[arg(long, value_name = "M")]
    multiprocessors: Option<u32>,

    /// torch-cuda: the most threads that a multiprocessor holds [default: 2048]
    #[arg(long, value_name = "T")]
    threads_per_multiprocessor: Option<u32>,

    /// JAX: 64-bit mode, in which the key keeps the high half of the seed
    #[arg(long)]
    x64: bool,

    /// JAX: fold this number into the key
    #[arg(long, value_name = "N")]
    fold_in: Option<u32>,

    /// JAX: split the key into one for each sample
    #[arg(long, conflicts_with = "seeds")]
    split: bool,

    /// ComfyUI: the index of each sample in the larger batch that is drawn (`batch_index` of a latent)
    #[arg(long, value_name = "I,..", value_delimiter = ',')]
    batch_index: Vec<usize>,

    /// Turn the first draw towards the noise of this seed, or of one seed for each sample
    #[arg(long, value_name = "N,..", value_delimiter = ',', requires = "variation_strength")]
    variation_seed: Vec<u64>,

    /// The strength of the variation: 0 keeps the first noise, 1 gives the other
    #[arg(long, value_name = "S", requires = "variation_seed")]
    variation_strength: Option<f64>,

    /// Turn by one angle for the whole sample instead of by one for each column
    #[arg(long, requires = "variation_seed")]
    variation_whole: bool,

    /// Brownian sources: the levels to draw between, in order, or pairs `FROM:TO`
    #[arg(long, value_name = "S,S,..|FROM:TO,..", value_delimiter = ',')]
    sigmas: Vec<String>,

    /// The least level of the Brownian tree [default: the least of --sigmas above 0]
    #[arg(long, value_name = "S")]
    sigma_min: Option<f64>,

    /// The largest level of the Brownian tree [default: the largest of --sigmas]
    #[arg(long, value_name = "S")]
    sigma_max: Option<f64>,

    /// Write the random words too
    #[arg(long)]
    words: bool,

    /// The safetensors file to write; it appears whole or not at all
    #[arg(long, value_name = "OUT.safetensors")]
    out: PathBuf,
}

/// The sizes of a tensor.
#[derive(Clone, Debug)]
struct Shape(Vec<usize>);

fn shape(text: &str) -> Result<Shape, String> {
    let sizes = text.split(',').map(|size| size.trim().parse());
    let sizes: Result<Vec<usize>, _> = sizes.collect();
    sizes.map(Shape).map_err(|_| format!("expected sizes such as 1,4,64,64, found `{text}`"))
}

fn source(text: &str) -> Result<&'static Entry<Make<Source>>, String> {
    find(&Source::CATALOGUE, text)
}

fn source_help() -> String {
    format!("The system that draws: {}", joined(&Source::CATALOGUE))
}

impl Randn {
    pub fn run(&self, json: bool) -> Outcome {
        atomic::check_destination(&self.out)?;
        let source = self.source()?;
        self.check(source)?;
        let draws = self.draws(source)?;
        let mut writer = TensorWriter::new();
        let drawn = noise_draws::drawn(&draws)?;
        for (k, call) in drawn.calls.iter().enumerate() {
            let name = if drawn.calls.len() == 1 { "noise".to_owned() } else { format!("call{k}") };
            write(&mut writer, &name, &call.shape, call.dtype, &call.values)?;
        }
        for (name, words) in [("words", drawn.words), ("key", drawn.key)] {
            let Some(words) = words else { continue };
            let rows = words.words.len() / words.width.max(1);
            let shape = if words.width == 1 { vec![rows] } else { vec![rows, words.width] };
            let bytes = words.words.iter().flat_map(|word| word.to_le_bytes()).collect();
            writer.raw(name, Stored::U32, &shape, bytes)?;
        }
        if let Some(state) = drawn.state {
            let bytes = state.into_iter().flat_map(u128::to_le_bytes).collect();
            writer.raw("state", Stored::U64, &[4], bytes)?;
        }
        writer.save(&self.out)?;
        let out = self.out.display();
        let shapes: Vec<_> = drawn.calls.iter().map(|call| &call.shape).collect();
        if json {
            let seeds = draws.seeds.iter().map(|seed| json!(seed)).collect::<Vec<_>>();
            return say(
                json!({ "source": self.source.name, "seeds": seeds, "shapes": shapes, "out": out.to_string() }),
            );
        }
        let shapes = shapes.into_iter().map(|shape| format!("{shape:?}")).collect::<Vec<_>>().join(", ");
        say(format_args!("{shapes} from {} -> {out}", self.source.name))
    }

    /// The source with its parameters.
    fn source(&self) -> Result<Source> {
        let card = [
            ("multiprocessors", self.multiprocessors.map(f64::from)),
            ("threads_per_multiprocessor", self.threads_per_multiprocessor.map(f64::from)),
            ("x64", self.x64.then_some(1.0)),
        ];
        let given: Vec<_> = card.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        self.source.build(&given).map_err(|error| in_flags(&error))
    }

    /// Refuses options that the source does not use.
    fn check(&self, source: Source) -> Result<()> {
        let is_jax = matches!(source, Source::Jax { .. });
        let levels = source.is_of_levels();
        let is_comfyui = source == Source::Comfyui;
        let idle = [
            ("fold_in", self.fold_in.is_some() && !is_jax),
            ("split", self.split && !is_jax),
            ("batch_index", !self.batch_index.is_empty() && !is_comfyui),
            ("seeds", !self.seeds.is_empty() && is_comfyui),
            ("sigmas", !self.sigmas.is_empty() && !levels),
            ("sigma_min", self.sigma_min.is_some() && source != Source::Brownian),
            ("sigma_max", self.sigma_max.is_some() && source != Source::Brownian),
            ("variation_seed", !self.variation_seed.is_empty() && levels),
            ("words", self.words && levels),
        ];
        if let Some((option, _)) = idle.into_iter().find(|(_, idle)| *idle) {
            return Err(anyhow!("{} does not apply to the {}", flag(option), self.source.title()));
        }
        if levels && self.shapes.len() > 1 {
            return Err(anyhow!("a second --shape does not apply to the {}", self.source.title()));
        }
        if levels && self.sigmas.is_empty() {
            return Err(anyhow!("the {} needs --sigmas, the levels between which it draws", self.source.title()));
        }
        Ok(())
    }

    /// The draws that the options ask for.
    fn draws(&self, source: Source) -> Result<Draws> {
        let dtypes: Vec<Dtype> = match &self.dtype[..] {
            [] => vec![source.dtypes().first().copied().unwrap_or_default(); self.shapes.len()],
            [one] => vec![*one; self.shapes.len()],
            several if several.len() == self.shapes.len() => several.to_vec(),
            several => {
                let (expected, found) = (self.shapes.len(), several.len());
                return Err(anyhow!("expected one --dtype, or one for each of {expected} draws, found {found}"));
            }
        };
        let variation = self.variation_strength.map(|strength| Variation {
            seeds: self.variation_seed.clone(),
            strength,
            angle: if self.variation_whole { tweedie::noise::Angle::Whole } else { tweedie::noise::Angle::Columns },
        });
        Ok(Draws {
            source,
            seeds: if self.seeds.is_empty() { vec![self.seed] } else { self.seeds.clone() },
            per_sample: !self.seeds.is_empty(),
            calls: self.shapes.iter().map(|shape| shape.0.clone()).zip(dtypes).collect(),
            fold_in: self.fold_in,
            split: self.split,
            batch_index: (!self.batch_index.is_empty()).then(|| self.batch_index.clone()),
            variation,
            steps: steps(&self.sigmas)?,
            range: [self.sigma_min, self.sigma_max],
            words: self.words,
        })
    }
}

/// The pairs of levels in a list: neighbours, or those that it gives as pairs.
fn steps(list: &[String]) -> Result<Vec<[f64; 2]>> {
    let number = |text: &str| -> Result<f64> {
        let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
        number.with_context(|| format!("--sigmas: expected a finite number, found `{text}`"))
    };
    if list.iter().any(|item| item.contains(':')) {
        let pair = |item: &String| {
            let (from, to) = item
                .split_once(':')
                .with_context(|| format!("--sigmas: expected pairs FROM:TO throughout, found `{item}`"))?;
            Ok([number(from)?, number(to)?])
        };
        return list.iter().map(pair).collect();
    }
    let levels = list.iter().map(|item| number(item)).collect::<Result<Vec<f64>>>()?;
    if levels.len() == 1 {
        return Err(anyhow!("--sigmas: expected two levels or more, found 1"));
    }
    Ok(levels.windows(2).filter_map(|pair| Some([*pair.first()?, *pair.get(1)?])).collect())
}

/// Writes numbers in the type in which they were drawn.
fn write(writer: &mut TensorWriter, name: &str, shape: &[usize], dtype: Dtype, values: &[f64]) -> Result<(), Error> {
    fn bytes<const N: usize>(values: &[f64], encode: impl Fn(f64) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&value| encode(value)).collect()
    }
    match dtype {
        Dtype::F64 => writer.doubles(name, shape, values),
        Dtype::F32 => writer.raw(name, Stored::F32, shape, bytes(values, |x| (x as f32).to_le_bytes())),
        Dtype::F16 => writer.raw(name, Stored::F16, shape, bytes(values, |x| f16::from_f64(x).to_le_bytes())),
        Dtype::Bf16 => writer.raw(name, Stored::BF16, shape, bytes(values, |x| bf16::from_f64(x).to_le_bytes())),
    }
}
