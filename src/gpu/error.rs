//! The errors of plans. All of them are detected on the host, before anything is recorded.

use crate::gpu::storage::Storage;
use crate::table::TableError;
use crate::table::step::Deviation;

/// A plan that cannot be made, moved or changed. Nothing has been recorded, and nothing is kept on the device.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A batch of no samples, or samples of no elements.
    #[error("expected a shape of at least 1 x 1, found {batch} x {elements}")]
    EmptyShape {
        /// Samples asked for.
        batch: u32,
        /// Elements asked for.
        elements: u32,
    },
    /// A tensor does not fit into its buffer.
    #[error("{tensor}: expected a buffer of at least {expected} bytes, found {found}")]
    BufferTooSmall {
        /// The tensor's role, by the name of its field in the request: `x_t`, `prediction`, `timesteps` ...
        tensor: &'static str,
        /// Bytes up to the end of the tensor, in whole 4-byte words.
        expected: u64,
        /// The buffer's size in bytes.
        found: u64,
    },
    /// A buffer lacks a usage.
    #[error("{tensor}: expected a buffer with usage STORAGE, found {found}")]
    BufferUsage {
        /// The tensor's role.
        tensor: &'static str,
        /// The usages that it has.
        found: String,
    },
    /// An offset that is not a whole number of elements.
    #[error(
        "{tensor}: expected an offset that is a multiple of {expected} bytes (one {storage} element), found {found}"
    )]
    Offset {
        /// The tensor's role.
        tensor: &'static str,
        /// The element's storage.
        storage: Storage,
        /// The size of an element in bytes.
        expected: u64,
        /// The offset in bytes.
        found: u64,
    },
    /// An offset of timesteps, seeds, counters or results that is not a whole number of words.
    #[error("{words}: expected an offset that is a multiple of 4 bytes (one word), found {found}")]
    WordOffset {
        /// The role of the words: `timesteps`, `losses`, `mean` ...
        words: &'static str,
        /// The offset in bytes.
        found: u64,
    },
    /// Samples that would overlap: the stride is smaller than a sample. An input may have stride 0.
    #[error("{tensor}: expected a stride of at least {expected} elements (one sample), found {found}")]
    Stride {
        /// The tensor's role.
        tensor: &'static str,
        /// The elements of a sample.
        expected: u32,
        /// The stride in elements.
        found: u32,
    },
    /// An output shares words with another tensor without being the very same elements.
    #[error(
        "{output} and {other} overlap in one buffer: give them separate words, or the very same elements to work in place"
    )]
    Overlap {
        /// The output's role.
        output: &'static str,
        /// The other tensor's role.
        other: &'static str,
    },
    /// Groups that do not divide a sample.
    #[error(
        "timesteps per group: expected samples of whole runs of {count} groups of {run} elements, found samples of {elements} elements"
    )]
    Groups {
        /// The elements of a sample.
        elements: u32,
        /// The groups.
        count: u32,
        /// The consecutive elements of a group.
        run: u32,
    },
    /// More runs of groups than a kernel counts.
    #[error("timesteps per group: expected at most {most} runs in a batch, found {found}")]
    Runs {
        /// The largest number.
        most: u32,
        /// The runs of the batch.
        found: u64,
    },
    /// An option that cannot be combined with timesteps per group.
    #[error("timesteps per group: expected {expected}, found {found}")]
    Grouped {
        /// The option that can be combined with them.
        expected: &'static str,
        /// The option that was given.
        found: &'static str,
    },
    /// A tensor with gaps between its samples, in a plan with timesteps per group.
    #[error("{tensor}: expected samples without gaps, as timesteps per group need, found a stride of {found} elements")]
    GroupStride {
        /// The tensor's role.
        tensor: &'static str,
        /// The stride in elements.
        found: u32,
    },
    /// Two 16-bit outputs that begin in different halves of a word, where they cannot be written one after the other: in
    /// a step, in guidance, or if both replace an input.
    #[error(
        "{first} and {second} are 16-bit and begin in different halves of a word: make their offsets and strides even"
    )]
    Halves {
        /// An output's role.
        first: &'static str,
        /// Another output's role.
        second: &'static str,
    },
    /// A sample of more elements than a kernel counts, all its slices or remembered clean samples included.
    #[error("{tensor}: expected at most {most} elements for each sample, found {found}")]
    SampleSize {
        /// The tensor's role.
        tensor: &'static str,
        /// The largest number.
        most: u32,
        /// The elements of a sample, all parts together.
        found: u64,
    },
    /// A list of no outputs, or of more than two.
    #[error("outputs: expected one or two, found {found}")]
    Outputs {
        /// The number of outputs.
        found: usize,
    },
    /// A table without rows, or a draw of timesteps without any.
    #[error("expected a table of at least one row, found none")]
    EmptyTable,
    /// A coefficient that f32 cannot hold.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Something exceeds a limit of the device or of a kernel, or is not a multiple of the device's alignment.
    #[error("{what}: the limit `{limit}` is {allowed}, found {found}")]
    DeviceLimit {
        /// The thing that does not fit.
        what: &'static str,
        /// The name of the limit in `wgpu::Limits`, or a description of a kernel's limit.
        limit: &'static str,
        /// The limit.
        allowed: u64,
        /// The amount asked for.
        found: u64,
    },
    /// More buffers in one dispatch than the device binds, even in the four-buffer form.
    #[error(
        "{op}: expected at most {allowed} storage buffers in a dispatch (the device's limit \
         `max_storage_buffers_per_shader_stage`), found {found}: {buffers}"
    )]
    Bindings {
        /// The op.
        op: &'static str,
        /// The buffers, by their roles.
        buffers: String,
        /// The limit.
        allowed: u64,
        /// The number of buffers.
        found: u64,
    },
    /// The device could not allocate one of the plan's own buffers.
    #[error("{buffer}: expected a buffer of {bytes} bytes, found none: the device is lost or out of memory")]
    Device {
        /// The buffer's label.
        buffer: String,
        /// Its size.
        bytes: u64,
    },
    /// A row needs a tensor, or noise, that was not given.
    #[error("{what}: expected this field to be given, since row {row} needs it, found none")]
    Missing {
        /// The role of the tensor or the noise: `noise`, `unconditional`, `in0` ...
        what: &'static str,
        /// The first row, of a call or a timestep, that needs it.
        row: usize,
    },
    /// Predictions whose dimensions allow no pyramid of this many levels.
    #[error(
        "dims: expected [batch, channels, height, width] whose edges are even and at least 4 in all but the last of {levels} \
         levels (filled up to powers of two where they must be), found {found:?}"
    )]
    Pyramid {
        /// The levels.
        levels: usize,
        /// The dimensions of the batch.
        found: Vec<usize>,
    },
    /// Memory of a loop in a storage that is neither f32 nor the one that its steps need.
    #[error("memory: expected storage {expected} (f32 always fits), found {found}")]
    Memory {
        /// The storage that fits; so does f32.
        expected: Storage,
        /// The storage that it has.
        found: Storage,
    },
    /// Channels that do not make up a sample.
    #[error("channel: expected a number of elements that divides a sample of {elements}, found {found}")]
    Channel {
        /// Elements of a sample.
        elements: u32,
        /// Elements of a channel.
        found: u32,
    },
    /// A number that is out of its range.
    #[error("{what}: expected a number that is {expected}, found {found}")]
    Rule {
        /// The number's name.
        what: &'static str,
        /// The condition on it.
        expected: &'static str,
        /// The number that was given.
        found: f64,
    },
    /// A tensor that a plan cannot be moved to: its layout differs from that of the tensor before.
    #[error("{tensor}: a moved plan expects the same {what} as before ({expected}), found {found}")]
    Moved {
        /// The tensor's role.
        tensor: &'static str,
        /// The property that differs: storage, stride, offset or place.
        what: &'static str,
        /// The property of the tensor before.
        expected: String,
        /// That of the new one.
        found: String,
    },
    /// A name that is none of a plan's roles.
    #[error("expected a role of the plan ({expected}), found `{found}`")]
    Role {
        /// The roles of the plan.
        expected: String,
        /// The name that was given.
        found: String,
    },
    /// Ends of the ranges of timesteps that fall, exceed 2^32, or do not end there.
    #[error("expected ends that rise to 2^32, found {found} at timestep {timestep}")]
    Ends {
        /// The first timestep whose end is wrong.
        timestep: usize,
        /// Its end.
        found: u64,
    },
    /// Rows beyond the end of a plan's table.
    #[error("expected rows within the {expected} of the plan, found them up to {found}")]
    Rows {
        /// Rows of the plan.
        expected: u64,
        /// The end of the rows that were given.
        found: u64,
    },
    /// A row that looks back further than the memory of its plan.
    #[error(
        "row {row}: expected to look back at most {expected} calls, as far as the plan remembers (`least_depth`), found {found}"
    )]
    Depth {
        /// The first such row.
        row: usize,
        /// Calls that the plan remembers.
        expected: usize,
        /// Calls that the row looks back.
        found: usize,
    },
    /// A counter, or a draw of noise, of no words.
    #[error("expected at least 1 word, found 0")]
    NoWords,
    /// Noise for no step at all, or for more steps than a plan holds keys for.
    #[error("expected 1 to {most} noise steps, found {found}: set the keys of further steps with Plan::set_key")]
    Steps {
        /// The largest number.
        most: u32,
        /// The number asked for.
        found: u32,
    },
    /// Rows of a different op from the plan's.
    #[error("expected {expected}, found {found}")]
    RowKind {
        /// The rows that the plan applies.
        expected: &'static str,
        /// The rows that were given.
        found: &'static str,
    },
    /// A row that looks back further than three calls, changes what a call remembers, or uses the clean sample of the
    /// unconditional prediction or a second noise, in a plan whose rows have no room for these.
    #[error("row {row} has parts that the rows of the plan have no room for: make the plan with `extended: true`")]
    Extended {
        /// The first such row.
        row: usize,
    },
    /// A prediction of no slices, or of more than a row has weights for.
    #[error("slices: expected 1 to {most}, found {found}")]
    SliceCount {
        /// The largest number.
        most: u32,
        /// The number asked for.
        found: u32,
    },
    /// A row with weights for more slices than a prediction has.
    #[error("row {row}: expected weights of {expected} slices (1 for a prediction of one), found {found}")]
    Slices {
        /// The first such row.
        row: usize,
        /// The slices of the prediction.
        expected: usize,
        /// The slices that have a weight.
        found: usize,
    },
    /// A row that clips its clean sample in a way that the plan cannot: to a range in a plan that clips to a threshold or not at
    /// all, to a threshold other than the plan's, or not at all in a plan that clips to a threshold.
    #[error(
        "row {row} clips its clean sample in another way than the plan: expected the plan's Clip, or a plan of Clip::Range \
         for rows of Clip::Range or Clip::None"
    )]
    Clip {
        /// The first such row.
        row: usize,
    },
    /// A row that adds noise whose deviation is of another kind than the plan's.
    #[error("row {row}: expected noise of the plan's deviation {expected:?}, found {found:?}")]
    Deviation {
        /// The first such row.
        row: usize,
        /// The deviation of the plan.
        expected: Deviation,
        /// The deviation of the row.
        found: Deviation,
    },
    /// A row with a part that the plan's reductions (for guidance, rescaling or thresholds) leave out, since no row of the
    /// request had it.
    #[error(
        "row {row} {what}, unlike every row of the request: make the plan with such a row, since its reductions read only \
         what the rows of the request use"
    )]
    FirstRows {
        /// The first such row.
        row: usize,
        /// The part that no row of the request had.
        what: &'static str,
    },
    /// A row of a step on a stream that is too large for the rows, which are f32.
    #[error("row {row}: expected a stream below {streams}, found {found}")]
    Stream {
        /// The first such row.
        row: usize,
        /// The number of streams.
        streams: u32,
        /// The stream of the row.
        found: u32,
    },
    /// More clean samples to remember than a row can look back to.
    #[error("least_depth: expected at most {most} clean samples, found {found}")]
    LeastDepth {
        /// The number that a row can look back to.
        most: usize,
        /// The number asked for.
        found: usize,
    },
    /// Numbers of channels of pixels and floats that cannot be converted into each other.
    #[error("{what}: expected {expected}, found {found}")]
    Channels {
        /// The side whose channels do not fit.
        what: &'static str,
        /// The channels that fit.
        expected: String,
        /// The channels that were given.
        found: u32,
    },
    /// A texture that a kernel cannot write.
    #[error("texture: expected {expected}, found {found}")]
    Texture {
        /// The property that it needs.
        expected: String,
        /// The property that it has.
        found: String,
    },
    /// Noise that an op cannot draw: several steps or perturbed noise in a loop, seeds per sample in a stratified draw.
    #[error("{what}: expected {expected}, found {found}")]
    Noise {
        /// The op's noise.
        what: &'static str,
        /// The noise that it draws.
        expected: &'static str,
        /// The noise that was given.
        found: &'static str,
    },
}

/// Checks a size against a limit of the device or of a kernel.
pub(crate) fn check_limit(what: &'static str, limit: &'static str, allowed: u64, found: u64) -> Result<(), PlanError> {
    if found <= allowed { Ok(()) } else { Err(PlanError::DeviceLimit { what, limit, allowed, found }) }
}
