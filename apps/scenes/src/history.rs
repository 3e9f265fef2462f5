//! Samples before each call of a loop and clean samples of each call, kept on the GPU to be looked at again.

use crate::buffers::floats;
use tweedie::{Error, Shape, wgpu};

/// The memory that each of the two lists may take, in bytes: what every device can bind.
const MOST_BYTES: u64 = 128 << 20;

/// A loop's current sample and clean sample, and those of every call so far.
#[derive(Debug)]
pub struct History {
    shape: Shape,
    x: wgpu::Buffer,
    x0: wgpu::Buffer,
    /// The samples before each call, and after the last.
    samples: wgpu::Buffer,
    /// The clean samples of each call.
    clean: wgpu::Buffer,
    /// Calls that have been recorded, once the loop has begun.
    done: Option<usize>,
}

impl History {
    /// Allocates for at most `samples` samples of `elements` elements; for fewer if there is no room for that many in all calls.
    pub fn new(device: &wgpu::Device, [samples, elements]: [u32; 2], calls: usize) -> Self {
        let places = calls as u64 + 1;
        let most = MOST_BYTES.min(device.limits().max_storage_buffer_binding_size);
        let room = most / (4 * u64::from(elements) * places);
        let shape = Shape::new(room.clamp(1, u64::from(samples)) as u32, elements);
        let tensor = |label, count| floats(device, label, count * shape.total());
        let [x, x0] = ["scenes::x", "scenes::preview"].map(|label| tensor(label, 1));
        let [samples, clean] = ["scenes::seen", "scenes::previews"].map(|label| tensor(label, places));
        Self { shape, x, x0, samples, clean, done: None }
    }

    /// The samples that there is room for.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The buffer that holds the loop's sample.
    pub const fn x(&self) -> &wgpu::Buffer {
        &self.x
    }

    /// The buffer into which a step writes the clean sample.
    pub const fn x0(&self) -> &wgpu::Buffer {
        &self.x0
    }

    /// Calls that have been recorded.
    pub fn done(&self) -> usize {
        self.done.unwrap_or(0)
    }

    /// Records the start of a loop, if it has not begun, and calls until `last` are done; returns the number of dispatches.
    /// `start` records the start and `record` a call; each returns the number of its own.
    ///
    /// # Errors
    /// Those of `start` and of `record`.
    pub fn advance<E: From<Error>>(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        start: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<usize, Error>,
        last: usize,
        mut record: impl FnMut(&mut wgpu::CommandEncoder, usize) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut dispatches = 0;
        if self.done.is_none() {
            dispatches += start(encoder)?;
            copy(encoder, &self.x, &self.samples, 0);
            self.done = Some(0);
        }
        while self.done() < last {
            let call = self.done();
            dispatches += record(encoder, call)?;
            copy(encoder, &self.x0, &self.clean, call);
            copy(encoder, &self.x, &self.samples, call + 1);
            self.done = Some(call + 1);
        }
        Ok(dispatches)
    }

    /// Forgets everything: the loop is to begin anew.
    pub fn forget(&mut self) {
        self.done = None;
    }

    /// The sample before a call, or after the last: the buffer, and the floats before it; `None` if the loop has not got there.
    pub fn sample(&self, sample: u32, call: usize) -> Option<(&wgpu::Buffer, u64)> {
        let known = self.done.is_some_and(|done| call <= done);
        known.then(|| self.place(sample, call)).flatten().map(|place| (&self.samples, place))
    }

    /// The clean sample of a call, in the same form.
    pub fn clean(&self, sample: u32, call: usize) -> Option<(&wgpu::Buffer, u64)> {
        (call < self.done()).then(|| self.place(sample, call)).flatten().map(|place| (&self.clean, place))
    }

    fn place(&self, sample: u32, call: usize) -> Option<u64> {
        let index = call as u64 * u64::from(self.shape.batch) + u64::from(sample);
        (sample < self.shape.batch).then(|| index * u64::from(self.shape.elements))
    }
}

fn copy(encoder: &mut wgpu::CommandEncoder, from: &wgpu::Buffer, to: &wgpu::Buffer, place: usize) {
    encoder.copy_buffer_to_buffer(from, 0, to, place as u64 * from.size(), from.size());
}
