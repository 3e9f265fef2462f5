//! What belongs to a run and not to a place: the noise of a request in any slot, rows that are written later, a loop that is
//! stopped and goes on elsewhere from its memory, and starts and timesteps with a seed for each sample.

use crate::harness::{Harness, step};
use tweedie::gpu::{
    Drawn, Gradient, GradientScale, Loss, Map, Noise, NoiseKey, Plan, PlanError, PlanRow, Recording, Reduction, Shape,
    Step, Storage, Tensor, TimestepDraw, Timesteps, VlbInputs, VlbTerms,
};
use tweedie::math::TimestepDensity;
use tweedie::table::{LossRow, Matrix, Penalty, StepRow, Table, Term, VlbRow};

pub const TESTS: &[crate::Test] = &[
    ("runs::a_request_is_the_same_in_any_slot", a_request_is_the_same_in_any_slot),
    ("runs::rows_of_every_op_are_written_later", rows_of_every_op_are_written_later),
    ("runs::a_loop_goes_on_elsewhere", a_loop_goes_on_elsewhere),
    ("runs::memory_that_does_not_fit_is_refused", memory_that_does_not_fit_is_refused),
    ("runs::every_draw_takes_a_seed_for_each_sample", every_draw_takes_a_seed_for_each_sample),
];

const ELEMENTS: u32 = 72;

fn numbers(harness: &Harness, seed: u64, count: usize) -> wgpu::Buffer {
    let values: Vec<f32> = tweedie::NoiseKey::normals(seed, 0, 0, count).into_iter().map(|z| z as f32).collect();
    harness.gpu.upload("numbers", bytemuck::cast_slice(&values))
}

fn words(harness: &Harness, words: &[u32]) -> wgpu::Buffer {
    harness.gpu.upload("words", bytemuck::cast_slice(words))
}

/// Rows of a run that draws noise and looks back, whose streams are those of a run by itself.
fn run_of(calls: u32) -> Vec<StepRow> {
    let row = |call: u32| StepRow {
        x0: [0.9, 0.2, 0.0],
        x: 0.5,
        clean: 0.25,
        z: 0.3 + 0.1 * f64::from(call),
        stream: Some(call),
        ..StepRow::IDENTITY.looking_back(&[0.25, -0.125][..(call as usize).min(2)])
    };
    (0..calls).map(row).collect()
}

/// Three calls of a request alone, and of the same request in another slot, whose rows are at another place of a shared table.
fn a_request_is_the_same_in_any_slot(harness: &Harness) {
    let (seed, elements) = ([7u32, 1, 40, 0], ELEMENTS as usize);
    let rows = run_of(3);
    let alone = {
        let (x, p) = (numbers(harness, 1, elements), numbers(harness, 2, elements));
        let noise = Noise::drawn(NoiseKey { seed: 7 | 1 << 32, stream: 0, first_sample: 40 });
        let step = Step { noise, ..step(&rows, Shape::new(1, ELEMENTS), &x, &p) };
        let plan = step.plan(&harness.context).expect("a plan");
        (0..3).for_each(|call| harness.run(&plan, Recording::call(call)));
        harness.read(&x)
    };
    // The table holds five idle rows before those of the request, whose place is then no longer their stream.
    for own_streams in [true, false] {
        let mut table = vec![StepRow::IDENTITY; 5];
        table.extend(rows.iter().map(|row| StepRow { stream: row.stream.filter(|_| own_streams), ..*row }));
        let other = |from: u64| tweedie::NoiseKey::normals(from, 0, 0, elements);
        let two = |seed: u64| -> Vec<f32> {
            other(99).into_iter().chain(tweedie::NoiseKey::normals(seed, 0, 0, elements)).map(|z| z as f32).collect()
        };
        let (x, p) = (two(1), two(2));
        let (x, p) =
            (harness.gpu.upload("x", bytemuck::cast_slice(&x)), harness.gpu.upload("p", bytemuck::cast_slice(&p)));
        let seeds = words(harness, &[[3, 4, 5, 6], seed].concat());
        let calls = words(harness, &[0, 5]);
        let step = Step {
            noise: Drawn::new(NoiseKey::default()).seeded(&seeds).into(),
            calls: Timesteps::per_sample(&calls),
            ..step(&table, Shape::new(2, ELEMENTS), &x, &p)
        };
        let plan = step.plan(&harness.context).expect("a plan");
        for call in 0..3u32 {
            harness.gpu.queue.write_buffer(&calls, 4, &(5 + call).to_le_bytes());
            harness.run(&plan, Recording::per_sample());
        }
        let second = harness.read(&x)[4 * elements..].to_vec();
        assert_eq!(second == alone, own_streams, "rows that name their stream: {own_streams}");
    }
}

/// Compares a plan of the rows `other`, over whose row 1 that of `own` is written, with a plan of `own`.
fn written_later<R: PlanRow + Copy>(
    harness: &Harness,
    [own, other]: [&[R]; 2],
    plan: impl Fn(&[R]) -> Plan,
    outputs: &[&wgpu::Buffer],
) {
    let before: Vec<Vec<u8>> = outputs.iter().map(|buffer| harness.read(buffer)).collect();
    let run = |plan: Plan| -> Vec<Vec<u8>> {
        outputs.iter().zip(&before).for_each(|(buffer, bytes)| harness.gpu.queue.write_buffer(buffer, 0, bytes));
        harness.run(&plan, Recording::timestep(1));
        outputs.iter().map(|buffer| harness.read(buffer)).collect()
    };
    let expected = run(plan(own));
    let late = plan(other);
    late.set_rows(&harness.gpu.queue, 1, &own[1..]).expect("rows");
    assert!(run(late) == expected, "rows that are written give the bits of rows from the beginning");
    assert!(run(plan(other)) != expected, "other rows give other numbers");
}

fn rows_of_every_op_are_written_later(harness: &Harness) {
    let shape = Shape::new(3, ELEMENTS);
    let count = shape.total() as usize;
    let [x, p, y, out] = [1, 2, 3, 4].map(|seed| numbers(harness, seed, count));
    let results = harness.gpu.buffer("results", 16);
    let [x, p, y] = [&x, &p, &y].map(Tensor::f32);
    let timesteps = Timesteps::Batch;

    let maps: [&[Matrix]; 2] = [&[[[1.0, 0.5], [0.0; 2]], [[0.25, -2.0], [0.0; 2]]], &[[[0.0; 2]; 2]; 2]];
    let map = |rows: &[Matrix]| {
        let table = Table::new(rows.iter().copied());
        let (in0, in1) = (Some(x), Noise::Tensor(y));
        let map = Map { table: &table, shape, timesteps, in0, in1, out0: Tensor::f32(&out), out1: None };
        map.plan(&harness.context).expect("a map")
    };
    written_later(harness, maps, map, &[&out]);

    let row = |weight: f64| LossRow { prediction: 1.0, inputs: [-0.5, 0.25], weight };
    let loss = |rows: &[LossRow]| {
        let loss = Loss {
            table: &Table::new(rows.iter().copied()),
            penalty: Penalty::MSE,
            shape,
            timesteps,
            prediction: p,
            in0: Some(x),
            in1: Noise::Tensor(y),
            losses: (&results, 0),
            mean: Some((&results, 12)),
            gradient: Some(Gradient::mean(Tensor::f32(&out)).scaled(8.0.into())),
        };
        loss.plan(&harness.context).expect("a loss")
    };
    written_later(harness, [&[row(1.0), row(2.0)], &[row(0.5); 2]], loss, &[&out, &results]);

    let row = |weight: f64| VlbRow {
        prediction: 1.0,
        inputs: [-0.5, 0.25],
        inverse_deviation: 2.0,
        log_ratio: [0.1, 0.0],
        weight,
        term: Term::Divergence,
    };
    let vlb = |rows: &[VlbRow]| {
        let inputs = VlbInputs {
            table: &Table::new(rows.iter().copied()),
            clip: None,
            shape,
            prediction: p,
            learned: None,
            x0: x,
            in1: Noise::Tensor(y),
        };
        let terms = VlbTerms {
            inputs,
            timesteps,
            terms: (&results, 0),
            mean: None,
            gradient: Some(Tensor::f32(&out)),
            learned_gradient: None,
            reduction: Reduction::Mean,
            scale: GradientScale::ONE,
        };
        terms.plan(&harness.context).expect("a term")
    };
    written_later(harness, [&[row(1.0), row(2.0)], &[row(0.5); 2]], vlb, &[&out, &results]);

    // Rows of another op, or that ask for an input that is not bound, are refused before anything is written.
    let queue = &harness.gpu.queue;
    let plan = map(maps[0]);
    let wrong = plan.set_rows(queue, 0, &[row(1.0)]).expect_err("another op");
    assert_eq!(wrong, PlanError::RowKind { expected: "matrices", found: "rows of a variational bound" });
    assert_eq!(plan.set_rows(queue, 1, maps[0]), Err(PlanError::Rows { expected: 2, found: 3 }));
    let bare = Loss {
        table: &Table::new([LossRow { prediction: 1.0, inputs: [0.0; 2], weight: 1.0 }]),
        penalty: Penalty::MSE,
        shape,
        timesteps,
        prediction: p,
        in0: None,
        in1: Noise::None,
        losses: (&results, 0),
        mean: None,
        gradient: None,
    };
    let bare = bare.plan(&harness.context).expect("a loss");
    let asks = LossRow { prediction: 1.0, inputs: [0.0, 1.0], weight: 1.0 };
    assert_eq!(bare.set_rows(queue, 0, &[asks]), Err(PlanError::Missing { what: "in1", row: 0 }));
    let density = TimestepDensity::uniform(4).expect("a density");
    let (ends, key) = (density.ends(), NoiseKey::default());
    let draw = TimestepDraw {
        ends,
        batch: 4,
        groups: 1,
        key,
        steps: 1,
        seeds: None,
        stratified: None,
        buffer: &results,
        offset: 0,
    };
    let draw = draw.plan(&harness.context).expect("a draw");
    let expected = PlanError::RowKind { expected: "none", found: "rows of a step" };
    assert_eq!(draw.set_rows(queue, 0, &[StepRow::IDENTITY]), Err(expected));
}

/// A loop that is stopped after two calls, and goes on from a copy of its memory in another plan.
fn a_loop_goes_on_elsewhere(harness: &Harness) {
    let shape = Shape::new(2, ELEMENTS);
    let count = shape.total() as usize;
    for storage in [Storage::F32, Storage::F16] {
        let rows: Vec<StepRow> = run_of(4).into_iter().map(|row| StepRow { z: 0.0, ..row }).collect();
        let encoded = |seed: u64| {
            let values: Vec<f32> =
                tweedie::NoiseKey::normals(seed, 0, 0, count).into_iter().map(|z| z as f32).collect();
            harness.gpu.upload("numbers", &storage.encode(&values))
        };
        let p = encoded(2);
        let plan = |x: &wgpu::Buffer, memory: Option<&wgpu::Buffer>, rows: &[StepRow]| {
            let step = Step {
                x: Tensor::new(x, storage),
                prediction: Tensor::new(&p, storage),
                next: Tensor::new(x, storage),
                ..step(rows, shape, x, &p)
            };
            let memory = memory.map(|memory| Tensor::new(memory, storage));
            Step { memory, least_depth: 2, ..step }.plan(&harness.context).expect("a plan")
        };
        let whole = encoded(1);
        let alone = plan(&whole, None, &rows);
        (0..4).for_each(|call| harness.run(&alone, Recording::call(call)));

        let bytes = 2 * shape.total() * storage.bytes();
        let (x, memory) = (encoded(1), harness.gpu.buffer("memory", bytes));
        let begun = plan(&x, Some(&memory), &rows);
        (0..2).for_each(|call| harness.run(&begun, Recording::call(call)));
        let stopped = [&x, &memory].map(|buffer| harness.read(buffer));
        let copy = |bytes: &[u8]| harness.gpu.upload("copy", bytes);
        // The plan is made for rows that do not look back, and remembers as far as its least depth says.
        let [x, memory] = stopped.each_ref().map(|bytes| copy(bytes));
        let resumed = plan(&x, Some(&memory), &[StepRow::IDENTITY; 4]);
        resumed.set_rows(&harness.gpu.queue, 0, &rows).expect("rows that look back twice");
        (2..4).for_each(|call| harness.run(&resumed, Recording::call(call)));
        assert!(harness.read(&x) == harness.read(&whole), "{storage}: a loop that went on elsewhere");
        // Without its memory, the loop ends elsewhere.
        let (x, empty) = (copy(&stopped[0]), harness.gpu.buffer("memory", bytes));
        let forgotten = plan(&x, Some(&empty), &rows);
        (2..4).for_each(|call| harness.run(&forgotten, Recording::call(call)));
        assert!(harness.read(&x) != harness.read(&whole), "{storage}: a loop that forgot");
        // A plan of one sample with the same memory steps a prefix of the batch, and leaves the rest as it was.
        let (xs, memory) = ([1, 2].map(|_| encoded(1)), harness.gpu.buffer("memory", bytes));
        let both = plan(&xs[0], Some(&memory), &rows);
        harness.run(&both, Recording::call(0));
        let part = Shape::new(1, ELEMENTS);
        let (tensor, prediction) = (Tensor::new(&xs[0], storage), Tensor::new(&p, storage));
        let step = Step { x: tensor, prediction, next: tensor, ..step(&rows, part, &xs[0], &p) };
        let first =
            Step { memory: Some(Tensor::new(&memory, storage)), ..step }.plan(&harness.context).expect("a prefix");
        (1..4).for_each(|call| harness.run(&first, Recording::call(call)));
        let half = (shape.total() * storage.bytes() / 2) as usize;
        assert!(harness.read(&xs[0])[..half] == harness.read(&whole)[..half], "{storage}: the prefix");
        harness.run(&plan(&xs[1], None, &rows), Recording::call(0));
        assert!(harness.read(&xs[0])[half..] == harness.read(&xs[1])[half..], "{storage}: the rest");
        let deeper = StepRow::IDENTITY.looking_back(&[0.0, 0.0, 1.0]);
        let refused = resumed.set_rows(&harness.gpu.queue, 0, &[deeper]);
        assert_eq!(refused, Err(PlanError::Depth { row: 0, expected: 2, found: 3 }));
    }
}

fn memory_that_does_not_fit_is_refused(harness: &Harness) {
    let shape = Shape::new(2, ELEMENTS);
    let (x, p) = (numbers(harness, 1, 2 * 72), numbers(harness, 2, 2 * 72));
    let rows: Vec<StepRow> = run_of(3).into_iter().map(|row| StepRow { z: 0.0, ..row }).collect();
    let plan = |memory: Tensor<'_>| {
        Step { memory: Some(memory), ..step(&rows, shape, &x, &p) }.plan(&harness.context).map(drop)
    };
    let memory = harness.gpu.buffer("memory", 4 * 2 * 2 * 72);
    assert_eq!(plan(Tensor::f32(&memory)), Ok(()));
    let short = harness.gpu.buffer("memory", 4 * 2 * 72);
    let expected = PlanError::BufferTooSmall { tensor: "memory", expected: 4 * 2 * 2 * 72, found: 4 * 2 * 72 };
    assert_eq!(plan(Tensor::f32(&short)), Err(expected));
    let other = PlanError::Memory { expected: Storage::F32, found: Storage::F16 };
    assert_eq!(plan(Tensor::new(&memory, Storage::F16)), Err(other));
    let overlap = PlanError::Overlap { output: "next", other: "memory" };
    let large = numbers(harness, 1, 6 * 72);
    let inside = Step {
        x: Tensor::f32(&large).at(4 * 2 * 72),
        next: Tensor::f32(&large).at(4 * 2 * 72),
        memory: Some(Tensor::f32(&large)),
        ..step(&rows, shape, &large, &p)
    };
    assert_eq!(inside.plan(&harness.context).map(drop), Err(overlap));
    // In one buffer with the other tensors, memory is accepted if it overlaps none of them.
    let beside = Step {
        x: Tensor::f32(&large).at(4 * 4 * 72),
        next: Tensor::f32(&large).at(4 * 4 * 72),
        memory: Some(Tensor::f32(&large)),
        ..step(&rows, shape, &large, &p)
    };
    harness.run(&beside.plan(&harness.context).expect("one buffer"), Recording::call(0));
    let most = StepRow::HISTORY;
    let deep = Step { least_depth: most + 1, ..step(&rows, shape, &x, &p) }.plan(&harness.context).map(drop);
    assert_eq!(deep, Err(PlanError::LeastDepth { most, found: most + 1 }));
    let several = Noise::Drawn(Drawn::new(NoiseKey::default()).steps(2));
    let several = Step { noise: several, ..step(&rows, shape, &x, &p) }.plan(&harness.context).map(drop);
    assert!(matches!(several, Err(PlanError::Noise { what: "noise of a loop", .. })), "{several:?}");
}

fn every_draw_takes_a_seed_for_each_sample(harness: &Harness) {
    let ids = [[5u32, 0, 9, 0], [6, 1, 2, 3], [5, 0, 9, 0]];
    let key_of = |[low, high, first, over]: [u32; 4]| NoiseKey {
        seed: u64::from(low) | u64::from(high) << 32,
        stream: 4,
        first_sample: u64::from(first) | u64::from(over) << 32,
    };
    let seeds = words(harness, &ids.concat());
    let key = NoiseKey { seed: 1, stream: 4, first_sample: 70 };
    // A start: the noise of each sample is that of its seed alone.
    let out = harness.gpu.buffer("out", 4 * 3 * u64::from(ELEMENTS));
    let noise = Drawn::new(key).seeded(&seeds);
    let fill = Plan::fill(&harness.context, Shape::new(3, ELEMENTS), noise, Tensor::f32(&out)).expect("a fill");
    harness.run(&fill, Recording::timestep(0));
    let drawn = Storage::F32.decode(&harness.read(&out));
    for (sample, &id) in drawn.chunks(ELEMENTS as usize).zip(&ids) {
        let exact = key_of(id).reference(1, ELEMENTS as usize);
        let near = |(found, exact): (&f32, &f64)| (f64::from(*found) - exact).abs() < tweedie::NoiseKey::TOLERANCE;
        assert!(sample.iter().zip(&exact).all(near), "{id:?}");
    }
    // Timesteps, to the bit.
    let density = TimestepDensity::uniform(1000).expect("a density");
    let t = harness.gpu.buffer("t", 12);
    let (ends, seeds) = (density.ends(), Some((&seeds, 0)));
    let draw =
        TimestepDraw { ends, batch: 3, groups: 1, key, steps: 1, seeds, stratified: None, buffer: &t, offset: 0 };
    harness.run(&draw.plan(&harness.context).expect("a draw"), Recording::per_sample());
    let found: Vec<u32> = bytemuck::pod_collect_to_vec(&harness.read(&t));
    let exact: Vec<u32> = ids.iter().flat_map(|&id| density.draw(key_of(id), 1)).collect();
    assert_eq!(found, exact);
    assert_ne!(found, density.draw(key, 3), "the key alone draws others");
    let stratified = TimestepDraw { stratified: Some(3), ..draw }.plan(&harness.context).map(drop);
    assert!(matches!(stratified, Err(PlanError::Noise { what: "stratified timesteps", .. })), "{stratified:?}");
    let odd = TimestepDraw { seeds: seeds.map(|(buffer, _)| (buffer, 4)), batch: 2, ..draw };
    assert!(matches!(odd.plan(&harness.context).map(drop), Err(PlanError::DeviceLimit { .. })));
}
