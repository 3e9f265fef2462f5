//! The embedding contract on wgpu's noop backend, which validates everything and runs nothing: no adapter is needed.

use tweedie::gpu::{
    Context, Drawn, Gradient, Map, Noise, NoiseKey, Plan, PlanError, Recording, Shape, Tensor, Timesteps,
};
use tweedie::table::{Matrix, Table};

const SUM: Matrix = [[1.0, 1.0], [1.0, -1.0]];

/// A noop device and its queue, which must be kept alive: without it the device records nothing.
pub fn device(limits: wgpu::Limits) -> (wgpu::Device, wgpu::Queue) {
    wgpu::Device::noop(&wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() })
}

pub fn buffer(device: &wgpu::Device, size: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    })
}

#[test]
fn a_device_with_the_smallest_limits_takes_every_map() {
    let limits = wgpu::Limits::downlevel_defaults();
    assert_eq!(limits.max_storage_buffers_per_shader_stage, 4);
    let (device, _queue) = device(limits);
    device.on_uncaptured_error(std::sync::Arc::new(|error| panic!("{error}")));
    let context = Context::new(&device);
    let tensors = [(); 5].map(|()| buffer(&device, 4 * 1024));
    let [a, b, out0, out1, times] = &tensors;
    // 2000 rows are beyond the 16 KiB of a uniform binding there.
    for rows in [1000, 2000] {
        let table = Table::new(vec![SUM; rows]);
        let map = Map {
            table: &table,
            shape: Shape::new(16, 64),
            timesteps: Timesteps::Batch,
            in0: Some(Tensor::f32(a)),
            in1: Noise::Tensor(Tensor::f32(b)),
            out0: Tensor::f32(out0),
            out1: Some(Tensor::f32(out1)),
        };
        let drawn = Noise::Drawn(Drawn::new(NoiseKey::seed(1)).keep(Tensor::f32(b)));
        let per_sample = Map { timesteps: Timesteps::per_sample(times), ..map };
        // With a timestep for each sample, a first dispatch lays out the rows of the samples.
        let expected = [(map, Recording::timestep(rows as u32 - 1), 1), (per_sample, Recording::per_sample(), 2)];
        for (map, at, dispatches) in expected {
            for in1 in [map.in1, drawn] {
                let plan = Map { in1, ..map }.plan(&context).unwrap();
                assert_eq!(plan.dispatches(), dispatches);
                let mut encoder = device.create_command_encoder(&Default::default());
                plan.encode(&mut encoder, at).unwrap();
                encoder.finish();
            }
        }
    }
}

#[test]
fn the_examples_of_the_front_record_on_any_device() {
    use tweedie::{Conversion, Error, Noising, OnUndefined, PosteriorMean, Quantity, Schedule};
    let (device, _queue) = device(wgpu::Limits::default());
    let context = Context::new(&device);
    let tensors = [(); 5].map(|()| buffer(&device, 4 * 1024));
    let [a, b, c, d, times] = tensors.each_ref().map(Tensor::f32);
    let shape = Shape::new(16, 64);
    let timesteps = Timesteps::per_sample(times.buffer);
    let zero = Schedule::linear(1000, 1e-4, 0.02).unwrap().zero_terminal_snr().unwrap();
    let noising = Noising {
        schedule: &zero,
        shape,
        timesteps,
        x0: a,
        epsilon: Noise::Tensor(b),
        outputs: &[(Quantity::Xt, c), (Quantity::V, d)],
    };
    let conversion = Conversion {
        schedule: &zero,
        shape,
        timesteps,
        x_t: a,
        prediction: (Quantity::V, b),
        outputs: &[(Quantity::X0, c), (Quantity::Epsilon, d)],
        on_undefined: OnUndefined::Error,
    };
    let posterior = PosteriorMean {
        schedule: &zero,
        shape,
        timesteps,
        x_t: a,
        prediction: (Quantity::V, b),
        mean: a,
        x0: Some(d),
        on_undefined: OnUndefined::Error,
    };
    let plans =
        [noising.plan(&context).unwrap(), conversion.plan(&context).unwrap(), posterior.plan(&context).unwrap()];
    let mut encoder = device.create_command_encoder(&Default::default());
    for plan in &plans {
        assert_eq!(plan.dispatches(), 1);
        plan.encode(&mut encoder, Recording::per_sample()).unwrap();
    }
    encoder.finish();

    // Epsilon determines nothing at the end of this schedule: refused, unless NaN is asked for or the host names the
    // timestep.
    let epsilon = Conversion { prediction: (Quantity::Epsilon, b), outputs: &[(Quantity::X0, c)], ..conversion };
    let refused = epsilon.plan(&context).unwrap_err();
    assert!(matches!(&refused, Error::Undefined(undefined) if undefined.timestep == Some(999)), "{refused}");
    assert!(Conversion { on_undefined: OnUndefined::Nan, ..epsilon }.plan(&context).is_ok());
    let by_host = Conversion { timesteps: Timesteps::Batch, ..epsilon };
    let plan = by_host.plan(&context).unwrap();
    let mut encoder = device.create_command_encoder(&Default::default());
    assert!(plan.encode(&mut encoder, Recording::timestep(998)).is_ok());
    assert!(plan.encode(&mut encoder, Recording::timestep(999)).is_err());
    let mean = PosteriorMean { prediction: (Quantity::Epsilon, b), ..posterior };
    assert!(matches!(mean.plan(&context), Err(Error::Undefined(_))));
    assert!(PosteriorMean { on_undefined: OnUndefined::Nan, ..mean }.plan(&context).is_ok());
    // A list of outputs holds one or two.
    let three = [(Quantity::X0, c), (Quantity::V, d), (Quantity::Xt, c)];
    for outputs in [&three[..], &[]] {
        let expected = Error::Plan(PlanError::Outputs { found: outputs.len() });
        assert_eq!(Noising { outputs, ..noising }.plan(&context).map(|_| ()).unwrap_err(), expected);
        assert_eq!(Conversion { outputs, ..conversion }.plan(&context).map(|_| ()).unwrap_err(), expected);
    }
}

/// Each of these was once accepted, and refused by wgpu afterwards.
#[test]
fn small_bindings_hold_what_fits_and_say_what_does_not() {
    use tweedie::gpu::{Counter, Drawn, Loss, Noise, Step};
    use tweedie::table::{LossRow, Penalty, StepRow};
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 1 << 14, ..wgpu::Limits::default() };
    let (device, _queue) = device(limits);
    device.on_uncaptured_error(std::sync::Arc::new(|error| panic!("{error}")));
    let context = Context::new(&device);
    let tensors = [(); 3].map(|()| buffer(&device, 1 << 16));
    let [a, b, c] = &tensors;
    // A few words at the end of a buffer that is larger than a binding.
    assert!(Counter::new(&context, a, (1 << 16) - 20, 5).is_ok());
    let many = Counter::new(&context, a, 0, 1 << 13).unwrap_err();
    assert!(matches!(many, PlanError::DeviceLimit { what: "counters", .. }), "{many}");
    // A chunk of a reduction is 16 KiB, which leaves no room in the binding for an offset.
    let table = Table::new([LossRow { prediction: 1.0, inputs: [-1.0, 0.0], weight: 1.0 }]);
    let loss = Loss {
        table: &table,
        penalty: Penalty::MSE,
        shape: Shape::new(1, 5000),
        timesteps: Timesteps::Batch,
        prediction: Tensor::f32(a).at(4),
        in0: Some(Tensor::f32(b)),
        in1: Noise::None,
        losses: (c, 0),
        mean: None,
        gradient: None,
    };
    let tight = loss.plan(&context).unwrap_err();
    let limit = "max_storage_buffer_binding_size";
    assert!(
        matches!(tight, PlanError::DeviceLimit { what: "prediction", limit: found, .. } if found == limit),
        "{tight}"
    );
    // Seeds in the buffer of an output are bound for writing too, so their offset must suit the device's alignment.
    let rows = [StepRow { z: 1.0, ..StepRow::IDENTITY }];
    let step = |seeds: u64| {
        let step = Step {
            noise: Noise::Drawn(Drawn { seeds: Some((c, seeds)), ..Drawn::new(NoiseKey::seed(1)) }),
            next: Tensor::f32(c).at(4096),
            ..Step::in_place(&rows, Shape::new(4, 64), Tensor::f32(a), Tensor::f32(b))
        };
        let plan = step.plan(&context)?;
        let mut encoder = device.create_command_encoder(&Default::default());
        plan.encode(&mut encoder, Recording::call(0)).expect("recorded");
        encoder.finish();
        Ok(())
    };
    assert_eq!(step(256), Ok(()));
    let limit = "min_storage_buffer_offset_alignment";
    assert_eq!(step(16), Err(PlanError::DeviceLimit { what: "offset of the seeds", limit, allowed: 256, found: 16 }));
}

/// Errors name the fields of the request, and the same names are the roles by which its plan moves to other tensors.
#[test]
fn errors_and_moves_use_the_words_of_the_fronts() {
    use tweedie::{Conversion, Error, Noising, OnUndefined, PosteriorMean, Quantity, Schedule};
    let (device, _queue) = device(wgpu::Limits::default());
    let context = Context::new(&device);
    let tensors = [(); 6].map(|()| buffer(&device, 4 * 1024));
    let [a, b, c, d, times, other] = tensors.each_ref().map(Tensor::f32);
    let (shape, timesteps) = (Shape::new(16, 64), Timesteps::per_sample(times.buffer));
    let schedule = &Schedule::linear(1000, 1e-4, 0.02).unwrap();
    let short = buffer(&device, 64);
    let short = Tensor::f32(&short);
    let words = |made: Result<Plan, Error>| {
        let error = made.map(|_| ()).unwrap_err().to_string();
        let (role, rest) = error.split_once(':').unwrap();
        assert_eq!(rest, " expected a buffer of at least 4096 bytes, found 64");
        role.to_owned()
    };
    let roles = |plan: &Plan| match plan.moved(&context, &[("nothing", other)]) {
        Err(PlanError::Role { expected, .. }) => expected,
        found => panic!("{found:?}"),
    };

    let outputs = &[(Quantity::Xt, c), (Quantity::V, d)];
    let noising = Noising { schedule, shape, timesteps, x0: a, epsilon: Noise::Tensor(b), outputs };
    let made = |noising: Noising<'_>| noising.plan(&context);
    assert_eq!(words(made(Noising { x0: short, ..noising })), "x0");
    assert_eq!(words(made(Noising { epsilon: Noise::Tensor(short), ..noising })), "epsilon");
    assert_eq!(words(made(Noising { outputs: &[(Quantity::Xt, short), outputs[1]], ..noising })), "outputs[0]");
    assert_eq!(words(made(Noising { outputs: &[outputs[0], (Quantity::V, short)], ..noising })), "outputs[1]");
    let plan = made(noising).unwrap();
    assert_eq!(roles(&plan), "x0, epsilon, outputs[0], outputs[1], timesteps");
    assert!(plan.moved(&context, &[("x0", other)]).is_ok());

    let (prediction, outputs) = ((Quantity::V, b), &[(Quantity::X0, c)]);
    let conversion =
        Conversion { schedule, shape, timesteps, x_t: a, prediction, outputs, on_undefined: OnUndefined::Error };
    let made = |conversion: Conversion<'_>| conversion.plan(&context);
    assert_eq!(words(made(Conversion { x_t: short, ..conversion })), "x_t");
    assert_eq!(words(made(Conversion { prediction: (Quantity::V, short), ..conversion })), "prediction");
    assert_eq!(roles(&made(conversion).unwrap()), "x_t, prediction, outputs[0], timesteps");

    let posterior = PosteriorMean {
        schedule,
        shape,
        timesteps,
        x_t: a,
        prediction,
        mean: a,
        x0: Some(d),
        on_undefined: OnUndefined::Error,
    };
    let made = |posterior: PosteriorMean<'_>| posterior.plan(&context);
    assert_eq!(words(made(PosteriorMean { mean: short, ..posterior })), "mean");
    assert_eq!(words(made(PosteriorMean { x0: Some(short), ..posterior })), "x0");
    assert_eq!(roles(&made(posterior).unwrap()), "x_t, prediction, mean, x0, timesteps");
}

#[test]
fn a_training_step_moves_and_errs_in_its_own_words() {
    use tweedie::math::{Objective, Schedule, TimestepDensity};
    use tweedie::table::Penalty;
    use tweedie::{Quantity, TimestepSource, Training, TrainingStep};
    let (device, _queue) = device(wgpu::Limits::default());
    let context = Context::new(&device);
    let tensors = [(); 7].map(|()| buffer(&device, 4 * 1024));
    let [x0, x_t, output, other, another] = [0, 1, 2, 3, 4].map(|k| Tensor::f32(&tensors[k]));
    let [timesteps, losses] = [&tensors[5], &tensors[6]];
    let (schedule, objective) = (Schedule::cosine(1000).unwrap(), Objective::of(Quantity::V));
    let density = TimestepDensity::uniform(1000).unwrap();
    let training = Training {
        objective: &objective,
        penalty: Penalty::MSE,
        shape: Shape::new(16, 64),
        noise: Drawn::new(NoiseKey::seed(1)).steps(3),
        timestep_source: TimestepSource::Drawn { density: &density, stratified: None },
        timesteps,
        groups: None,
        x0,
        x_t,
        prediction: output,
        gradient: Gradient::mean(output),
        losses,
        mean: None,
        variance: None,
    };
    let short = buffer(&device, 64);
    let error = |training: Training<'_>| TrainingStep::new(&context, &schedule, &training).unwrap_err().to_string();
    let expected = |role: &str| format!("{role}: expected a buffer of at least 4096 bytes, found 64");
    assert_eq!(error(Training { x_t: Tensor::f32(&short), ..training }), expected("x_t"));
    assert_eq!(error(Training { x0: Tensor::f32(&short), ..training }), expected("x0"));
    assert_eq!(error(Training { prediction: Tensor::f32(&short), ..training }), expected("prediction"));

    let step = TrainingStep::new(&context, &schedule, &training).unwrap();
    let moved = step.moved(&context, &[("x0", other), ("prediction", another), ("gradient", another)]).unwrap();
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    moved.record_before(&mut pass, 2).unwrap();
    moved.record_after(&mut pass, 2).unwrap();
    drop(pass);
    encoder.finish();
    let alone = step.moved(&context, &[("gradient", another)]).unwrap_err();
    assert!(matches!(alone, PlanError::Moved { tensor: "gradient", what: "place", .. }), "{alone}");
    let unknown = step.moved(&context, &[("terms", other)]).unwrap_err().to_string();
    let roles = "timesteps, x0, x_t, prediction, gradient, losses";
    assert_eq!(unknown, format!("expected a role of the plan ({roles}), found `terms`"));
}

/// Two loops: three calls on sigmas, and four on a schedule.
fn samplers() -> [tweedie::math::Sampler; 2] {
    use tweedie::math::Sampler;
    use tweedie::math::sampler::{Denoiser, FirstOrder, Grid, Scale};
    use tweedie::math::{NoiseLevel, Quantity, Schedule, Spacing};
    let schedule = Schedule::linear(1000, 1e-4, 0.02).unwrap();
    let sigmas = Grid::of_sigmas(Scale::VarianceExploding, &[14.0, 3.0, 0.5], &[900.0, 500.0, 100.0], 0.0).unwrap();
    let timesteps = Spacing::Trailing.timesteps(1000, 4).unwrap();
    let steps = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN).unwrap();
    [sigmas, steps].map(|grid| Sampler::new(&FirstOrder::euler(), &grid, &Denoiser::new(Quantity::Epsilon)).unwrap())
}

#[test]
fn a_missing_input_and_the_guidance_of_a_call_are_seen() {
    use tweedie::error::SamplerError;
    use tweedie::{Error, Guidance, Sampling};
    let (device, _queue) = device(wgpu::Limits::default());
    let context = Context::new(&device);
    let tensors = [(); 4].map(|()| buffer(&device, 4 * 1024));
    let [x, prediction, unconditional, input] = tensors.each_ref().map(Tensor::f32);
    let [on_sigmas, mut on_schedule] = samplers();
    let sampling = Sampling::in_place(&on_sigmas, Shape::new(16, 64), x, prediction, Noise::None);
    let missing = sampling.plan(&context).map(|_| ()).unwrap_err();
    assert_eq!(missing, Error::Plan(PlanError::Missing { what: "input", row: 0 }));
    assert!(Sampling { input: Some(input), ..sampling }.plan(&context).is_ok());

    // One call with guidance of its own, in a loop that is guided otherwise and in a loop that is not guided.
    on_schedule.calls_mut()[1].row.guidance = [4.0, -3.0];
    let unguided = Sampling { sampler: &on_schedule, ..sampling };
    let guided = Sampling { guidance: Some(Guidance::new(unconditional, 2.0)), ..unguided };
    let mixes = |sampling: &Sampling<'_>| -> Vec<_> { sampling.rows().iter().map(|row| row.guidance).collect() };
    assert_eq!(mixes(&guided)[..3], [[2.0, -1.0], [4.0, -3.0], [2.0, -1.0]]);
    let missing = unguided.plan(&context).map(|_| ()).unwrap_err();
    assert_eq!(missing, Error::Plan(PlanError::Missing { what: "unconditional", row: 1 }));

    // A scale for each call: guidance in an interval.
    let calls = on_schedule.calls().len();
    let scales: Vec<f64> = (0..calls).map(|call| if call == 2 { 5.0 } else { 1.0 }).collect();
    let scaled = |scales| {
        let guidance = Guidance { scales: Some(scales), ..Guidance::new(unconditional, 2.0) };
        Sampling { guidance: Some(guidance), ..unguided }
    };
    assert_eq!(mixes(&scaled(&scales))[..3], [[1.0, 0.0], [4.0, -3.0], [5.0, -4.0]]);
    assert!(scaled(&scales).plan(&context).is_ok());
    let refused = scaled(&scales[1..]).plan(&context).map(|_| ()).unwrap_err();
    assert_eq!(refused, SamplerError::GuidanceScales { expected: calls, found: calls - 1 }.into());
}

#[test]
fn hostile_ends_and_empty_counters_are_refused() {
    use tweedie::gpu::{Counter, RecordError, TimestepDraw};
    const ALL: u64 = 1 << 32;
    let (device, queue) = device(wgpu::Limits::default());
    let context = Context::new(&device);
    let words = buffer(&device, 64);
    let draw = |ends: &[u64]| {
        let (buffer, key) = (&words, NoiseKey::seed(1));
        let draw =
            TimestepDraw { ends, batch: 4, groups: 1, key, steps: 1, seeds: None, stratified: None, buffer, offset: 0 };
        draw.plan(&context)
    };
    let hostile: [(&[u64], usize, u64); 4] = [
        (&[10, 5, ALL], 1, 5),
        (&[10, ALL + 1, ALL + 1], 1, ALL + 1),
        (&[10, 20, ALL - 1], 2, ALL - 1),
        (&[0, 0, u64::MAX], 2, u64::MAX),
    ];
    let plan = draw(&[0, 7, ALL]).unwrap();
    for (ends, timestep, found) in hostile {
        assert_eq!(draw(ends).map(|_| ()).unwrap_err(), PlanError::Ends { timestep, found });
        assert_eq!(plan.set_ends(&queue, ends), Err(RecordError::Ends { timestep, found }));
    }
    assert_eq!(plan.set_ends(&queue, &[ALL, ALL, ALL]), Ok(()));
    assert_eq!(Counter::new(&context, &words, 0, 0).map(|_| ()).unwrap_err(), PlanError::NoWords);
}
