//! The last part of a call of guidance, which works position by position: norms or cosines along an axis, or the levels of a
//! pyramid.
//!
//! **Theory.** [`Finish`] has the formulas. A norm scales the elements of a position, in one dispatch. Mahiro's likeness is a
//! mean over the positions of a sample, or of the batch: one dispatch computes the cosine of each position, a fold their mean in
//! an order that depends on their number alone, and a third dispatch mixes. The sum of the levels of a
//! [pyramid](crate::table::Pyramid) replaces the mixture.
//!
//! **Practice.** [`GuideFinish::plan`] makes a [`Plan`] that changes what a [`Guide`](crate::gpu::Guide) has written. Host twin
//! of `shaders/guide/finish.wgsl`: [`GuidanceLoop`](crate::math::guidance::GuidanceLoop).

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::guide_pyramid::PyramidSum;
use crate::gpu::plan::entry::Part;
use crate::gpu::plan::fold_pass::FoldPass;
use crate::gpu::plan::place::Places;
use crate::gpu::plan::plan::{Dispatch, Offsets, Plan};
use crate::gpu::plan::role::RESULTS;
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::FinishParams;
use crate::gpu::shader::standalone::FinishKernel;
use crate::gpu::standalone_pass::workgroups;
use crate::table::finish::Finish;
use wgpu::BufferUsages;

/// The words of an error for dimensions without channels.
const DIMS: &str = "the number of dims";
const LEAST_DIMS: &str = "at least 2: [batch, channels, ...]";

/// The request for a plan that finishes the mixture of a call of guidance.
///
/// Its tensors are f32 without gaps. Each is a buffer with usage STORAGE and the byte at which the tensor begins: a multiple of
/// the device's `min_storage_buffer_offset_alignment`.
///
/// ```
/// use tweedie::gpu::GuideFinish;
/// use tweedie::math::Guider;
/// use tweedie::{Context, Error, Plan, wgpu};
///
/// /// Qwen-Image's guidance keeps the length of each token of `[batch, tokens, channels]`.
/// fn plan(context: &Context, guided: &wgpu::Buffer, conditional: &wgpu::Buffer) -> Result<Option<Plan>, Error> {
///     let guider = Guider::CATALOGUE.find("cfg-norm")?.build(&[("guidance_scale", 4.0)])?;
///     let finish = guider.call(0, 20)?.finish;
///     let dims = [1, 4096, 64];
///     let request = |finish| GuideFinish { finish, dims: &dims, guided: (guided, 0), conditional: (conditional, 0), unconditional: None };
///     Ok(finish.map(|finish| request(finish).plan(context)).transpose()?)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GuideFinish<'a> {
    /// The change of the mixture.
    pub finish: Finish,
    /// The dimensions of a batch, `[batch, ...]`.
    pub dims: &'a [usize],
    /// The mixture of the predictions, which is changed.
    pub guided: (&'a wgpu::Buffer, u64),
    /// The prediction with the condition, in another buffer.
    pub conditional: (&'a wgpu::Buffer, u64),
    /// The prediction without it, for [`Finish::Mahiro`] and [`Finish::Pyramid`]; in another buffer than the mixture.
    pub unconditional: Option<(&'a wgpu::Buffer, u64)>,
}

/// The mixture and the prediction that it is compared with.
struct Mixed<'a> {
    guided: WordRange<'a>,
    conditional: WordRange<'a>,
}

impl GuideFinish<'_> {
    /// Makes the plan, which is recorded with [`Recording::per_sample`](crate::gpu::Recording::per_sample).
    ///
    /// A recording is one dispatch for a norm and three for Mahiro. A pyramid of two levels takes ten, each further level six,
    /// each level that is projected or rescaled two more, and the rescaling of their sum three, or four where edges are filled
    /// up. The memory of a pyramid is at most 8/3 of a prediction, and up to four times as much where its edges are filled up.
    ///
    /// # Errors
    /// [`PlanError`] for dimensions without elements, without the axis or too small for the levels, a buffer that does not fit or
    /// is shared with the mixture, and more than the device binds.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        let count = self.count()?;
        let guided = WordRange::at(self.guided, count).in_role(RESULTS);
        let conditional = self.words("conditional", self.conditional, count, context)?;
        guided.check("guided")?;
        guided.check_whole("guided", "offset of the mixture", context)?;
        let words = Mixed { guided, conditional };
        let dispatches = match self.finish {
            Finish::Norm { strength, clamped, .. } => {
                let params = self.params(count)?;
                let params = FinishParams {
                    count: count / params.length,
                    clamped: u32::from(clamped),
                    factor: strength as f32,
                    ..params
                };
                vec![dispatch(context, FinishKernel::Norm, params, &[words.conditional, words.guided])?]
            }
            Finish::Mahiro { scale, over_batch } => {
                let group = if over_batch { count } else { count / self.dims[0] as u32 };
                let params = FinishParams { group, factor: scale as f32, ..self.params(count)? };
                self.mahiro(context, params, &words)?
            }
            Finish::Pyramid(pyramid) => {
                let unconditional = self.unconditional_words(count, context)?;
                PyramidSum { pyramid, dims: self.dims, guided, conditional, unconditional }.dispatches(context)?
            }
        };
        let places = Places::of_results("guided", &guided);
        Plan::standalone(context, "tweedie::GuideFinish", dispatches, places, None)
    }

    /// The elements of the batch.
    fn count(&self) -> Result<u32, PlanError> {
        let found = self.dims.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64));
        let found = found.unwrap_or(u64::MAX);
        if self.dims.is_empty() {
            return Err(PlanError::Rule { what: DIMS, expected: LEAST_DIMS, found: 0.0 });
        }
        if found == 0 {
            return Err(PlanError::Rule { what: "dims", expected: "all at least 1", found: 0.0 });
        }
        check_limit("elements of a batch", "elements that a kernel counts", u64::from(u32::MAX), found)?;
        Ok(found as u32)
    }

    /// The kernel's parameters for the axis of a norm or of Mahiro's cosines.
    fn params(&self, count: u32) -> Result<FinishParams, PlanError> {
        let (what, expected, found) = match self.finish {
            Finish::Norm { axis, .. } => ("norm_axis", "an axis of the dimensions other than the batch", axis as f64),
            _ => (DIMS, LEAST_DIMS, self.dims.len() as f64),
        };
        let axis = self.finish.axis(self.dims).ok_or(PlanError::Rule { what, expected, found })?;
        let (length, inner) = (axis.length as u32, axis.inner as u32);
        Ok(FinishParams { count, length, inner, group: count, groups_x: 0, clamped: 0, factor: 0.0, unused: 0 })
    }

    /// The words of a tensor that is read.
    fn words<'b>(
        &self,
        name: &'static str,
        at: (&'b wgpu::Buffer, u64),
        count: u32,
        context: &Context,
    ) -> Result<WordRange<'b>, PlanError> {
        let words = WordRange::at(at, count);
        words.check(name)?;
        words.check_whole(name, "offset of a prediction", context)?;
        if words.buffer == self.guided.0 {
            // WebGPU forbids a dispatch that reads and writes one buffer through two bindings.
            return Err(PlanError::Overlap { output: "guided", other: name });
        }
        Ok(words)
    }

    /// The words of the unconditional prediction.
    fn unconditional_words(&self, count: u32, context: &Context) -> Result<WordRange<'_>, PlanError> {
        let missing = PlanError::Missing { what: "unconditional", row: 0 };
        self.words("unconditional", self.unconditional.ok_or(missing)?, count, context)
    }

    fn mahiro(&self, context: &Context, params: FinishParams, words: &Mixed<'_>) -> Result<Vec<Dispatch>, PlanError> {
        let unconditional = self.unconditional_words(params.count, context)?;
        let positions = params.count / params.length;
        let each = params.group / params.length;
        let groups = params.count / params.group;
        let numbers = |what, count: u32| {
            let label = format!("tweedie::GuideFinish::{what}");
            context.zeroed_buffer(&label, BufferUsages::STORAGE, 4 * u64::from(count))
        };
        let (cosines, means) = (numbers("cosines", positions), numbers("likenesses", groups));
        let [cosines, means] = [&cosines, &means].map(WordRange::of);
        let likeness = FinishParams { count: positions, ..params };
        let tensors = [words.conditional, words.guided, unconditional, cosines];
        let factor = (1.0 / f64::from(each)) as f32;
        Ok(vec![
            dispatch(context, FinishKernel::Likeness, likeness, &tensors)?,
            FoldPass::total([groups, each], factor, cosines, means).dispatch(context)?,
            dispatch(context, FinishKernel::Mahiro, params, &[words.conditional, words.guided, means])?,
        ])
    }
}

/// A dispatch of a kernel over its positions or elements, on these tensors.
fn dispatch(
    context: &Context,
    kernel: FinishKernel,
    params: FinishParams,
    tensors: &[WordRange<'_>],
) -> Result<Dispatch, PlanError> {
    let workgroups = workgroups("positions", u64::from(params.count))?;
    let params = FinishParams { groups_x: workgroups[0], ..params };
    let params =
        context.buffer_with("tweedie::GuideFinish::params", BufferUsages::UNIFORM, bytemuck::bytes_of(&params))?;
    let uniform = entry(0, wgpu::BufferBindingType::Uniform, false);
    let is_written = |i: usize| match kernel {
        FinishKernel::Norm => i == 1,
        FinishKernel::Likeness => i == 3,
        FinishKernel::Mahiro => i > 0,
    };
    let bindings = (1..).zip(0..tensors.len()).map(|(binding, i)| entry(binding, storage(is_written(i)), false));
    let bindings: Vec<_> = [uniform].into_iter().chain(bindings).collect();
    let pipeline = context.small_pipeline(kernel.name(), || kernel.compose(), &bindings);
    let tensors = tensors.iter().map(|words| words.binding(context).0);
    let entries = [Part::whole(&params)].into_iter().chain(tensors);
    let entries = (0..).zip(entries).map(|(binding, part)| part.entry(binding)).collect();
    let label = "tweedie::GuideFinish::group".to_owned();
    Ok(Dispatch { pipeline, label, entries, workgroups, offsets: Offsets::None })
}
