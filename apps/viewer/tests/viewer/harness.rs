//! A device without a window, and a renderer on it.

use ::digits::Weights;
use pictures::test_card::test_card;
use tweedie::headless::{Gpu, HeadlessError};
use tweedie_viewer::digits::WeightsSource;
use tweedie_viewer::renderer::{ImageId, Renderer, Request, Status};
use tweedie_viewer::state::State;

/// A test that needs an adapter; it fails by panicking, like any other.
pub type Test = (&'static str, fn(&Harness));

pub const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// Frames after which everything that was on its way has arrived.
const FRAMES: usize = 20;

pub struct Harness {
    pub gpu: Gpu,
}

impl Harness {
    pub fn open() -> Result<Self, HeadlessError> {
        let which = std::env::var("TWEEDIE_ADAPTER").ok();
        Ok(Self { gpu: pollster::block_on(Gpu::open(which.as_deref()))? })
    }

    pub fn renderer(&self) -> Renderer {
        self.renderer_with(|quantity| Some(Weights::trained(quantity)))
    }

    /// With weights for the digits from this source.
    pub fn renderer_with(&self, source: WeightsSource) -> Renderer {
        Renderer::new(&self.gpu.device, &self.gpu.queue, FORMAT, source)
    }

    /// Records a frame, and returns the number of its dispatches.
    pub fn frame(&self, renderer: &mut Renderer, request: &Request) -> u64 {
        let before = renderer.look().dispatches;
        self.gpu.submit(|encoder| renderer.record(encoder, request)).expect("device");
        renderer.look().dispatches - before
    }

    /// Records frames until nothing is on its way to the host any more.
    pub fn settle(&self, renderer: &mut Renderer, request: &Request) -> Status {
        for _ in 0..FRAMES {
            self.frame(renderer, request);
            let status = renderer.look();
            if !status.pending {
                return status;
            }
        }
        panic!("something never arrived: {:?}", renderer.look());
    }

    /// Reads the numbers of a picture back.
    pub fn read(&self, renderer: &Renderer, what: ImageId) -> Vec<f32> {
        let hung = renderer.find(what).unwrap_or_else(|| panic!("there is no {what:?}"));
        let range = 4 * hung.offset..4 * (hung.offset + hung.count());
        bytemuck::pod_collect_to_vec(&pollster::block_on(self.gpu.download(&hung.buffer, range)).expect("readback"))
    }
}

/// A small picture, so that f64 on the host does not take long.
pub fn small() -> State {
    State { shown: [true; 6], ..State::of(test_card(36, 22).into(), "a small one") }
}

pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}
