//! A batch that is split over several devices: each draws what a single one would.

use crate::harness::{Harness, download, download_words, upload, values};
use burn::tensor::{DType, Tensor};
use tweedie::gpu::NoiseKey;
use tweedie::math::Objective;
use tweedie::{Quantity, Schedule, Storage};
use tweedie_burn::{Bridge, Goal, Training};

pub const TESTS: &[crate::Test] =
    &[("devices::any_split_draws_what_one_device_does", any_split_draws_what_one_device_does)];

const BATCH: usize = 21;
const REST: [usize; 2] = [2, 13];
const KEY: NoiseKey = NoiseKey::seed(8).stream(12);

/// Results of a device for its part of the batch: timesteps, noisy samples, losses.
type Part = (Vec<u32>, Vec<f32>, Vec<f32>);

fn part(bridge: &Bridge, rank: std::ops::Range<usize>, first_sample: usize) -> Part {
    let schedule = Schedule::cosine(500).expect("a schedule");
    let goal = Goal::new(Objective::of(Quantity::V), 500).expect("a goal");
    let goal = Goal { stratified: Some(BATCH as u32), ..goal };
    let training = Training::new(bridge, &schedule, goal).expect("a training");
    let elements = REST[0] * REST[1];
    let data = values(4, BATCH * elements, Storage::F32);
    let mine = &data[rank.start * elements..rank.end * elements];
    let x0: Tensor<3> = upload(bridge, mine, [rank.len(), REST[0], REST[1]], DType::F32);
    let noisy = training.noise(x0, KEY.first_sample(first_sample as u64)).expect("noise");
    // Tracked, as in a training.
    let leaf = noisy.x_t.clone().mul_scalar(0.5).autodiff().require_grad();
    let losses = training.loss(&noisy, leaf).expect("a loss");
    (download_words(&noisy.t), download(&noisy.x_t), download(&losses.samples))
}

/// 1, 2, 3 and 7 ranks over three devices that the application made of one adapter.
fn any_split_draws_what_one_device_does(harness: &Harness) {
    let devices = [harness.another(), harness.another(), harness.another()];
    let whole = part(&harness.bridges[0].1, 0..BATCH, 0);
    for ranks in [1, 2, 3, 7] {
        let border = |rank: usize| rank * BATCH / ranks;
        let parts: Vec<Part> = (0..ranks)
            .map(|rank| part(&devices[rank % devices.len()], border(rank)..border(rank + 1), border(rank)))
            .collect();
        let t: Vec<u32> = parts.iter().flat_map(|part| part.0.clone()).collect();
        assert_eq!(t, whole.0, "{ranks} ranks");
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        let x_t: Vec<u32> = parts.iter().flat_map(|part| bits(&part.1)).collect();
        assert_eq!(x_t, bits(&whole.1), "{ranks} ranks");
        let losses: Vec<u32> = parts.iter().flat_map(|part| bits(&part.2)).collect();
        assert_eq!(losses, bits(&whole.2), "{ranks} ranks");
    }
    // A rank that forgets where its samples are draws other numbers.
    let second = part(&devices[0], 7..14, 0);
    assert!(second.0 != whole.0[7..14] && second.1 != whole.1[7 * 26..14 * 26]);
}
