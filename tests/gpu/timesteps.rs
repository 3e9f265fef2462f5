//! Timesteps drawn on the GPU: exactly those that the host draws, however a batch is split.

use crate::harness::Harness;
use tweedie::gpu::{NoiseKey, Plan, PlanError, RecordError, Recording, TimestepDraw};
use tweedie::math::{Density, Schedule, TimestepDensity};

pub const TESTS: &[crate::Test] = &[
    ("timesteps::are_those_of_the_host", are_those_of_the_host),
    ("timesteps::do_not_depend_on_how_a_batch_is_split", do_not_depend_on_how_a_batch_is_split),
    ("timesteps::may_change_their_distribution", may_change_their_distribution),
    ("timesteps::errors_name_what_was_found", errors_name_what_was_found),
];

fn draw<'a>(density: &'a TimestepDensity, batch: u32, key: NoiseKey, buffer: &'a wgpu::Buffer) -> TimestepDraw<'a> {
    TimestepDraw {
        ends: density.ends(),
        batch,
        groups: 1,
        key,
        steps: 3,
        seeds: None,
        stratified: None,
        buffer,
        offset: 4,
    }
}

fn run(harness: &Harness, draw: &TimestepDraw<'_>, step: u32) -> Vec<u32> {
    let plan = draw.plan(&harness.context).expect("plan");
    read(harness, &plan, draw, step)
}

fn read(harness: &Harness, plan: &Plan, draw: &TimestepDraw<'_>, step: u32) -> Vec<u32> {
    let record = |encoder: &mut wgpu::CommandEncoder| plan.encode(encoder, Recording::per_sample().step(step));
    harness.gpu.submit(record).expect("device").expect("recording");
    let words: Vec<u32> = bytemuck::pod_collect_to_vec(&harness.read(draw.buffer));
    words[draw.offset as usize / 4..][..draw.batch as usize].to_vec()
}

fn densities() -> Vec<TimestepDensity> {
    let schedule = Schedule::cosine(1000).expect("schedule");
    let of = |density| TimestepDensity::of(&schedule, density).expect("density");
    vec![
        TimestepDensity::uniform(1).expect("one"),
        TimestepDensity::uniform(7).expect("seven"),
        TimestepDensity::uniform(70_000).expect("many"),
        of(Density::LogitNormal { mean: 0.5, deviation: 1.0 }),
        of(Density::Mode { scale: 1.29 }),
        of(Density::LogNormal { mean: -1.2, deviation: 1.2 }),
        TimestepDensity::from_probabilities(&[0.0, 1.0, 0.0, 2.0, 0.0]).expect("holes"),
        TimestepDensity::from_probabilities(&[3.0, 0.0]).expect("nothing at the end"),
    ]
}

fn are_those_of_the_host(harness: &Harness) {
    let key = NoiseKey { seed: 0x1234_5678_9abc_def0, stream: 9, first_sample: u64::from(u32::MAX) - 300 };
    let buffer = harness.gpu.buffer("timesteps", 4 * 1002);
    for density in densities() {
        for step in 0..2 {
            let draw = draw(&density, 1000, key, &buffer);
            let key = key.stream(key.stream + step);
            assert_eq!(run(harness, &draw, step), density.draw(key, 1000), "{} timesteps", density.len());
            for whole in [1, 3, 1000, 123_456_789, u32::MAX] {
                let stratified = TimestepDraw { stratified: Some(whole), ..draw };
                let expected = density.draw_stratified(key, 1000, whole);
                assert_eq!(run(harness, &stratified, step), expected, "{} timesteps, {whole} samples", density.len());
            }
        }
    }
    let words: Vec<u32> = bytemuck::pod_collect_to_vec(&harness.read(&buffer));
    assert_eq!((words[0], words[1001]), (0, 0), "nothing around the timesteps is touched");
}

fn do_not_depend_on_how_a_batch_is_split(harness: &Harness) {
    let density = TimestepDensity::uniform(840).expect("density");
    let key = NoiseKey::seed(5).stream(2);
    let buffer = harness.gpu.buffer("timesteps", 4 * 128);
    let whole = |stratified| run(harness, &TimestepDraw { stratified, ..draw(&density, 84, key, &buffer) }, 0);
    for stratified in [None, Some(84)] {
        for ranks in [1, 2, 3, 7] {
            let each = 84 / ranks;
            let parts = (0..ranks).flat_map(|rank| {
                let key = key.first_sample(u64::from(rank * each));
                run(harness, &TimestepDraw { stratified, ..draw(&density, each, key, &buffer) }, 0)
            });
            assert_eq!(parts.collect::<Vec<_>>(), whole(stratified), "{ranks} ranks");
        }
    }
    let mut strata: Vec<u32> = whole(Some(84)).iter().map(|t| t / 10).collect();
    strata.sort_unstable();
    strata.dedup();
    assert_eq!(strata.len(), 84, "a stratified batch has one of each");
}

fn may_change_their_distribution(harness: &Harness) {
    let buffer = harness.gpu.buffer("timesteps", 4 * 65);
    let (before, key) = (TimestepDensity::uniform(5).expect("density"), NoiseKey::seed(8));
    let draw = draw(&before, 64, key, &buffer);
    let plan = draw.plan(&harness.context).expect("plan");
    assert_eq!(read(harness, &plan, &draw, 0), before.draw(key, 64));
    let after = TimestepDensity::from_probabilities(&[0.0, 0.0, 1.0, 3.0, 0.0]).expect("density");
    plan.set_ends(&harness.gpu.queue, after.ends()).expect("as many");
    assert_eq!(read(harness, &plan, &draw, 0), after.draw(key, 64));
    plan.set_key(&harness.gpu.queue, 0, NoiseKey::seed(9)).expect("key");
    assert_eq!(read(harness, &plan, &draw, 0), after.draw(NoiseKey::seed(9), 64));
    let fewer = TimestepDensity::uniform(4).expect("density");
    let error = plan.set_ends(&harness.gpu.queue, fewer.ends()).expect_err("fewer");
    assert_eq!(error, RecordError::Timesteps { expected: 5, found: 4 });
}

fn errors_name_what_was_found(harness: &Harness) {
    let buffer = harness.gpu.buffer("timesteps", 4 * 8);
    let density = TimestepDensity::uniform(5).expect("density");
    let good = TimestepDraw { offset: 0, ..draw(&density, 8, NoiseKey::seed(1), &buffer) };
    let error = |draw: TimestepDraw<'_>| draw.plan(&harness.context).map(|_| ()).expect_err("a plan");
    assert!(matches!(
        error(TimestepDraw { batch: 9, ..good }),
        PlanError::BufferTooSmall { expected: 36, found: 32, .. }
    ));
    assert!(matches!(
        error(TimestepDraw { offset: 2, ..good }),
        PlanError::WordOffset { words: "timesteps", found: 2 }
    ));
    assert!(matches!(error(TimestepDraw { batch: 0, ..good }), PlanError::EmptyShape { .. }));
    let none = PlanError::Rule { what: "the number of ends", expected: "at least 1", found: 0.0 };
    assert_eq!(error(TimestepDraw { ends: &[], ..good }), none);
    assert_eq!(error(TimestepDraw { steps: 0, ..good }), PlanError::Steps { most: 65_536, found: 0 });
    let plan = good.plan(&harness.context).expect("plan");
    let record = |encoder: &mut wgpu::CommandEncoder| plan.encode(encoder, Recording::per_sample().step(3));
    assert_eq!(harness.gpu.submit(record).expect("device"), Err(RecordError::Step { steps: 3, found: 3 }));
}
