//! A device without a window, and a studio on it.

use pictures::test_card::test_card;
use tweedie::headless::{Gpu, HeadlessError};
use tweedie_viewer::scenes::{Demand, Seen, Studio, What};
use tweedie_viewer::state::State;

/// A test that needs an adapter; it fails by panicking, like any other.
pub type Test = (&'static str, fn(&Bed));

pub const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// Frames after which everything that was on its way has arrived.
const FRAMES: usize = 20;

pub struct Bed {
    pub gpu: Gpu,
}

impl Bed {
    pub fn open() -> Result<Self, HeadlessError> {
        let which = std::env::var("TWEEDIE_ADAPTER").ok();
        Ok(Self { gpu: pollster::block_on(Gpu::open(which.as_deref()))? })
    }

    pub fn studio(&self) -> Studio {
        Studio::new(&self.gpu.device, &self.gpu.queue, FORMAT)
    }

    /// A frame, and how many dispatches it took.
    pub fn frame(&self, studio: &mut Studio, demand: &Demand) -> u64 {
        let before = studio.look().dispatches;
        self.gpu.submit(|encoder| studio.record(encoder, demand)).expect("device");
        studio.look().dispatches - before
    }

    /// Frames until nothing is on its way any more.
    pub fn settle(&self, studio: &mut Studio, demand: &Demand) -> Seen {
        for _ in 0..FRAMES {
            self.frame(studio, demand);
            let seen = studio.look();
            if !seen.pending {
                return seen;
            }
        }
        panic!("something never arrived: {:?}", studio.look());
    }

    /// The numbers of a picture.
    pub fn read(&self, studio: &Studio, what: What) -> Vec<f32> {
        let hung = studio.find(what).unwrap_or_else(|| panic!("there is no {what:?}"));
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
