//! Plans of every kind on buffers, tensors, tables and limits of any kind, on wgpu's noop backend, which validates
//! everything and runs nothing: what a plan builder accepts, wgpu has to accept too.

use crate::numbers::Number;
use arbitrary::{Arbitrary, Result, Unstructured};
use std::cell::OnceCell;
use std::sync::Arc;
use tweedie::gpu::{
    Counter, Drawn, Inpainting, Map, Noise, NoiseKey, Perturbed, Plan, Recording, Step, StepOptions, Timesteps,
};
use tweedie::noise::Perturbation;
use tweedie::table::{Clip, Deviation, Matrix, StepRow, Table};
use tweedie::{Context, Groups, Shape, Storage, Tensor};

/// A device on which every complaint of wgpu is a panic.
pub(crate) struct Device {
    device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub context: Context,
}

impl Device {
    fn new(required_limits: wgpu::Limits) -> Self {
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        let (device, queue) = wgpu::Device::noop(&descriptor);
        device.on_uncaptured_error(Arc::new(|error| panic!("wgpu refuses what was accepted: {error}")));
        let context = Context::new(&device);
        Self { device, queue, context }
    }

    /// Buffers of up to 64 KiB, now and then with the wrong usage.
    fn buffer(&self, u: &mut Unstructured<'_>) -> Result<wgpu::Buffer> {
        let size = match u.int_in_range(0..=3)? {
            0 => u.int_in_range(0..=64)?,
            1 => u.int_in_range(0..=4096)?,
            _ => 1 << 16,
        };
        let usage = match u.int_in_range(0..=31)? {
            0 => wgpu::BufferUsages::COPY_DST,
            1 => wgpu::BufferUsages::UNIFORM,
            _ => wgpu::BufferUsages::STORAGE,
        };
        let (size, mapped_at_creation) = (size / 4 * 4, false);
        Ok(self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation }))
    }
}

/// Runs on one of four devices: with WebGPU's default limits or wgpu's downlevel ones, and with either but bindings of at most
/// 16 KiB.
fn with_device<T>(which: u8, run: impl FnOnce(&Device) -> T) -> T {
    thread_local! {
        // Never dropped: wgpu has thread-locals of its own, which may be gone by then.
        static DEVICES: [OnceCell<&'static Device>; 4] = const { [const { OnceCell::new() }; 4] };
    }
    let limits = || match which % 4 {
        0 => wgpu::Limits::default(),
        1 => wgpu::Limits::downlevel_defaults(),
        2 => wgpu::Limits { max_storage_buffer_binding_size: 1 << 14, ..wgpu::Limits::default() },
        _ => wgpu::Limits { max_storage_buffer_binding_size: 1 << 14, ..wgpu::Limits::downlevel_defaults() },
    };
    DEVICES
        .with(|devices| run(devices[usize::from(which % 4)].get_or_init(|| Box::leak(Box::new(Device::new(limits()))))))
}

/// Makes, records and moves the plans that the bytes describe.
pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(which) = u8::arbitrary(&mut u) else { return };
    with_device(which, |device| {
        let _ = plan(device, &mut u);
        // Frees dropped buffers and plans.
        let _ = device.device.poll(wgpu::PollType::Poll);
    });
}

fn plan(device: &Device, u: &mut Unstructured<'_>) -> Result<()> {
    let buffers: Vec<wgpu::Buffer> = (0..u.int_in_range(1..=4)?).map(|_| device.buffer(u)).collect::<Result<_>>()?;
    let bench = Bench { device, buffers: &buffers, shape: shape(u)?, rows: rows(u)? };
    match u.int_in_range(0..=7)? {
        0..=2 => bench.map(u),
        3 | 4 => bench.step(u),
        5 => bench.loss(u),
        6 => bench.timesteps(u),
        _ => bench.counter(u),
    }?;
    // After the others, so that the seeds keep their meaning.
    if u.arbitrary()? { bench.terms(u) } else { bench.chain(u) }
}

fn shape(u: &mut Unstructured<'_>) -> Result<Shape> {
    let size = |u: &mut Unstructured<'_>| {
        Ok(match u.int_in_range(0..=7)? {
            0 => u.int_in_range(0..=4)?,
            1 => u32::arbitrary(u)?,
            2 => u.int_in_range(0..=5000)?,
            3..=5 => 4 * u.int_in_range(1..=64)?,
            _ => u.int_in_range(1..=65)?,
        })
    };
    Ok(Shape::new(size(u)?, size(u)?))
}

fn rows(u: &mut Unstructured<'_>) -> Result<usize> {
    Ok(*u.choose(&[0, 1, 2, 3, 5, 1000, 1024, 1025, 4096, 4097])?)
}

/// A device, and the buffers, the shape and the number of rows that plans are made of.
pub(crate) struct Bench<'a> {
    pub device: &'a Device,
    buffers: &'a [wgpu::Buffer],
    pub shape: Shape,
    pub rows: usize,
}

impl<'a> Bench<'a> {
    pub fn any(&self, u: &mut Unstructured<'_>) -> Result<&'a wgpu::Buffer> {
        Ok(&self.buffers[u.choose_index(self.buffers.len())?])
    }

    pub fn offset(u: &mut Unstructured<'_>) -> Result<u64> {
        Ok(match u.int_in_range(0..=15)? {
            0 => u64::arbitrary(u)?,
            1..=3 => u.int_in_range(0..=600)?,
            4..=7 => 4 * u.int_in_range(0..=2000)?,
            8..=11 => 256 * u.int_in_range(0..=200)?,
            _ => 0,
        })
    }

    pub fn tensor(&self, u: &mut Unstructured<'_>) -> Result<Tensor<'a>> {
        let storage = *u.choose(&Storage::ALL)?;
        let tensor = Tensor::new(self.any(u)?, storage).at(Self::offset(u)?);
        Ok(match u.int_in_range(0..=15)? {
            0 => tensor.stride(u.arbitrary()?),
            1 => tensor.stride(0),
            2..=5 => tensor.stride(self.shape.elements.saturating_add(u.int_in_range(0..=8)?)),
            _ => tensor,
        })
    }

    pub fn maybe(&self, u: &mut Unstructured<'_>) -> Result<Option<Tensor<'a>>> {
        if u.arbitrary()? { Ok(Some(self.tensor(u)?)) } else { Ok(None) }
    }

    /// A tensor, or the input itself, for an output in place.
    pub fn output(&self, u: &mut Unstructured<'_>, input: Option<Tensor<'a>>) -> Result<Tensor<'a>> {
        match input {
            Some(input) if u.ratio(1, 3)? => Ok(input),
            _ => self.tensor(u),
        }
    }

    pub fn which(&self, u: &mut Unstructured<'_>) -> Result<Timesteps<'a>> {
        Ok(match u.int_in_range(0..=4)? {
            0 | 1 => Timesteps::Batch,
            2 => Timesteps::PerSample { buffer: self.any(u)?, offset: Self::offset(u)? },
            4 => Timesteps::PerGroup {
                buffer: self.any(u)?,
                offset: Self::offset(u)?,
                groups: Groups::new(u.int_in_range(0..=9)?, u.int_in_range(0..=9)?),
            },
            _ => Timesteps::Shared { buffer: self.any(u)?, offset: Self::offset(u)? },
        })
    }

    pub fn key(u: &mut Unstructured<'_>) -> Result<NoiseKey> {
        Ok(NoiseKey { seed: u.arbitrary()?, stream: u.arbitrary()?, first_sample: u.arbitrary()? })
    }

    pub fn steps(u: &mut Unstructured<'_>) -> Result<u32> {
        Ok(*u.choose(&[0, 1, 2, 100, 1 << 25, u32::MAX])?)
    }

    pub fn noise(&self, u: &mut Unstructured<'_>) -> Result<Noise<'a>> {
        match u.int_in_range(0..=4)? {
            0 => return Ok(Noise::None),
            1 => return Ok(Noise::Tensor(self.tensor(u)?)),
            _ => {}
        }
        let steps = if u.arbitrary()? { 1 } else { Self::steps(u)? };
        Ok(Noise::Drawn(Drawn {
            seeds: if u.ratio(1, 4)? { Some((self.any(u)?, Self::offset(u)?)) } else { None },
            keep: self.maybe(u)?,
            perturbed: if u.ratio(1, 4)? { Some(Self::perturbed(u)?) } else { None },
            ..Drawn::new(Self::key(u)?).steps(steps)
        }))
    }

    fn perturbed(u: &mut Unstructured<'_>) -> Result<Perturbed> {
        let [offset, input]: [Number; 2] = u.arbitrary()?;
        let channel = if u.arbitrary()? { u.arbitrary()? } else { u.int_in_range(0..=8)? };
        Ok(Perturbed { by: Perturbation { offset: offset.0, input: input.0 }, channel })
    }

    /// Rows that repeat these, with every third one missing if there are to be holes.
    pub fn table<R: Copy>(&self, some: &[R], hole: bool) -> Vec<Option<R>> {
        let row = |i: usize| if hole && i % 3 == 1 { None } else { some.get(i % some.len().max(1)).copied() };
        (0..self.rows).map(row).collect()
    }

    /// Records a plan at some timestep and step, at timestep 0, and with timesteps from a buffer: each is recorded or refused.
    pub fn record(&self, u: &mut Unstructured<'_>, plan: &Plan) -> Result<()> {
        let timestep = if u.arbitrary()? { Some(u.int_in_range(0..=5000)?) } else { None };
        let at = Recording { timestep, step: u.int_in_range(0..=3)? };
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for at in [at, Recording::timestep(0), Recording::per_sample()] {
                let _ = plan.record(&mut pass, at);
            }
        }
        assert!(plan.dispatches() >= 1);
        self.device.queue.submit([encoder.finish()]);
        self.record_moved(u, plan, at)
    }

    /// Moves a plan to other tensors for some of its roles, and records it if that is accepted.
    fn record_moved(&self, u: &mut Unstructured<'_>, plan: &Plan, at: Recording) -> Result<()> {
        let mut tensors = Vec::new();
        for role in plan.roles() {
            if u.arbitrary()? {
                tensors.push((role, self.tensor(u)?));
            }
        }
        if let Ok(moved) = plan.moved(&self.device.context, &tensors) {
            self.within_a_pass(|pass| {
                for at in [at, Recording::timestep(0), Recording::per_sample()] {
                    let _ = moved.record(pass, at);
                }
            });
        }
        Ok(())
    }

    fn map(&self, u: &mut Unstructured<'_>) -> Result<()> {
        let numbers: [[[Number; 2]; 2]; 2] = u.arbitrary()?;
        let some: [Matrix; 2] = numbers.map(|matrix| matrix.map(|row| row.map(|number| number.0)));
        let table = Table::with_undefined(self.table(&some, u.arbitrary()?));
        let (in0, in1) = (self.maybe(u)?, self.noise(u)?);
        let given = match in1 {
            Noise::Tensor(tensor) => Some(tensor),
            Noise::Drawn(_) | Noise::None => None,
        };
        let out0 = self.output(u, in0)?;
        let out1 = if u.arbitrary()? { Some(self.output(u, given)?) } else { None };
        let map = Map { table: &table, shape: self.shape, timesteps: self.which(u)?, in0, in1, out0, out1 };
        let Ok(plan) = map.plan(&self.device.context) else { return Ok(()) };
        let _ = plan.set_key(&self.device.queue, u.int_in_range(0..=3)?, Self::key(u)?);
        self.record(u, &plan)?;
        let _ = plan.set_rows(&self.device.queue, u.arbitrary()?, &some[..u.int_in_range(0..=2)?]);
        Ok(())
    }

    fn step_row(u: &mut Unstructured<'_>) -> Result<StepRow> {
        let mut sometimes = || -> Result<f64> { Ok(if u.arbitrary()? { Number::arbitrary(u)?.0 } else { 0.0 }) };
        Ok(StepRow {
            guidance: [1.0, sometimes()?],
            x0: [sometimes()?, 1.0, sometimes()?],
            clean: sometimes()?,
            unconditional_clean: sometimes()?,
            kept: [sometimes()?, 1.0, 0.0],
            second_z: (sometimes()?, 3),
            z: sometimes()?,
            learned: [sometimes()?, 1.0],
            known: [1.0, sometimes()?],
            stream: u.arbitrary()?,
            clip: if u.ratio(1, 4)? { Some(Clip::Range(Number::arbitrary(u)?.0)) } else { None },
            ..StepRow::IDENTITY
        }
        .looking_back(&u.arbitrary::<[Number; 4]>()?.map(|number| number.0)[..u.int_in_range(0..=4)?]))
    }

    /// The slices of a prediction that a row mixes, and the share of the unconditional clean sample in what it remembers.
    fn extended(u: &mut Unstructured<'_>) -> Result<([f64; StepRow::SLICES], f64)> {
        let mut slices = StepRow::IDENTITY.slices;
        if u.ratio(1, 4)? {
            for slice in slices.iter_mut().take(u.int_in_range(0..=StepRow::SLICES)?) {
                *slice = Number::arbitrary(u)?.0;
            }
        }
        Ok((slices, if u.ratio(1, 4)? { Number::arbitrary(u)?.0 } else { 0.0 }))
    }

    fn step(&self, u: &mut Unstructured<'_>) -> Result<()> {
        let rows: Vec<StepRow> =
            self.table(&[Self::step_row(u)?, StepRow::IDENTITY], false).into_iter().flatten().collect();
        let [a, b, c]: [Number; 3] = u.arbitrary()?;
        let clip = match u.int_in_range(0..=3)? {
            0 | 1 => Clip::None,
            2 => Clip::Range(a.0),
            _ => Clip::Quantile { ratio: a.0, least: b.0, most: c.0 },
        };
        let deviation = *u.choose(&[Deviation::Fixed, Deviation::Log, Deviation::Variance])?;
        let rescale = if u.ratio(1, 3)? { Number::arbitrary(u)?.0 } else { 0.0 };
        let noise = self.noise(u)?;
        let x = self.tensor(u)?;
        let step = Step {
            rows: &rows,
            options: StepOptions { clip, deviation, rescale },
            shape: self.shape,
            calls: self.which(u)?,
            x,
            prediction: self.tensor(u)?,
            slices: if u.ratio(1, 4)? { u.int_in_range(0..=20)? } else { 1 },
            unconditional: self.maybe(u)?,
            noise,
            learned: self.maybe(u)?,
            known: if u.ratio(1, 4)? { Some(Inpainting { mask: self.tensor(u)?, x0: self.tensor(u)? }) } else { None },
            next: self.output(u, Some(x))?,
            x0: self.maybe(u)?,
            input: self.maybe(u)?,
            memory: if u.ratio(1, 4)? { self.maybe(u)? } else { None },
            least_depth: if u.ratio(1, 4)? { u.arbitrary()? } else { 0 },
            extended: u.ratio(1, 4)?,
            clean_stats: u.arbitrary()?,
        };
        let (mut rows, extended) = (rows.clone(), Self::extended(u)?);
        rows.iter_mut().step_by(2).for_each(|row| (row.slices, row.kept[2]) = extended);
        let step = Step { rows: &rows, ..step };
        let Ok(plan) = step.plan(&self.device.context) else { return Ok(()) };
        let _ = plan.set_key(&self.device.queue, u.int_in_range(0..=1)?, Self::key(u)?);
        let _ = plan.set_rows(&self.device.queue, u.arbitrary()?, &[Self::step_row(u)?]);
        self.record(u, &plan)
    }

    fn counter(&self, u: &mut Unstructured<'_>) -> Result<()> {
        let found = Counter::new(&self.device.context, self.any(u)?, Self::offset(u)?, self.shape.batch);
        if let Ok(counter) = found {
            self.within_a_pass(|pass| counter.record(pass));
        }
        Ok(())
    }

    pub fn within_a_pass(&self, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) {
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        record(&mut encoder.begin_compute_pass(&Default::default()));
        self.device.queue.submit([encoder.finish()]);
    }
}
