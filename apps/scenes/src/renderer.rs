//! Everything that a viewer keeps on the GPU, and the work of a frame: what has changed, and nothing else.

pub use crate::buffers::ImageId;
use crate::buffers::ImageSlice;
use crate::digits::{Digits, DigitsScene, WeightsSource};
use crate::image_renderer::{ImageRenderer, Placement};
use crate::plane::{Plane, PlaneScene};
use crate::readout::Readout;
use crate::trajectory::{RunScene, Trajectory};
use ::digits::{DigitsError, Kernels, Weights};
use pictures::Picture;
use tweedie::Context;
use tweedie::wgpu;

/// The computation that a frame asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// A picture, its targets, and what is recovered from predictions.
    Plane(PlaneScene),
    /// Sampling, as far as this call.
    Run(RunScene, usize),
    /// Digits.
    Digits {
        /// Their description.
        scene: DigitsScene,
        /// Calls that are wanted.
        wanted: usize,
        /// The most calls that this frame may record.
        most: usize,
    },
}

/// A picture, its place, and the factor of its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// The picture.
    pub what: ImageId,
    /// Left, top, right, bottom in clip space.
    pub corners: [f32; 4],
    /// The window's pixels that it covers, across and down.
    pub pixels: [u32; 2],
    /// Factor of its values: with 1, -1 is black and 1 full intensity.
    pub gain: f32,
}

/// Status of the work, for the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The root mean square difference from the picture: of `x_t`, then of each column's x0. Empty before they arrive.
    pub errors: Vec<f64>,
    /// For each column, whether its prediction determines x0.
    pub determined: Vec<bool>,
    /// Calls of the trajectory that are done.
    pub done: usize,
    /// Samples of the trajectory.
    pub samples: u32,
    /// Calls of the digits that are done.
    pub written: usize,
    /// Number of digits.
    pub digits: u32,
    /// Dispatches since the window opened.
    pub dispatches: u64,
    /// True while the weights of the digits are on their way.
    pub waiting: bool,
    /// True if something is still on its way to the host.
    pub pending: bool,
    /// Why nothing is shown.
    pub trouble: Option<String>,
}

/// The device's side of a viewer.
#[derive(Debug)]
pub struct Renderer {
    context: Context,
    queue: wgpu::Queue,
    images: ImageRenderer,
    plane: Option<Plane>,
    trajectory: Option<Trajectory>,
    digits: Option<Digits>,
    kernels: Option<Kernels>,
    /// The weights that were used last.
    weights: Option<Weights>,
    source: WeightsSource,
    /// True if the errors that are known are those of an earlier scene.
    stale: bool,
    errors: Option<Readout>,
    wanted: Option<ImageId>,
    picture: Option<Wanted>,
    status: Status,
}

/// A picture for the host.
#[derive(Debug)]
enum Wanted {
    /// On its way, with its size and its number of channels.
    Copied(Readout, [u32; 2], u32),
    /// There was none.
    Missing,
}

impl Renderer {
    /// Creates a renderer for targets of this format, with weights for the digits from this source.
    #[must_use]
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, format: wgpu::TextureFormat, source: WeightsSource) -> Self {
        Self {
            context: Context::new(device),
            queue: queue.clone(),
            images: ImageRenderer::new(device, format),
            plane: None,
            trajectory: None,
            digits: None,
            kernels: None,
            weights: None,
            source,
            stale: false,
            errors: None,
            wanted: None,
            picture: None,
            status: Status::default(),
        }
    }

    /// Records what a frame wants and is not done yet into the window's encoder. Returns whether another frame is needed: because
    /// there is something new to show, or something left to do.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder, request: &Request) -> bool {
        let before = self.status.clone();
        self.status.waiting = false;
        match self.work(encoder, request) {
            Ok(dispatches) => {
                self.status.dispatches += dispatches as u64;
                self.status.trouble = None;
            }
            Err(error) => self.status.trouble = Some(error.to_string()),
        }
        self.read(encoder);
        self.status.pending || self.status != before
    }

    fn work(&mut self, encoder: &mut wgpu::CommandEncoder, request: &Request) -> Result<usize, DigitsError> {
        match request {
            Request::Plane(scene) => {
                let served = self.plane.take().filter(|plane| plane.serves(scene));
                let mut plane = served.map_or_else(|| Plane::new(&self.context, &self.queue, scene), Ok)?;
                let dispatches = plane.show(&self.context, &self.queue, encoder, scene)?;
                self.stale |= dispatches > 0;
                self.status.determined = plane.columns().iter().map(|column| column.determined).collect();
                self.plane = Some(plane);
                Ok(dispatches)
            }
            Request::Run(scene, call) => {
                let served = self.trajectory.take().filter(|trajectory| trajectory.serves(scene));
                let mut trajectory = served.map_or_else(|| Trajectory::new(&self.context, &self.queue, scene), Ok)?;
                let dispatches = trajectory.advance(encoder, *call)?;
                (self.status.done, self.status.samples) = (trajectory.done(), trajectory.samples());
                self.trajectory = Some(trajectory);
                Ok(dispatches)
            }
            Request::Digits { scene, wanted, most } => {
                let Some(mut digits) = self.digits_of(scene)? else {
                    (self.status.written, self.status.waiting) = (0, true);
                    return Ok(0);
                };
                digits.adopt(&self.context, &self.queue, scene, *wanted)?;
                let dispatches = digits.advance(encoder, *wanted, *most)?;
                (self.status.written, self.status.digits) = (digits.done(), digits.count());
                self.digits = Some(digits);
                Ok(dispatches)
            }
        }
    }

    /// Takes the digits that are there if they serve a scene, or makes others; `None` while their weights are on their way.
    fn digits_of(&mut self, scene: &DigitsScene) -> Result<Option<Digits>, DigitsError> {
        if let Some(digits) = self.digits.take().filter(|digits| digits.serves(scene)) {
            return Ok(Some(digits));
        }
        if self.weights.as_ref().is_none_or(|weights| weights.prediction() != scene.predicts) {
            let Some(weights) = (self.source)(scene.predicts) else { return Ok(None) };
            self.weights = Some(weights?);
        }
        let Some(weights) = &self.weights else { return Ok(None) };
        let kernels = match self.kernels.take() {
            Some(kernels) => kernels,
            None => Kernels::new(self.context.device())?,
        };
        let made = Digits::new(&self.context, &self.queue, &kernels, weights, scene);
        self.kernels = Some(kernels);
        made.map(Some)
    }

    /// Records copies for the host: the errors if they are not known, unless a copy is on its way; a picture if one is wanted.
    fn read(&mut self, encoder: &mut wgpu::CommandEncoder) {
        let device = self.context.device();
        if let (Some(plane), true, None) = (&self.plane, self.stale, &self.errors) {
            let count = plane.errors().size() / 4;
            self.errors = Some(Readout::record(encoder, device, plane.errors(), [0, count]));
            self.stale = false;
        }
        if let Some(what) = self.wanted.take() {
            let copied = |hung: ImageSlice| {
                let readout = Readout::record(encoder, device, &hung.buffer, [hung.offset, hung.count()]);
                Wanted::Copied(readout, hung.size, hung.channels)
            };
            self.picture = Some(self.find(what).map_or(Wanted::Missing, copied));
        }
        let is_read = self.stale || self.errors.is_some() || self.picture.is_some();
        self.status.pending = is_read || self.status.waiting;
    }

    /// Takes in what has arrived, and returns the status; to be called before a frame is recorded.
    pub fn look(&mut self) -> Status {
        if let Some(squares) = self.errors.as_mut().and_then(Readout::arrived) {
            self.status.errors = squares.into_iter().map(|square| f64::from(square).sqrt()).collect();
            self.errors = None;
        }
        self.status.clone()
    }

    /// Asks for a picture's numbers: they are copied with the next frame.
    pub fn want(&mut self, what: ImageId) {
        self.wanted = Some(what);
        self.status.pending = true;
    }

    /// The picture that was asked for, once it has arrived; or why there is none, in words.
    pub fn wanted(&mut self) -> Option<Result<Picture, String>> {
        let found = match self.picture.as_mut()? {
            Wanted::Missing => Err("The picture is no longer there.".to_owned()),
            Wanted::Copied(readout, [width, height], channels) => match readout.arrived()? {
                data if data.is_empty() => Err("The picture could not be read back from the GPU.".to_owned()),
                data => {
                    let colours = if *channels == 1 { data.repeat(3) } else { data };
                    let picture = Picture::from_planar(*width as usize, *height as usize, colours);
                    picture.map_err(|error| format!("{error:#}"))
                }
            },
        };
        self.picture = None;
        Some(found)
    }

    /// Finds the buffer of a picture, if it exists.
    #[must_use]
    pub fn find(&self, what: ImageId) -> Option<ImageSlice> {
        let plane = self.plane.as_ref().and_then(|plane| plane.find(what));
        let sampled = plane.or_else(|| self.trajectory.as_ref()?.find(what));
        sampled.or_else(|| self.digits.as_ref()?.find(what))
    }

    /// Places those of these pictures that exist.
    pub fn place(&mut self, pieces: &[Piece]) {
        let place = |&Piece { what, corners, pixels, gain }: &Piece| {
            let picture = self.find(what)?;
            let crisp = (0..2).all(|i| pixels[i] != 0 && pixels[i].is_multiple_of(picture.size[i]));
            Some(Placement { corners, picture, gain, crisp })
        };
        let places = pieces.iter().filter_map(place).collect();
        self.images.place(self.context.device(), &self.queue, places);
    }

    /// Draws the pictures that were placed.
    pub fn draw(&self, pass: &mut wgpu::RenderPass<'_>) {
        self.images.draw(pass);
    }
}
