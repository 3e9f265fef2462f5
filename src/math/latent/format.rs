//! A format of latents: the scale in which a network works on them, and the matrix that shows them as colours.
//!
//! **Theory.** The latents of an autoencoder are brought to a deviation near 1 before a network sees them, by an affine map
//! of each channel:
//! ```text
//! in  = (x - shift)*scale     or (x - mean)*scale/deviation
//! out = in/scale + shift      or in*deviation/scale + mean
//! ```
//! A preview of clean latents, as the network has them, is `factors^T*in + bias` for each cell: a colour in -1..1.
//!
//! **Practice.** [`LatentFormat::process_in`] and [`process_out`](LatentFormat::process_out) are the reference in f64. On the
//! GPU the map is one row for each channel: [`table_in`](LatentFormat::table_in), [`table_out`](LatentFormat::table_out). The
//! kernel of the preview is [`LatentPreview`](crate::gpu::LatentPreview).

use super::error::LatentError;
use crate::table::{Matrix, Table};

/// The format of the latents of an autoencoder.
///
/// Constants have the values of ComfyUI; [`LatentFormat::CATALOGUE`] has them by its names.
///
/// ```
/// use tweedie::math::LatentFormat;
///
/// let flux = LatentFormat::named("Flux")?;
/// assert_eq!((flux.channels, flux.spatial, flux.scale, flux.shift), (16, 8, 0.3611, 0.1159));
/// let latents = vec![0.1159; 16 * 6];
/// assert_eq!(flux.process_in(&latents, 6)?, [0.0; 16 * 6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatentFormat {
    /// The channels of a latent.
    pub channels: usize,
    /// The axes of a channel: 1 for a sound, 2 for a picture, 3 for a video.
    pub dimensions: usize,
    /// Pixels along an edge that become one cell.
    pub spatial: usize,
    /// Frames of a video, or samples of a sound, that become one cell. The first frame of a video is a cell of its own.
    pub temporal: usize,
    /// The factor of latents that a network takes.
    pub scale: f64,
    /// The number subtracted from latents before they are scaled.
    pub shift: f64,
    /// The mean and the deviation of each channel, where they have their own.
    pub statistics: Option<Statistics>,
    /// The matrix of a preview; `None` where none is known.
    pub preview: Option<Preview>,
}

/// The mean and the deviation of each channel, in the f32 in which they are published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// The mean of each channel.
    pub mean: &'static [f32],
    /// The standard deviation of each channel.
    pub deviation: &'static [f32],
}

/// The colours of latents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preview {
    /// Red, green and blue of each channel.
    pub factors: &'static [[f64; 3]],
    /// The colour of 0: black is -1, white is 1.
    pub bias: [f64; 3],
    /// True if a cell holds four of the preview: channel `4*c + 2*dy + dx` of it is channel `c` of the one at `(dx, dy)`.
    pub unfolds: bool,
}

impl Preview {
    /// The colour of 0 of a matrix without a bias.
    pub(super) const GREY: [f64; 3] = [0.0; 3];

    /// Cells of the preview along an edge of a cell.
    #[must_use]
    pub const fn edge(&self) -> usize {
        if self.unfolds { 2 } else { 1 }
    }

    /// The byte of a colour in -1..1, rounded down as ComfyUI does; NaN is 0.
    #[must_use]
    pub fn byte(colour: f64) -> u8 {
        (((colour + 1.0) / 2.0).clamp(0.0, 1.0) * 255.0) as u8
    }
}

/// The affine map of a channel, in the order of the published formula, which is exact where it cancels.
#[derive(Clone, Copy)]
struct Channel {
    mean: f64,
    deviation: f64,
    scale: f64,
}

impl Channel {
    fn enter(self, x: f64) -> f64 {
        (x - self.mean) * self.scale / self.deviation
    }

    fn leave(self, x: f64) -> f64 {
        x * self.deviation / self.scale + self.mean
    }
}

impl LatentFormat {
    /// Latents of a picture in four channels of 8x8 pixels, as they are: what other formats begin from.
    pub(super) const PLAIN: Self = Self {
        channels: 4,
        dimensions: 2,
        spatial: 8,
        temporal: 1,
        scale: 1.0,
        shift: 0.0,
        statistics: None,
        preview: None,
    };

    /// Latents, as an autoencoder makes them, in the scale of the network: `[sample, channel, cell]`, with `cells` of a channel.
    ///
    /// # Errors
    /// [`LatentError::Elements`] unless there are whole samples.
    pub fn process_in(&self, latents: &[f64], cells: usize) -> Result<Vec<f64>, LatentError> {
        self.each(latents, cells, Channel::enter)
    }

    /// The way back: latents of the network as the autoencoder takes them.
    ///
    /// # Errors
    /// As [`process_in`](Self::process_in).
    pub fn process_out(&self, latents: &[f64], cells: usize) -> Result<Vec<f64>, LatentError> {
        self.each(latents, cells, Channel::leave)
    }

    /// [`process_in`](Self::process_in) as a table with a row for each channel, for a [map](crate::gpu::Map) whose samples are
    /// channels, whose timesteps are their numbers, and whose second input is 1 everywhere. The first output is the result, the
    /// second is 0.
    #[must_use]
    pub fn table_in(&self) -> Table<Matrix> {
        Table::new(self.all().map(|it| [[it.scale / it.deviation, -it.mean * it.scale / it.deviation], [0.0; 2]]))
    }

    /// [`process_out`](Self::process_out) as such a table.
    #[must_use]
    pub fn table_out(&self) -> Table<Matrix> {
        Table::new(self.all().map(|it| [[it.deviation / it.scale, it.mean], [0.0; 2]]))
    }

    /// The bytes `[height, width, (red, green, blue)]` of a frame of one sample in the scale of the network: `[channel, frame,
    /// height, width]`. A format that [unfolds](Preview::unfolds) has twice the height and the width.
    ///
    /// # Errors
    /// [`LatentError::NoPreview`], [`LatentError::Frame`], and [`LatentError::Elements`] unless it is one sample.
    pub fn preview_of(&self, latents: &[f64], shape: [usize; 3], frame: usize) -> Result<Vec<u8>, LatentError> {
        let preview = self.preview.ok_or(LatentError::NoPreview)?;
        let [frames, height, width] = shape;
        let cells = self.cells(latents, shape)?;
        if frame >= frames {
            return Err(LatentError::Frame { frames, found: frame });
        }
        let edge = preview.edge();
        let of_cell = |y: usize, x: usize| {
            let cell = (frame * height + y / edge) * width + x / edge;
            let first = edge * (y % edge) + x % edge;
            let channels = latents.chunks_exact(cells).skip(first).step_by(edge * edge);
            let values = channels.map(move |channel| channel.get(cell).copied().unwrap_or(f64::NAN));
            (0..3).map(move |colour| {
                let terms = values.clone().zip(preview.factors).map(|(value, factors)| value * factors[colour]);
                Preview::byte(terms.sum::<f64>() + preview.bias[colour])
            })
        };
        let places = (0..height * edge).flat_map(|y| (0..width * edge).map(move |x| (y, x)));
        Ok(places.flat_map(|(y, x)| of_cell(y, x).collect::<Vec<u8>>()).collect())
    }

    /// The cells of a channel, of latents that are one sample of this shape.
    fn cells(&self, latents: &[f64], shape: [usize; 3]) -> Result<usize, LatentError> {
        let cells = shape.iter().try_fold(1_usize, |cells, &axis| cells.checked_mul(axis)).unwrap_or(usize::MAX);
        match cells.checked_mul(self.channels) {
            Some(elements) if elements == latents.len() && elements > 0 => Ok(cells),
            _ => Err(LatentError::Elements { channels: self.channels, cells, found: latents.len() }),
        }
    }

    /// The affine maps of the channels.
    fn all(&self) -> impl Iterator<Item = Channel> + Clone + '_ {
        let scale = self.scale;
        let of = move |list: Option<&'static [f32]>, channel: usize, usual: f64| {
            list.map_or(usual, |list| list.get(channel).map_or(f64::NAN, |&value| f64::from(value)))
        };
        (0..self.channels).map(move |channel| Channel {
            mean: of(self.statistics.map(|it| it.mean), channel, self.shift),
            deviation: of(self.statistics.map(|it| it.deviation), channel, 1.0),
            scale,
        })
    }

    fn each(
        &self,
        latents: &[f64],
        cells: usize,
        change: impl Fn(Channel, f64) -> f64,
    ) -> Result<Vec<f64>, LatentError> {
        let found = latents.len();
        if cells == 0 || !found.is_multiple_of(cells) || !(found / cells).is_multiple_of(self.channels) {
            return Err(LatentError::Elements { channels: self.channels, cells, found });
        }
        let channels = latents.chunks_exact(cells).zip(self.all().cycle());
        Ok(channels.flat_map(|(channel, map)| channel.iter().map(|&x| change(map, x)).collect::<Vec<_>>()).collect())
    }
}
