//! The data that are studied: their moments over all elements, and a random choice of elements to compute with.
//!
//! **Theory.** A target's variance, and all that follows from it, depends on the data through the variance of an element alone, so
//! the shape does not matter: all elements are one population.
//!
//! **Practice.** One pass, with memory that does not grow with the data. The data are divided into as many equal stretches as
//! elements are wanted, and one element is drawn from each, so that every element has the same chance. Data of fewer elements are
//! taken whole, several times over.

use super::format::short;
use anyhow::{Context, Result, bail};
use files::npy::{Kind, Npy};
use files::{Picture, TensorFile};
use pictures::test_card::test_card;
use serde::Serialize;
use std::path::Path;
use tweedie::gpu::NoiseKey;

/// The least number of elements to compute with: the variance of that many normals is known to 0.8%.
pub const ENOUGH: u64 = 1 << 15;

/// The longest side at which a picture is studied; a larger one is reduced to it, as training pipelines do.
const LONGEST_SIDE: u32 = 2048;

/// The stream from which elements are drawn: far from those of noise.
const PICKS: u32 = u32::MAX;

/// Magnitudes that f32 can compute with, squares and conversions included.
const USABLE: std::ops::Range<f64> = 1e-15..1e15;

/// The data, in their own units.
#[derive(Clone, Debug)]
pub struct Data {
    /// Name of the file or tensor.
    pub name: String,
    /// Sizes of the dimensions.
    pub shape: Vec<u64>,
    /// Mean over all elements.
    pub mean: f64,
    /// The standard deviation, above 0.
    pub deviation: f64,
    /// Smallest element.
    pub least: f64,
    /// Largest element.
    pub most: f64,
    /// The elements to compute with.
    pub chosen: Vec<f32>,
}

impl Data {
    /// Opens a picture, an .npy or a .safetensors file; without a path, draws the built-in picture.
    pub fn open(path: Option<&Path>, tensor: Option<&str>, seed: u64) -> Result<Self> {
        let Some(path) = path else {
            return Self::of_picture("the generated picture".into(), &test_card(256, 192), seed);
        };
        let shown = path.display().to_string();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let extension = path.extension().map(|it| it.to_string_lossy().to_lowercase()).unwrap_or_default();
        if tensor.is_some() && extension != "safetensors" {
            bail!("--tensor is for safetensors files, and {shown} is not one");
        }
        match extension.as_str() {
            "npy" => Self::of_npy(path, name, seed).context(shown),
            "safetensors" => Self::of_tensor(path, &name, tensor, seed),
            "png" | "jpg" | "jpeg" => Self::of_picture(name, &Picture::open(path, LONGEST_SIDE, LONGEST_SIDE)?, seed),
            _ => bail!("{shown}: expected the name of a .npy, .safetensors, .png or .jpg file"),
        }
    }

    fn of_picture(name: String, picture: &Picture, seed: u64) -> Result<Self> {
        let shape = [picture.channels, picture.height, picture.width].map(|size| size as u64).to_vec();
        let values = picture.data.iter().map(|&value| Ok(f64::from(value)));
        Self::gather(name, shape, picture.data.len() as u64, values, seed)
    }

    fn of_npy(path: &Path, name: String, seed: u64) -> Result<Self> {
        let npy = Npy::open(path)?;
        let (shape, count) = (npy.shape.clone(), npy.count());
        // Pictures are stored in these two types, and models are trained on -1..1.
        let full = match npy.kind {
            Kind::Unsigned(1) => Some(255.0),
            Kind::Unsigned(2) => Some(65535.0),
            _ => None,
        };
        let values = npy.values().map(|value| value.map(|value| full.map_or(value, |full| 2.0 * value / full - 1.0)));
        Self::gather(name, shape, count, values, seed)
    }

    fn of_tensor(path: &Path, file_name: &str, tensor: Option<&str>, seed: u64) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let names = file.names();
        let name = match (tensor, &names[..]) {
            (Some(name), _) => name,
            (None, [only]) => only,
            _ => "x0",
        };
        let array = file.floats(name)?;
        let (shape, count) = (array.shape.iter().map(|&size| size as u64).collect(), array.data.len() as u64);
        let values = array.data.iter().map(|&value| Ok(value));
        Self::gather(format!("{} of {file_name}", array.name), shape, count, values, seed)
            .with_context(|| path.display().to_string())
    }

    fn gather(
        name: String,
        shape: Vec<u64>,
        count: u64,
        values: impl Iterator<Item = Result<f64>>,
        seed: u64,
    ) -> Result<Self> {
        let mut moments = Moments::default();
        let mut chosen = Vec::new();
        let mut picks = picks(count, seed).peekable();
        for (place, value) in (0..).zip(values) {
            let value = value?;
            if !value.is_finite() {
                let what = if value.is_nan() { "NaN" } else { "an infinity" };
                bail!("expected finite values, found {what} at flat index {place}");
            }
            moments.add(value);
            if picks.next_if_eq(&place).is_some() {
                chosen.push(value as f32);
            }
        }
        if count == 0 {
            bail!("expected at least two different values, found shape {shape:?}");
        }
        let chosen = chosen.repeat(ENOUGH.div_ceil(count).max(1) as usize);
        let Moments { mean, least, most, .. } = moments;
        let data = Self { name, shape, mean, deviation: moments.deviation(), least, most, chosen };
        data.check()?;
        Ok(data)
    }

    fn check(&self) -> Result<()> {
        if self.least == self.most {
            bail!(
                "expected at least two different values, found {} (of all {} elements): there is nothing to learn",
                self.least,
                self.elements()
            );
        }
        let size = self.deviation + self.mean.abs();
        if !(USABLE.contains(&self.deviation) && USABLE.contains(&size)) {
            bail!(
                "expected values that f32 can compute with, found mean {:e} and deviation {:e}",
                self.mean,
                self.deviation
            );
        }
        let first = self.chosen.first();
        if self.chosen.iter().all(|value| Some(value) == first) {
            bail!(
                "the {} elements that were drawn are all {}: give a denser part of the data",
                self.chosen.len(),
                first.unwrap_or(&0.0)
            );
        }
        Ok(())
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Variance over all elements.
    pub fn variance(&self) -> f64 {
        self.deviation * self.deviation
    }

    /// Guesses what the data are from their range and deviation.
    pub fn look(&self) -> Look {
        let Self { least, most, deviation, .. } = *self;
        let inside = |range: std::ops::RangeInclusive<f64>| range.contains(&least) && range.contains(&most);
        let (what, remedy) = if inside(0.0..=1.0) {
            ("pictures in 0..1, and models expect -1..1", Some("2*x - 1".to_owned()))
        } else if inside(0.0..=255.0) && most > 2.0 {
            ("pictures in 0..255, and models expect -1..1", Some("x/127.5 - 1".to_owned()))
        } else if inside(-1.0..=1.0) {
            ("pictures in -1..1, as models expect", None)
        } else if NEAR_ONE.contains(&deviation) {
            ("scaled latents, of deviation near one", None)
        } else {
            let factor = short(1.0 / deviation);
            ("unscaled latents, of deviation far from one", Some(format!("{factor}*x")))
        };
        Look { what, remedy }
    }
}

/// A guess at what the data are, and a transformation that suits models better.
#[derive(Clone, Debug, Serialize)]
pub struct Look {
    /// Description of the data.
    pub what: &'static str,
    /// Formula to apply to the data `x`, if they are scaled badly.
    pub remedy: Option<String>,
}

/// The deviations that count as near one. Stable Diffusion's factor 0.18215 leaves one between 0.9 and 1.1, by the data.
const NEAR_ONE: std::ops::RangeInclusive<f64> = 0.75..=1.33;

/// The indices of one element from each of `ENOUGH` stretches, in order; of all elements, if there are fewer.
fn picks(count: u64, seed: u64) -> impl Iterator<Item = u64> {
    let stretches = count.min(ENOUGH);
    let key = NoiseKey::seed(seed).stream(PICKS);
    let start = move |stretch: u64| (u128::from(stretch) * u128::from(count) / u128::from(stretches)) as u64;
    (0..stretches).map(move |stretch| {
        let (from, to) = (start(stretch), start(stretch + 1));
        let [word, ..] = key.words_of(0, stretch);
        from + ((u128::from(word) * u128::from(to - from)) >> 32) as u64
    })
}

/// Welford's running mean and squares, in f64.
#[derive(Debug)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
    least: f64,
    most: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0.0, mean: 0.0, squares: 0.0, least: f64::INFINITY, most: f64::NEG_INFINITY }
    }
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(values: &[f64]) -> Result<Data> {
        let values_of = values.iter().map(|&value| Ok(value));
        Data::gather("test".into(), vec![values.len() as u64], values.len() as u64, values_of, 1)
    }

    fn refusal(values: &[f64]) -> String {
        format!("{:#}", gather(values).unwrap_err())
    }

    #[test]
    fn few_data_are_all_taken_whole_times() {
        let data = gather(&[1.0, 2.0, 6.0]).unwrap();
        assert_eq!((data.mean, data.least, data.most), (3.0, 1.0, 6.0));
        assert!((data.variance() - 14.0 / 3.0).abs() < 1e-12);
        assert_eq!(data.chosen[..6], [1.0, 2.0, 6.0, 1.0, 2.0, 6.0]);
        assert!(data.chosen.len() as u64 >= ENOUGH && data.chosen.len().is_multiple_of(3));
    }

    #[test]
    fn each_stretch_gives_one_element() {
        for count in [1, 2, ENOUGH - 1, ENOUGH, ENOUGH + 1, 3 * ENOUGH, 1 << 40, u64::MAX] {
            let found: Vec<u64> = picks(count, 7).collect();
            assert_eq!(found.len() as u64, count.min(ENOUGH));
            assert!(found.is_sorted_by(|a, b| a < b) && found.iter().all(|&place| place < count), "{count}");
        }
        assert_eq!(picks(ENOUGH, 3).collect::<Vec<_>>(), (0..ENOUGH).collect::<Vec<_>>());
        let middle = picks(100 * ENOUGH, 1).map(|place| (place % 100) as f64).sum::<f64>() / ENOUGH as f64;
        assert!((middle - 49.5).abs() < 0.6, "{middle}"); // nearly 4 standard errors of 29/sqrt(32768)
        assert_ne!(picks(1 << 30, 1).collect::<Vec<_>>(), picks(1 << 30, 2).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_studied_is_refused() {
        assert!(refusal(&[]).contains("found shape [0]"));
        assert!(refusal(&[0.5]).contains("found 0.5 (of all 1 elements)"));
        assert!(refusal(&[0.5; 9]).contains("nothing to learn"));
        assert!(refusal(&[1.0, f64::NAN]).contains("NaN at flat index 1"));
        assert!(refusal(&[f64::INFINITY]).contains("an infinity at flat index 0"));
        assert!(refusal(&[0.0, 1e300]).contains("f32"));
        assert!(refusal(&[0.0, 1e-40]).contains("f32"));
        let mut rare = vec![0.0; 1 << 22];
        rare[1] = 1.0;
        assert!(refusal(&rare).contains("denser"));
    }

    #[test]
    fn they_are_recognised() {
        for (values, what, remedy) in [
            (&[0.0, 0.7], "0..1,", Some("2*x - 1")),
            (&[0.0, 255.0], "0..255,", Some("x/127.5 - 1")),
            (&[-1.0, 0.7], "as models expect", None),
            (&[-1.2, 1.1], "scaled latents", None),
            (&[-5.0, 5.0], "unscaled", Some("0.200*x")),
        ] {
            let look = gather(values).unwrap().look();
            assert!(look.what.contains(what), "{look:?}");
            assert_eq!(look.remedy.as_deref(), remedy);
        }
    }
}
