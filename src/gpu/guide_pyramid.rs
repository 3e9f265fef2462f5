//! The sum of the levels of a Laplacian pyramid, each mixed by its own row, which replaces the mixture of a call of guidance.
//!
//! **Theory.** [`Pyramid`] defines the levels. Building and summing them is linear, with weights that f32 holds exactly. A level
//! is mixed by the kernels of [`Guide`], so its sums run in an order that depends on its size alone.
//!
//! **Practice.** The pyramids of both predictions lie in the plan's own memory: together at most 8/3 of a prediction, and up to
//! four times as much where edges are filled up. Host twin of `shaders/guide/pyramid.wgsl`:
//! [`GuidanceLoop`](crate::math::guidance::GuidanceLoop).

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::guide::Guide;
use crate::gpu::plan::entry::Part;
use crate::gpu::plan::plan::{Dispatch, Offsets};
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::PyramidParams;
use crate::gpu::shader::standalone::PyramidKernel;
use crate::gpu::standalone_pass::workgroups;
use crate::gpu::tensor::{Shape, Tensor};
use crate::table::guide::{GuideRow, Weights};
use crate::table::pyramid::{Pyramid, PyramidSizes};
use wgpu::BufferUsages;

/// The sum of the levels of two predictions, `[batch, channels, height, width]` in f32 without gaps.
pub(crate) struct PyramidSum<'a> {
    pub pyramid: Pyramid,
    pub dims: &'a [usize],
    /// The tensor that takes the sum.
    pub guided: WordRange<'a>,
    pub conditional: WordRange<'a>,
    pub unconditional: WordRange<'a>,
}

/// Planes of some height and width.
#[derive(Clone, Copy)]
struct Planes<'a> {
    words: WordRange<'a>,
    edges: [usize; 2],
}

impl PyramidSum<'_> {
    /// The dispatches, in the order in which they are recorded.
    pub fn dispatches(&self, context: &Context) -> Result<Vec<Dispatch>, PlanError> {
        let levels = self.pyramid.levels().len();
        let misfit = || PlanError::Pyramid { levels, found: self.dims.to_vec() };
        let sizes = self.pyramid.sizes(self.dims).ok_or_else(misfit)?;
        let own = |label: &str, edges| own(context, label, &sizes, edges);
        let buffers = |label: &str| sizes.levels.iter().map(|&edges| own(label, edges)).collect::<Result<Vec<_>, _>>();
        let [conditional, unconditional] = [buffers("conditional")?, buffers("unconditional")?];
        let mut work = Dispatches { context, all: Vec::new() };
        let [of_c, of_u] = [&conditional, &unconditional].map(|buffers| planes(buffers, &sizes));
        for (words, levels) in [(self.conditional, &of_c), (self.unconditional, &of_u)] {
            let given = Planes { words, edges: sizes.given };
            levels.first().map_or(Ok(()), |finest| work.add(PyramidKernel::Copy, given, *finest, 1.0))?;
            for pair in levels.windows(2) {
                work.add(PyramidKernel::Halve, pair[0], pair[1], 1.0)?;
                work.add(PyramidKernel::Double, pair[1], pair[0], -1.0)?;
            }
        }
        for ((row, edges), (c, u)) in self.pyramid.rows().zip(&sizes.levels).zip(conditional.iter().zip(&unconditional))
        {
            if row != GuideRow::CONDITIONAL {
                work.guide(row, shape(&sizes, *edges)?, Tensor::f32(c), Tensor::f32(u), Tensor::f32(c))?;
            }
        }
        for pair in of_c.windows(2).rev() {
            work.add(PyramidKernel::Double, pair[1], pair[0], 1.0)?;
        }
        let (Some(&(mut sum)), Some(mut buffer)) = (of_c.first(), conditional.first()) else { return Ok(work.all) };
        let guided = Planes { words: self.guided, edges: sizes.given };
        let cut;
        if self.pyramid.rescale() != 0.0 {
            if sum.edges != sizes.given {
                cut = own("sum", sizes.given)?;
                buffer = &cut;
                let smaller = Planes { words: WordRange::of(buffer), edges: sizes.given };
                work.add(PyramidKernel::Copy, sum, smaller, 1.0)?;
                sum = smaller;
            }
            let WordRange { buffer: of_c, offset, .. } = self.conditional;
            let row = GuideRow { rescale: self.pyramid.rescale(), ..UNCHANGED };
            let given = shape(&sizes, sizes.given)?;
            work.guide(row, given, Tensor::f32(of_c).at(offset), Tensor::f32(buffer), Tensor::f32(buffer))?;
        }
        work.add(PyramidKernel::Copy, sum, guided, 1.0)?;
        Ok(work.all)
    }
}

/// A row whose result is its unconditional prediction, here the sum of the levels. A rescale is added to it.
const UNCHANGED: GuideRow =
    GuideRow { first: [1.0, 0.0, 0.0], weights: Weights::Fixed([1.0, -1.0, 0.0]), ..GuideRow::CONDITIONAL };

/// The planes of each level.
fn planes<'a>(buffers: &'a [wgpu::Buffer], sizes: &PyramidSizes) -> Vec<Planes<'a>> {
    let each = buffers.iter().zip(&sizes.levels);
    each.map(|(buffer, &edges)| Planes { words: WordRange::of(buffer), edges }).collect()
}

/// The elements of all planes of these edges.
fn count(sizes: &PyramidSizes, [height, width]: [usize; 2]) -> Result<u32, PlanError> {
    let found = [sizes.batch, sizes.channels, height, width].iter().fold(1u64, |all, &n| all.saturating_mul(n as u64));
    check_limit("elements of a level", "elements that a kernel counts", u64::from(u32::MAX), found)?;
    Ok(found as u32)
}

/// A batch of planes of these edges.
fn shape(sizes: &PyramidSizes, edges: [usize; 2]) -> Result<Shape, PlanError> {
    let batch = sizes.batch as u32;
    Ok(Shape::new(batch, count(sizes, edges)? / batch.max(1)))
}

/// A buffer for all planes of these edges.
fn own(context: &Context, label: &str, sizes: &PyramidSizes, edges: [usize; 2]) -> Result<wgpu::Buffer, PlanError> {
    let size = 4 * u64::from(count(sizes, edges)?);
    let limits = context.limits();
    let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    check_limit("a level of a pyramid", "max_storage_buffer_binding_size", allowed, size)?;
    Ok(context.zeroed_buffer(&format!("tweedie::GuideFinish::{label}"), BufferUsages::STORAGE, size))
}

/// The dispatches that have been made so far.
struct Dispatches<'a> {
    context: &'a Context,
    all: Vec<Dispatch>,
}

impl Dispatches<'_> {
    /// Adds a kernel that reads some planes and writes others; doubled planes are added to the result times `sign`.
    fn add(
        &mut self,
        kernel: PyramidKernel,
        source: Planes<'_>,
        result: Planes<'_>,
        sign: f32,
    ) -> Result<(), PlanError> {
        let count = result.words.count as u32;
        let workgroups = workgroups("elements of a level", u64::from(count))?;
        let [[source_height, source_width], [height, width]] =
            [source.edges, result.edges].map(|edges| edges.map(|edge| edge as u32));
        let params = PyramidParams {
            count,
            height,
            width,
            source_height,
            source_width,
            groups_x: workgroups[0],
            sign,
            unused: 0,
        };
        let label = "tweedie::GuideFinish::params";
        let params = self.context.buffer_with(label, BufferUsages::UNIFORM, bytemuck::bytes_of(&params))?;
        let bindings = [
            entry(0, wgpu::BufferBindingType::Uniform, false),
            entry(1, storage(false), false),
            entry(2, storage(true), false),
        ];
        let pipeline = self.context.small_pipeline(kernel.name(), || kernel.compose(), &bindings);
        let words = [source.words, result.words].map(|words| words.binding(self.context).0);
        let parts = [Part::whole(&params)].into_iter().chain(words);
        let entries = (0..).zip(parts).map(|(binding, part)| part.entry(binding)).collect();
        let label = "tweedie::GuideFinish::group".to_owned();
        self.all.push(Dispatch { pipeline, label, entries, workgroups, offsets: Offsets::None });
        Ok(())
    }

    /// Adds a call of guidance.
    fn guide(
        &mut self,
        row: GuideRow,
        shape: Shape,
        conditional: Tensor<'_>,
        unconditional: Tensor<'_>,
        guided: Tensor<'_>,
    ) -> Result<(), PlanError> {
        let rows = [row];
        let guide = Guide { unconditional: Some(unconditional), guided, ..Guide::in_place(&rows, shape, conditional) };
        self.all.extend(guide.plan(self.context)?.into_parts());
        Ok(())
    }
}
