//! A format of latents: the scale at which a network works on them, and the matrix that shows them as colours.
//!
//! **Theory.** The latents of an autoencoder are brought to a deviation near 1 before a network sees them, by an affine map
//! of each channel:
//! ```text
//! in  = (x - shift)*scale     or (x - mean)*scale/deviation
//! out = in/scale + shift      or in*deviation/scale + mean
//! ```
//! A preview of clean latents, at the scale of the network, is `factors^T*in + bias` for each cell: a colour in -1..1.
//!
//! **Practice.** [`LatentFormat::process_in`] and [`process_out`](LatentFormat::process_out) are the reference in f64. On the
//! GPU the map is one row for each channel: [`table_in`](LatentFormat::table_in), [`table_out`](LatentFormat::table_out). The
//! kernel of the preview is [`LatentPreview`](crate::gpu::LatentPreview).

use super::error::LatentError;
use crate::table::{Matrix, Table};

/// The format of the latents of an autoencoder.
///
/// The constants have the values of ComfyUI; [`LatentFormat::CATALOGUE`] lists them by its names.
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
    /// The axes of a channel: 1 for audio, 2 for a picture, 3 for a video.
    pub dimensions: usize,
    /// The pixels along an edge that become one cell.
    pub spatial: usize,
    /// The frames of a video, or the samples of audio, that become one cell. The first frame of a video is a cell of its own.
    pub temporal: usize,
    /// The factor by which latents are multiplied for the network.
    pub scale: f64,
    /// The number subtracted from latents before they are scaled.
    pub shift: f64,
    /// The mean and the standard deviation of each channel, if the format normalizes each; they take the place of `shift`.
    pub statistics: Option<Statistics>,
    /// The matrix of a preview; `None` where none is known.
    pub preview: Option<Preview>,
}

/// The mean and the standard deviation of each channel, in f32 as published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// The mean of each channel.
    pub mean: &'static [f32],
    /// The standard deviation of each channel.
    pub deviation: &'static [f32],
}

/// The matrix that shows latents as colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preview {
    /// Red, green and blue of each channel.
    pub factors: &'static [[f64; 3]],
    /// The colour of latents that are 0; -1 is black, 1 is white.
    pub bias: [f64; 3],
    /// True if a cell holds 2x2 cells of the preview: its channel `4*c + 2*dy + dx` is channel `c` of the cell at `(dx, dy)`.
    pub unfolds: bool,
}

impl Preview {
    /// The bias of a matrix without one.
    pub(super) const GREY: [f64; 3] = [0.0; 3];

    /// The cells of the preview along an edge of a cell of the latents: 2 if it [unfolds](Self::unfolds), otherwise 1.
    #[must_use]
    pub const fn edge(&self) -> usize {
        if self.unfolds { 2 } else { 1 }
    }

    /// Converts a colour in -1..1 to a byte, rounded down as in ComfyUI; NaN gives 0.
    #[must_use]
    pub fn byte(colour: f64) -> u8 {
        (((colour + 1.0) / 2.0).clamp(0.0, 1.0) * 255.0) as u8
    }
}

/// The affine map of a channel, computed in the order of the published formula, so that what cancels is exactly 0.
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
    /// Unscaled latents of a picture, four channels with a cell for 8x8 pixels: the base of the other formats.
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

    /// Converts latents from the scale of the autoencoder to that of the network: `[sample, channel, cell]`, with `cells` cells in
    /// a channel.
    ///
    /// # Errors
    /// [`LatentError::Elements`] unless there are whole samples.
    pub fn process_in(&self, latents: &[f64], cells: usize) -> Result<Vec<f64>, LatentError> {
        self.each(latents, cells, Channel::enter)
    }

    /// Converts latents from the scale of the network to that of the autoencoder.
    ///
    /// # Errors
    /// As [`process_in`](Self::process_in).
    pub fn process_out(&self, latents: &[f64], cells: usize) -> Result<Vec<f64>, LatentError> {
        self.each(latents, cells, Channel::leave)
    }

    /// Returns [`process_in`](Self::process_in) as a table with a row for each channel, for a [map](crate::gpu::Map) whose samples
    /// are channels, whose timesteps are the indices of the channels, and whose second input is 1 everywhere. The first output is
    /// the result, the second is 0.
    #[must_use]
    pub fn table_in(&self) -> Table<Matrix> {
        Table::new(self.all().map(|it| [[it.scale / it.deviation, -it.mean * it.scale / it.deviation], [0.0; 2]]))
    }

    /// Returns [`process_out`](Self::process_out) as a table like that of [`table_in`](Self::table_in).
    #[must_use]
    pub fn table_out(&self) -> Table<Matrix> {
        Table::new(self.all().map(|it| [[it.deviation / it.scale, it.mean], [0.0; 2]]))
    }

    /// Returns the bytes `[height, width, (red, green, blue)]` of a frame of one sample at the scale of the network, whose latents
    /// are `[channel, frame, height, width]` and whose `shape` is the last three. A preview that [unfolds](Preview::unfolds) has
    /// twice the height and the width.
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

    /// The cells of a channel, if the latents are one sample of this shape.
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
