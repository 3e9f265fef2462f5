//! A device, uploads and readback for tools, tests and examples.
//!
//! An application with a device of its own does not need this module. It is the only one that submits, polls and blocks. In a
//! browser, which must not block, [`Gpu::submit`] and [`Gpu::wait`] return at once; the `async` functions wait there, and the
//! next call that waits reports an error.

use std::sync::{Arc, Mutex, PoisonError};
use wgpu::{Backends, BufferUsages};

/// Errors of opening a device and reading buffers back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadlessError {
    /// There is no adapter that can run compute shaders.
    #[error("no GPU adapter with compute shaders found (on Linux, a Vulkan driver such as Mesa's lavapipe is enough)")]
    NoAdapter,
    /// There is no adapter with that index or name.
    #[error("expected the index or a part of the name of an adapter in [{}], found `{found}`", .available.join(", "))]
    UnknownAdapter {
        /// The index or name asked for.
        found: String,
        /// The available adapters, each as `index: name`.
        available: Vec<String>,
    },
    /// The adapter did not provide a device.
    #[error("the adapter `{adapter}` did not provide a device: {reason}")]
    NoDevice {
        /// The adapter's name.
        adapter: String,
        /// The reason that wgpu gives.
        reason: String,
    },
    /// The device reported an error or was lost while it worked.
    #[error("the GPU device failed: {0}")]
    Device(String),
    /// A byte range that is outside the buffer or not made of whole words.
    #[error("expected a byte range of whole 4-byte words in a buffer of {size} bytes, found {start}..{end}")]
    Range {
        /// The buffer's size in bytes.
        size: u64,
        /// The first byte asked for.
        start: u64,
        /// The end of the range asked for.
        end: u64,
    },
}

fn rank(info: &wgpu::AdapterInfo) -> (u8, u8) {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Cpu => 3,
        wgpu::DeviceType::Other => 4,
    };
    let software = u8::from(info.device_type == wgpu::DeviceType::Cpu);
    let gl = u8::from(info.backend == wgpu::Backend::Gl);
    // A native software driver ranks before any OpenGL adapter, whose type "other" may be software as well.
    (software.max(gl) + gl, kind)
}

/// An adapter's device and queue.
#[derive(Debug)]
pub struct Gpu {
    /// Properties that the adapter reports.
    pub info: wgpu::AdapterInfo,
    /// The device, with the adapter's own limits unless [`Gpu::with_limits`] made it.
    pub device: wgpu::Device,
    /// The queue.
    pub queue: wgpu::Queue,
    failure: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// Lists the adapters that can run compute shaders, best first: discrete, integrated, virtual, then software; native APIs
    /// before OpenGL. The environment variable `WGPU_BACKEND` restricts the list (`vulkan`, `metal`, `dx12`, `gl`).
    pub async fn adapters() -> Vec<wgpu::Adapter> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let backends = Backends::from_env().unwrap_or(Backends::PRIMARY | Backends::SECONDARY);
        let mut adapters = instance.enumerate_adapters(backends).await;
        adapters.retain(|adapter| {
            let flags = adapter.get_downlevel_capabilities().flags;
            flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
        });
        adapters.sort_by_key(|adapter| rank(&adapter.get_info()));
        adapters
    }

    /// Describes an adapter as `name (backend, driver)`, as the tool lists adapters.
    pub fn describe(info: &wgpu::AdapterInfo) -> String {
        format!("{} ({}, {} {})", info.name, info.backend, info.driver, info.driver_info).replace(" )", ")")
    }

    /// Opens the adapter with this index or with this part of its [description](Self::describe) (in any case); the best one for
    /// `None`. The device has the adapter's own limits.
    ///
    /// # Errors
    /// [`HeadlessError::NoAdapter`], [`HeadlessError::UnknownAdapter`], [`HeadlessError::NoDevice`].
    pub async fn open(which: Option<&str>) -> Result<Self, HeadlessError> {
        let mut adapters = Self::adapters().await;
        let index = choose(&adapters, which)?;
        let adapter = adapters.swap_remove(index);
        let limits = adapter.limits();
        Self::with_limits(&adapter, limits).await
    }

    /// Opens an adapter with these limits and with those features of the adapter that tools and tests use: timestamp queries,
    /// 64-bit integers, 16-bit floats and pipeline caches.
    ///
    /// # Errors
    /// [`HeadlessError::NoDevice`].
    pub async fn with_limits(adapter: &wgpu::Adapter, limits: wgpu::Limits) -> Result<Self, HeadlessError> {
        let numbers = wgpu::Features::SHADER_INT64 | wgpu::Features::SHADER_F16;
        let wanted = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE | numbers;
        Self::with_features(adapter, adapter.features() & wanted, limits).await
    }

    /// Opens an adapter with these features and limits.
    ///
    /// # Errors
    /// [`HeadlessError::NoDevice`].
    pub async fn with_features(
        adapter: &wgpu::Adapter,
        features: wgpu::Features,
        limits: wgpu::Limits,
    ) -> Result<Self, HeadlessError> {
        let info = adapter.get_info();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("tweedie::Gpu::device"),
            required_features: features,
            required_limits: limits,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|error| HeadlessError::NoDevice { adapter: info.name.clone(), reason: error.to_string() })?;
        let failure = Arc::new(Mutex::new(None));
        let first = Arc::clone(&failure);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| note(&first, error.to_string())));
        let first = Arc::clone(&failure);
        // A device whose last handle is dropped is also reported as lost, but by then nobody asks.
        device.set_device_lost_callback(move |reason, message| note(&first, format!("lost ({reason:?}): {message}")));
        Ok(Self { info, device, queue, failure })
    }

    /// Creates a storage buffer with these bytes, padded with zeros to whole 4-byte words. It can be copied from and to.
    pub fn upload(&self, label: &str, bytes: &[u8]) -> wgpu::Buffer {
        let buffer = self.buffer(label, bytes.len() as u64);
        let whole = bytes.len() / 4 * 4;
        self.queue.write_buffer(&buffer, 0, &bytes[..whole]);
        if whole < bytes.len() {
            let mut word = [0; 4];
            word[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.queue.write_buffer(&buffer, whole as u64, &word);
        }
        buffer
    }

    /// Creates a storage buffer of this many bytes, rounded up to whole 4-byte words and at least one, filled with zeros.
    pub fn buffer(&self, label: &str, bytes: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.next_multiple_of(4).max(4),
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    /// Records commands with `record`, submits them, and waits as [`wait`](Self::wait) does.
    ///
    /// # Errors
    /// [`HeadlessError::Device`] for an error of the device.
    pub fn submit<T>(&self, record: impl FnOnce(&mut wgpu::CommandEncoder) -> T) -> Result<T, HeadlessError> {
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("tweedie::Gpu::encoder") });
        let result = record(&mut encoder);
        self.queue.submit([encoder.finish()]);
        self.wait()?;
        Ok(result)
    }

    /// Waits for all submitted work; returns at once in a browser.
    ///
    /// # Errors
    /// [`HeadlessError::Device`] for an error of the device.
    pub fn wait(&self) -> Result<(), HeadlessError> {
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        polled.map(|_| ()).map_err(|error| HeadlessError::Device(error.to_string()))
    }

    /// Checks that the device has not reported an error since the last check.
    ///
    /// # Errors
    /// [`HeadlessError::Device`] with the first error; it is returned once.
    pub fn check(&self) -> Result<(), HeadlessError> {
        let mut slot = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        slot.take().map_or(Ok(()), |message| Err(HeadlessError::Device(message)))
    }

    /// Reads a byte range back, in pieces of at most 64 MiB. It must consist of whole 4-byte words.
    ///
    /// # Errors
    /// [`HeadlessError::Range`] for a range outside the buffer or of other than whole words; [`HeadlessError::Device`] for an
    /// error of the device.
    pub async fn download(&self, buffer: &wgpu::Buffer, range: std::ops::Range<u64>) -> Result<Vec<u8>, HeadlessError> {
        const PIECE: u64 = 64 << 20;
        let (start, end, size) = (range.start, range.end, buffer.size());
        if start > end || end > size || start % 4 != 0 || end % 4 != 0 {
            return Err(HeadlessError::Range { size, start, end });
        }
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("tweedie::Gpu::staging"),
            size: PIECE.min(end - start).max(4),
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut bytes = Vec::with_capacity((end - start) as usize);
        for piece in (start..end).step_by(PIECE as usize) {
            let length = PIECE.min(end - piece);
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(buffer, piece, &staging, 0, length);
            self.queue.submit([encoder.finish()]);
            let slice = staging.slice(..length);
            let (sender, receiver) = futures_intrusive::channel::shared::oneshot_channel();
            slice.map_async(wgpu::MapMode::Read, move |result| {
                let _ = sender.send(result);
            });
            self.wait()?;
            let failed = |reason: String| HeadlessError::Device(reason);
            match receiver.receive().await {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(failed(error.to_string())),
                None => return Err(failed("the readback was dropped".to_owned())),
            }
            self.check()?; // by now a browser has reported its errors
            let view = slice.get_mapped_range().map_err(|error| failed(error.to_string()))?;
            bytes.extend_from_slice(&view);
            drop(view);
            staging.unmap();
        }
        Ok(bytes)
    }
}

/// Keeps the first failure.
fn note(slot: &Mutex<Option<String>>, failure: String) {
    slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
}

fn choose(adapters: &[wgpu::Adapter], which: Option<&str>) -> Result<usize, HeadlessError> {
    if adapters.is_empty() {
        return Err(HeadlessError::NoAdapter);
    }
    let Some(wanted) = which else {
        return Ok(0);
    };
    let names: Vec<String> = adapters.iter().map(|adapter| Gpu::describe(&adapter.get_info())).collect();
    let by_index = wanted.parse::<usize>().ok().filter(|&index| index < names.len());
    let lower = wanted.to_lowercase();
    by_index.or_else(|| names.iter().position(|name| name.to_lowercase().contains(&lower))).ok_or_else(|| {
        let available = names.iter().enumerate().map(|(i, name)| format!("{i}: {name}")).collect();
        HeadlessError::UnknownAdapter { found: wanted.to_owned(), available }
    })
}
