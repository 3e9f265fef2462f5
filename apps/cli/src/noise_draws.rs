//! The draws of `randn`: one generator or one per sample, variation seeds, and steps between levels.

use anyhow::{Result, anyhow};
use tweedie::noise::{
    Angle, BrownianPath, BrownianTree, ComfyNoise, Dtype, Generator, JaxKey, JaxLayout, NoiseError, Source, Words,
    slerp,
};

/// The most numbers that a run draws: with their words they take a few GiB.
const MOST_NUMBERS: usize = 1 << 27;

/// The most keys that one key is split into.
const MOST_KEYS: usize = 1 << 16;

/// The draws of a run, as the options ask for them.
#[derive(Clone, Debug)]
pub struct Draws {
    pub source: Source,
    /// One seed, or one per sample.
    pub seeds: Vec<u64>,
    /// True if each sample is drawn by a generator of its own.
    pub per_sample: bool,
    /// The shape and the type of each draw.
    pub calls: Vec<(Vec<usize>, Dtype)>,
    pub fold_in: Option<u32>,
    pub split: bool,
    pub batch_index: Option<Vec<usize>>,
    pub variation: Option<Variation>,
    /// The levels before and after each step of a Brownian source.
    pub steps: Vec<[f64; 2]>,
    /// The ends of the Brownian tree.
    pub range: [Option<f64>; 2],
    pub words: bool,
}

/// The seeds that the first draw is turned towards.
#[derive(Clone, Debug)]
pub struct Variation {
    /// One seed, or one per sample.
    pub seeds: Vec<u64>,
    pub strength: f64,
    pub angle: Angle,
}

/// A draw.
#[derive(Clone, Debug)]
pub struct Call {
    pub shape: Vec<usize>,
    pub dtype: Dtype,
    pub values: Vec<f64>,
}

/// The numbers drawn, and what they were made from.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    pub calls: Vec<Call>,
    pub words: Option<Words>,
    /// The keys of JAX, where words were asked for.
    pub key: Option<Words>,
    /// State and increment of PCG64 before the first draw, where words were asked for.
    pub state: Option<[u128; 2]>,
}

/// Draws all calls of a run.
///
/// # Errors
/// For an option that is too large or does not fit the shapes, and those of the source.
pub fn drawn(draws: &Draws) -> Result<Drawn> {
    // A size of 0 counts as 1, so that no product of some of the sizes is beyond the limit either.
    let count = |shape: &[usize]| shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size.max(1)));
    let total = draws.calls.iter().try_fold(0usize, |sum, (shape, _)| sum.checked_add(count(shape)?));
    let total = total.and_then(|total| total.checked_mul(draws.steps.len().max(1)));
    if total.is_none_or(|total| total > MOST_NUMBERS) {
        return Err(anyhow!("--shape: expected at most {MOST_NUMBERS} numbers in all draws together"));
    }
    for (_, dtype) in &draws.calls {
        draws.source.check(*dtype)?;
    }
    if draws.source.is_of_levels() {
        return Ok(Drawn { calls: vec![between_levels(draws)?], ..Drawn::default() });
    }
    if let Some(batch_index) = &draws.batch_index {
        return with_batch_index(draws, batch_index);
    }
    from_generators(draws)
}

/// A shape as its batch and the shape of a sample.
fn samples(shape: &[usize]) -> (usize, &[usize]) {
    shape.split_first().map_or((1, shape), |(&batch, sample)| (batch, sample))
}

/// Refuses a list that does not have one entry per sample.
fn check_count(what: &'static str, expected: usize, found: usize) -> Result<(), NoiseError> {
    if expected == found { Ok(()) } else { Err(NoiseError::Count { what, expected, found }) }
}

fn from_generators(draws: &Draws) -> Result<Drawn> {
    let batch = draws.calls.first().map_or(1, |(shape, _)| samples(shape).0);
    let mut generators = generators(draws, batch)?;
    let alone = draws.per_sample || draws.split;
    let mut drawn = Drawn::default();
    if draws.words {
        drawn.words = Some(Words { width: 0, words: Vec::new() });
        let keys: Vec<u32> = generators.iter().filter_map(|it| it.jax_key()).flat_map(|JaxKey(words)| words).collect();
        drawn.key = (!keys.is_empty()).then_some(Words { width: if alone { 2 } else { 1 }, words: keys });
        drawn.state = generators.first().and_then(Generator::pcg64_state);
    }
    for (k, (shape, dtype)) in draws.calls.iter().enumerate() {
        let (batch, sample) = samples(shape);
        let each = if alone { [&[1], sample].concat() } else { shape.clone() };
        if alone {
            check_count("seeds", batch, generators.len())?;
        }
        let mut values = Vec::new();
        for generator in &mut generators {
            if let Some(all) = &mut drawn.words {
                let words = generator.words(&each, *dtype)?;
                all.width = words.width;
                all.words.extend(words.words);
            }
            values.extend(generator.draw(&each, *dtype)?);
        }
        if let (0, Some(variation)) = (k, &draws.variation) {
            values = varied(draws, variation, &values)?;
            values.iter_mut().for_each(|value| *value = dtype.round(*value));
        }
        drawn.calls.push(Call { shape: shape.clone(), dtype: *dtype, values });
    }
    Ok(drawn)
}

/// The generators: one, or one per sample.
fn generators(draws: &Draws, batch: usize) -> Result<Vec<Generator>> {
    let generators = draws.seeds.iter().map(|&seed| draws.source.generator(seed));
    let mut generators = generators.collect::<Result<Vec<_>, _>>()?;
    if let Some(data) = draws.fold_in {
        generators = with_keys(generators, |key| vec![key.fold_in(data)])?;
    }
    if draws.split {
        if batch > MOST_KEYS {
            return Err(anyhow!("--split: expected at most {MOST_KEYS} samples, found {batch}"));
        }
        let layout = if let Source::Jax { layout, .. } = draws.source { layout } else { JaxLayout::default() };
        generators = with_keys(generators, |key| key.split(batch, layout))?;
    }
    Ok(generators)
}

/// Replaces the JAX key of each generator by the keys made from it.
fn with_keys(generators: Vec<Generator>, keys: impl Fn(JaxKey) -> Vec<JaxKey>) -> Result<Vec<Generator>> {
    let mut found = Vec::new();
    for generator in generators {
        for key in generator.jax_key().map(&keys).unwrap_or_default() {
            found.push(generator.clone().with_jax_key(key)?);
        }
    }
    Ok(found)
}

/// Turns the first draw towards the same draw of the variation seeds.
fn varied(draws: &Draws, variation: &Variation, values: &[f64]) -> Result<Vec<f64>> {
    let Some((shape, dtype)) = draws.calls.first() else { return Ok(values.to_vec()) };
    let seeds = match &variation.seeds[..] {
        [one] if draws.per_sample => vec![*one; draws.seeds.len()],
        several => several.to_vec(),
    };
    // Variation seeds are one per sample where the seeds are.
    let expected = if draws.per_sample { draws.seeds.len() } else { 1 };
    check_count("variation seeds", expected, seeds.len())?;
    let other = Draws { seeds, variation: None, words: false, calls: vec![(shape.clone(), *dtype)], ..draws.clone() };
    let other = from_generators(&other)?;
    let other = other.calls.first().map_or(&[][..], |call| &call.values[..]);
    // Samples are [C, H, W]; a tensor of three dimensions is one sample, unless each entry of its first dimension has a seed.
    let (batch, sample) =
        if draws.per_sample || draws.split || shape.len() > 3 { samples(shape) } else { (1, &shape[..]) };
    let sizes = match (sample, variation.angle) {
        ([channels, height, rest @ ..], Angle::Columns) if !rest.is_empty() => {
            [*channels, *height, rest.iter().product()]
        }
        (_, Angle::Whole) => [1, sample.iter().product(), 1],
        _ => {
            let (expected, shape) = ("samples [C, H, W], or --variation-whole", shape.clone());
            return Err(NoiseError::Shape { expected, shape }.into());
        }
    };
    let size = sizes.iter().product::<usize>();
    if size == 0 || batch == 0 {
        return Ok(values.to_vec());
    }
    let mut turned = Vec::with_capacity(values.len());
    for (noise, other) in values.chunks(size).zip(other.chunks(size)) {
        turned.extend(slerp(noise, other, sizes, variation.strength, variation.angle)?);
    }
    Ok(turned)
}

/// ComfyUI's draws, the first of them for chosen samples of a larger batch.
fn with_batch_index(draws: &Draws, batch_index: &[usize]) -> Result<Drawn> {
    if draws.words || draws.variation.is_some() {
        let option = if draws.words { "--words" } else { "--variation-seed" };
        return Err(anyhow!("{option} does not apply to --batch-index, which draws samples and discards some"));
    }
    let seed = draws.seeds.first().copied().unwrap_or(0);
    let mut noise = ComfyNoise::new(seed);
    let mut drawn = Drawn::default();
    for (k, (shape, dtype)) in draws.calls.iter().enumerate() {
        let values = if k == 0 { noise.start_at(shape, batch_index)? } else { noise.step(shape)? };
        drawn.calls.push(Call { shape: shape.clone(), dtype: *dtype, values });
    }
    Ok(drawn)
}

/// The noise of steps between levels: `[steps, shape ..]`.
fn between_levels(draws: &Draws) -> Result<Call> {
    let (shape, dtype) = draws.calls.first().ok_or_else(|| anyhow!("expected --shape"))?;
    let (batch, sample) = samples(shape);
    let elements: usize = sample.iter().product();
    if draws.per_sample {
        check_count("seeds", batch, draws.seeds.len())?;
    }
    let levels = || draws.steps.iter().flatten().copied();
    let least = levels().filter(|&level| level > 0.0).fold(f64::INFINITY, f64::min);
    let [least, most] = [draws.range[0].unwrap_or(least), draws.range[1].unwrap_or(levels().fold(0.0, f64::max))];
    let size = if draws.per_sample { elements } else { shape.iter().product() };
    let tree = |&seed: &u64| BrownianTree::new(seed, size, least, most);
    let is_tree = draws.source == Source::Brownian;
    let mut trees = if is_tree { draws.seeds.iter().map(tree).collect::<Result<Vec<_>, _>>()? } else { Vec::new() };
    let mut values = Vec::new();
    for &[from, to] in &draws.steps {
        for tree in &mut trees {
            values.extend(tree.noise(from, to)?);
        }
        if !is_tree {
            for sample in 0..batch {
                // A seed of its own makes a sample the first of its batch.
                let own = draws.seeds.get(sample).map(|&seed| BrownianPath { seed, sample: 0 });
                let seed = draws.seeds.first().copied().unwrap_or(0);
                let shared = BrownianPath { seed, sample: sample as u64 };
                let path = own.filter(|_| draws.per_sample).unwrap_or(shared);
                values.extend(path.noise(elements, from, to)?);
            }
        }
    }
    values.iter_mut().for_each(|value| *value = dtype.round(*value));
    Ok(Call { shape: [&[draws.steps.len()], &shape[..]].concat(), dtype: *dtype, values })
}
