//! The plane on the GPU: one picture, noised, its training targets, and x0 from predictions with an error.
//!
//! **Theory.** A prediction is its target and an error of a given relative size, `p = target + e*rms(target)*z`, where the
//! expected `rms` of `a*x0 + b*epsilon` follows from the picture's own, `sqrt(a^2*mean(x0^2) + b^2)`. The conversion back to
//! x0 multiplies the error by a factor that depends on the noise level, and that is what is shown.
//!
//! **Practice.** What a change costs besides the dispatches: a timestep nothing, since every plan holds a row for each; a seed
//! a write of 32 bytes for each plan that draws; an error or a picture a plan for each column; a schedule, a size or other
//! columns all plans. Where nothing has changed, nothing is dispatched.

use crate::buffers::{ImageId, ImageSlice, floats, uploaded};
use crate::schedules::ScheduleChoice;
use pictures::Picture;
use std::sync::Arc;
use tweedie::error::Undefined;
use tweedie::gpu::{Drawn, Loss, Map, Noise, NoiseKey, Plan, RecordError, Recording, Timesteps};
use tweedie::math::NoiseLevel;
use tweedie::table::{LossRow, Penalty, Table};
use tweedie::wgpu;
use tweedie::{Context, Conversion, Error, Noising, OnUndefined, Quantity, Schedule, Shape, Tensor};

/// The first stream of the predictions' errors; the picture's noise is on stream 0.
const ERROR_STREAM: u32 = 1;

/// Description of a plane.
#[derive(Clone, Debug)]
pub struct PlaneScene {
    /// The clean sample.
    pub picture: Arc<Picture>,
    /// The noise schedule.
    pub schedule: ScheduleChoice,
    /// Predicted quantities, a column each.
    pub quantities: Vec<Quantity>,
    /// The timestep.
    pub timestep: u32,
    /// The relative error of each prediction.
    pub error: f64,
    /// The seed of all noise.
    pub seed: u64,
}

impl PlaneScene {
    /// Pixels of a row, and rows.
    #[must_use]
    pub fn size(&self) -> [u32; 2] {
        [self.picture.width as u32, self.picture.height as u32]
    }

    fn same_plans(&self, other: &Self) -> bool {
        self.size() == other.size() && self.schedule == other.schedule && self.quantities == other.quantities
    }

    fn same_picture(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.picture, &other.picture)
    }

    fn same(&self, other: &Self) -> bool {
        self.same_plans(other)
            && self.same_picture(other)
            && (self.timestep, self.error.to_bits(), self.seed) == (other.timestep, other.error.to_bits(), other.seed)
    }
}

/// One quantity: its target, a prediction of it, and the picture recovered from that.
#[derive(Debug)]
pub struct Column {
    /// Predicted quantity.
    pub quantity: Quantity,
    target: wgpu::Buffer,
    prediction: wgpu::Buffer,
    recovered: wgpu::Buffer,
    err: Plan,
    back: Plan,
    measure: Plan,
    /// True if the prediction determines x0 at the timestep that is shown.
    pub determined: bool,
}

/// The pictures, and the plans that write them.
#[derive(Debug)]
pub struct Plane {
    scene: PlaneScene,
    shape: Shape,
    x0: wgpu::Buffer,
    x_t: wgpu::Buffer,
    /// The mean squared difference from the picture: of `x_t`, then of each column's x0.
    errors: wgpu::Buffer,
    noising: Vec<Plan>,
    measure: Plan,
    columns: Vec<Column>,
    fresh: bool,
}

impl Plane {
    /// Makes the buffers and plans of a scene.
    ///
    /// # Errors
    /// The schedule or a plan cannot be made.
    pub fn new(context: &Context, queue: &wgpu::Queue, scene: &PlaneScene) -> Result<Self, Error> {
        let schedule = &scene.schedule.schedule()?;
        let device = context.device();
        let shape = Shape::new(1, scene.picture.data.len() as u32);
        let tensor = |label: &str| floats(device, label, shape.total());
        let x0 = uploaded(device, queue, "scenes::x0", &scene.picture.data);
        let x_t = tensor("scenes::x_t");
        let errors = floats(device, "scenes::errors", 1 + scene.quantities.len() as u64);
        let targets: Vec<wgpu::Buffer> = scene.quantities.iter().map(|_| tensor("scenes::target")).collect();

        // x_t and all targets, two in a dispatch; the noise is drawn and never stored.
        let named = scene.quantities.iter().zip(&targets).map(|(&quantity, target)| (quantity, Tensor::f32(target)));
        let outputs: Vec<_> = std::iter::once((Quantity::Xt, Tensor::f32(&x_t))).chain(named).collect();
        let noising = outputs.chunks(2).map(|pair| {
            let (timesteps, x0) = (Timesteps::Batch, Tensor::f32(&x0));
            let epsilon = Noise::drawn(NoiseKey::seed(scene.seed));
            Noising { schedule, shape, timesteps, x0, epsilon, outputs: pair }.plan(context)
        });
        let noising = noising.collect::<Result<_, _>>()?;

        let measure = |index: usize, found: &wgpu::Buffer| measure(context, shape, found, &x0, (&errors, index));
        let columns = (0..).zip(scene.quantities.iter().zip(targets)).map(|(index, (&quantity, target))| {
            let [prediction, recovered] = ["scenes::prediction", "scenes::recovered"].map(tensor);
            let err = err(context, scene, schedule, index, shape, [&target, &prediction])?;
            let back = Conversion {
                schedule,
                shape,
                timesteps: Timesteps::Batch,
                x_t: Tensor::f32(&x_t),
                prediction: (quantity, Tensor::f32(&prediction)),
                outputs: &[(Quantity::X0, Tensor::f32(&recovered))],
                on_undefined: OnUndefined::Nan,
            };
            let back = back.plan(context)?;
            let measure = measure(1 + index as usize, &recovered)?;
            Ok(Column { quantity, target, prediction, recovered, err, back, measure, determined: true })
        });
        let columns = columns.collect::<Result<_, Error>>()?;
        let measure = measure(0, &x_t)?;
        Ok(Self { scene: scene.clone(), shape, x0, x_t, errors, noising, measure, columns, fresh: true })
    }

    /// Returns whether this plane can show a scene with the plans that it has.
    #[must_use]
    pub fn serves(&self, scene: &PlaneScene) -> bool {
        self.scene.same_plans(scene)
    }

    /// Records all pictures if the scene has changed since the last time, and returns the number of dispatches.
    ///
    /// # Errors
    /// A plan cannot be made or recorded.
    pub fn show(
        &mut self,
        context: &Context,
        queue: &wgpu::Queue,
        encoder: &mut wgpu::CommandEncoder,
        scene: &PlaneScene,
    ) -> Result<usize, Error> {
        if !self.fresh && self.scene.same(scene) {
            return Ok(0);
        }
        self.adopt(context, queue, scene)?;
        let at = Recording::timestep(scene.timestep);
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let mut dispatches = 0;
        let mut record = |plan: &Plan, at| plan.record(&mut pass, at).map(|()| dispatches += plan.dispatches());
        self.noising.iter().try_for_each(|plan| record(plan, at))?;
        record(&self.measure, Recording::timestep(0))?;
        for column in &mut self.columns {
            record(&column.err, at)?;
            // Where no signal is left, epsilon says nothing about the picture.
            column.determined = match record(&column.back, at) {
                Ok(()) => true,
                Err(RecordError::Undefined { .. }) => false,
                Err(error) => return Err(error.into()),
            };
            if column.determined {
                record(&column.measure, Recording::timestep(0))?;
            }
        }
        self.fresh = false;
        Ok(dispatches)
    }

    /// Brings the picture, the plans and their keys up to date.
    fn adopt(&mut self, context: &Context, queue: &wgpu::Queue, scene: &PlaneScene) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.scene, scene.clone());
        self.fresh = true;
        if !before.same_picture(scene) {
            queue.write_buffer(&self.x0, 0, bytemuck::cast_slice(&scene.picture.data));
        }
        if !before.same_picture(scene) || before.error.to_bits() != scene.error.to_bits() {
            let schedule = &scene.schedule.schedule()?;
            for (index, column) in (0..).zip(&mut self.columns) {
                let tensors = [&column.target, &column.prediction];
                column.err = err(context, scene, schedule, index, self.shape, tensors)?;
            }
        }
        if before.seed != scene.seed {
            for plan in &self.noising {
                plan.set_key(queue, 0, NoiseKey::seed(scene.seed))?;
            }
            for (index, column) in (0..).zip(&self.columns) {
                column.err.set_key(queue, 0, error_key(scene, index))?;
            }
        }
        Ok(())
    }

    /// The columns, in the order of the scene's quantities.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Finds the buffer of one of these pictures, if it exists: a prediction need not imply a clean sample.
    #[must_use]
    pub fn find(&self, what: ImageId) -> Option<ImageSlice> {
        let column = |index: usize| self.columns.get(index);
        let buffer = match what {
            ImageId::X0 => &self.x0,
            ImageId::Xt => &self.x_t,
            ImageId::Target(index) => &column(index)?.target,
            ImageId::Prediction(index) => &column(index)?.prediction,
            ImageId::Recovered(index) => &column(index).filter(|column| column.determined)?.recovered,
            _ => return None,
        };
        Some(ImageSlice { buffer: buffer.clone(), offset: 0, size: self.scene.size(), channels: 3 })
    }

    /// The mean squared differences from the picture: of `x_t`, then of each column's x0; an f32 each.
    #[must_use]
    pub fn errors(&self) -> &wgpu::Buffer {
        &self.errors
    }
}

/// The expected root mean square of a quantity at a noise level, for a picture with this mean square.
///
/// # Errors
/// [`Undefined`] for a score where there is no noise.
pub fn expected_rms(level: NoiseLevel, quantity: Quantity, mean_square: f64) -> Result<f64, Undefined> {
    let [a, b] = quantity.row(level)?;
    Ok((a * a * mean_square).sqrt().hypot(b))
}

/// The mean of the squares of the finite values; 0 if there are none.
#[must_use]
pub fn mean_square(data: &[f32]) -> f64 {
    let numbers = data.iter().filter(|value| value.is_finite()).map(|&value| f64::from(value).powi(2));
    let (sum, count) = numbers.fold((0.0, 0), |(sum, count), square| (sum + square, count + 1));
    sum / f64::from(count.max(1))
}

fn error_key(scene: &PlaneScene, column: u32) -> NoiseKey {
    NoiseKey::seed(scene.seed).stream(ERROR_STREAM + column)
}

/// Plans the network's prediction: the target with an error, which is noise of its own.
fn err(
    context: &Context,
    scene: &PlaneScene,
    schedule: &Schedule,
    column: u32,
    shape: Shape,
    [target, prediction]: [&wgpu::Buffer; 2],
) -> Result<Plan, Error> {
    let quantity = scene.quantities[column as usize];
    let square = mean_square(&scene.picture.data);
    let row = |&level| Ok([[1.0, scene.error * expected_rms(level, quantity, square)?], [0.0, 0.0]]);
    let table = Table::new(schedule.levels().iter().map(row).collect::<Result<Vec<_>, Undefined>>()?);
    noised(context, &table, shape, Drawn::new(error_key(scene, column)), [target, prediction])
}

/// Plans a network's output: what it should be and noise, mixed by a table.
pub fn noised(
    context: &Context,
    table: &Table,
    shape: Shape,
    noise: Drawn<'_>,
    [right, output]: [&wgpu::Buffer; 2],
) -> Result<Plan, Error> {
    let map = Map {
        table,
        shape,
        timesteps: Timesteps::Batch,
        in0: Some(Tensor::f32(right)),
        in1: Noise::Drawn(noise),
        out0: Tensor::f32(output),
        out1: None,
    };
    Ok(map.plan(context)?)
}

/// Plans the mean squared difference of two pictures.
fn measure(
    context: &Context,
    shape: Shape,
    found: &wgpu::Buffer,
    wanted: &wgpu::Buffer,
    (errors, index): (&wgpu::Buffer, usize),
) -> Result<Plan, Error> {
    let table = Table::new([LossRow { prediction: 1.0, inputs: [0.0, -1.0], weight: 1.0 }]);
    Ok(Loss {
        table: &table,
        penalty: Penalty::MSE,
        shape,
        timesteps: Timesteps::Batch,
        prediction: Tensor::f32(found),
        in0: None,
        in1: Noise::Tensor(Tensor::f32(wanted)),
        losses: (errors, 4 * index as u64),
        mean: None,
        gradient: None,
    }
    .plan(context)?)
}
