//! Draws of any source, in any shape and type, and Brownian steps between any levels.

use crate::numbers::{Count, Number};
use arbitrary::{Arbitrary, Result, Unstructured};
use tweedie::noise::{Angle, BrownianPath, BrownianTree, ComfyNoise, Dtype, Generator, Source, slerp};

/// Shapes of more numbers than this are not drawn, unless they are so large that they must be refused.
const MOST: usize = 4096;

/// Draws what the bytes say: a draw gives as many numbers as its shape has, all finite, or an error.
pub fn run(data: &[u8]) {
    let _ = draw(&mut Unstructured::new(data));
}

fn draw(u: &mut Unstructured<'_>) -> Result<()> {
    let entry = u.choose(Source::CATALOGUE.entries)?;
    let numbers = entry.parameters.iter().map(|_| Ok(Number::arbitrary(u)?.0)).collect::<Result<Vec<_>>>()?;
    let given: Vec<_> = entry.parameters.iter().map(|parameter| parameter.name).zip(numbers).collect();
    let built = entry.build(&given).or_else(|_| entry.build(&[]));
    let (Ok(source), seed) = (built, u64::arbitrary(u)?) else { return Ok(()) };
    if let Ok(mut generator) = source.generator(seed) {
        for _ in 0..u.int_in_range(1..=4)? {
            let (shape, dtype) = (shape(u)?, *u.choose(&Dtype::ALL)?);
            drawn(&mut generator, &shape, dtype);
        }
    }
    levels(u, seed)
}

fn shape(u: &mut Unstructured<'_>) -> Result<Vec<usize>> {
    (0..u.int_in_range(0..=4)?).map(|_| Ok(Count::arbitrary(u)?.0)).collect()
}

/// The number of elements of a shape that is small enough to draw, or that must be refused.
fn worth(shape: &[usize]) -> Option<usize> {
    let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)).unwrap_or(usize::MAX);
    (count <= MOST || count > Generator::MAX_ELEMENTS).then_some(count)
}

fn drawn(generator: &mut Generator, shape: &[usize], dtype: Dtype) {
    let Some(count) = worth(shape) else { return };
    let words = generator.words(shape, dtype);
    let values = generator.draw(shape, dtype);
    assert_eq!(words.is_ok(), values.is_ok());
    if let Ok(values) = values {
        assert_eq!(values.len(), count);
        assert!(values.iter().all(|z| z.is_finite()), "{shape:?} {dtype}");
    }
}

fn levels(u: &mut Unstructured<'_>, seed: u64) -> Result<()> {
    let [min, max, from, to] = [(); 4].map(|()| Number::arbitrary(u).map(|number| number.0));
    let (min, max, from, to) = (min?, max?, from?, to?);
    if let Ok(mut tree) = BrownianTree::new(seed, 5, min, max)
        && let Ok(noise) = tree.noise(from, to)
    {
        assert!(noise.iter().all(|z| z.is_finite()), "{min} {max} {from} {to}");
    }
    if let Ok(noise) = (BrownianPath { seed, sample: seed }).noise(5, from, to) {
        assert!(noise.iter().all(|z| z.is_finite()), "{from} {to}");
    }
    let shape = shape(u)?;
    let index = (0..u.int_in_range(0..=3)?).map(|_| Ok(Count::arbitrary(u)?.0)).collect::<Result<Vec<_>>>()?;
    if worth(&shape).is_some() && index.iter().all(|&index| worth(&[index]).is_some()) {
        let _ = ComfyNoise::new(seed).start_at(&shape, &index);
    }
    let sizes = [Count::arbitrary(u)?.0, Count::arbitrary(u)?.0, Count::arbitrary(u)?.0];
    let noise: Vec<f64> = (0..12).map(|_| Ok(Number::arbitrary(u)?.0)).collect::<Result<_>>()?;
    for angle in [Angle::Columns, Angle::Whole] {
        let _ = slerp(&noise, &noise, sizes, from, angle);
        let _ = slerp(&noise, &noise, [2, 3, 2], from, angle);
    }
    Ok(())
}
