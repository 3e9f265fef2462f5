//! Samplers: what holds between them, and how fast they converge.

use tweedie::math::sampler::{Denoiser, FirstOrder, Grid, Sampler};
use tweedie::math::{NoiseLevel, Quantity, Schedule, Spacing};

#[test]
fn a_first_loop() {
    let schedule = Schedule::linear(1000, 1e-4, 0.02).unwrap();
    let timesteps = Spacing::Leading { offset: 0 }.timesteps(1000, 10).unwrap();
    assert_eq!(timesteps[..2], [900, 800]);
    let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN).unwrap();
    let sampler = Sampler::new(&FirstOrder::ddim(0.5), &grid, &Denoiser::new(Quantity::V)).unwrap();
    assert_eq!(sampler.calls().len(), 10);
    assert_eq!(sampler.noises(), 9);
}
