//! The errors of plans. All of them are found on the host, before anything is recorded.

use crate::gpu::storage::Storage;
use crate::table::TableError;
use crate::table::step::Deviation;

/// A plan that cannot be made. Nothing has been recorded, and nothing is kept on the device.
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
    /// An offset of timesteps, seeds or results that is not a whole number of words.
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
        "timesteps of groups: expected samples of whole runs of {count} groups of {run} elements, found samples of {elements} elements"
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
    #[error("timesteps of groups: expected at most {most} runs in a batch, found {found}")]
    Runs {
        /// The largest number.
        most: u32,
        /// The runs of the batch.
        found: u64,
    },
    /// Something that timesteps of groups do not go with.
    #[error("timesteps of groups: expected {expected}, found {found}")]
    Grouped {
        /// The form that they go with.
        expected: &'static str,
        /// The form that was asked for.
        found: &'static str,
    },
    /// A tensor with gaps beside timesteps of groups.
    #[error("{tensor}: expected samples without gaps beside timesteps of groups, found a stride of {found} elements")]
    GroupStride {
        /// The tensor's role.
        tensor: &'static str,
        /// The stride in elements.
        found: u32,
    },
    /// Two 16-bit outputs that begin in different halves of a word, where they cannot be written one after the other: in
    /// a step, or if both replace an input.
    #[error(
        "{first} and {second} are 16-bit and begin in different halves of a word: make their offsets and strides even"
    )]
    Halves {
        /// An output's role.
        first: &'static str,
        /// Another output's role.
        second: &'static str,
    },
    /// A sample of more elements than a kernel counts: its slices or remembered clean samples together.
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
    /// A table without rows.
    #[error("expected a table of at least one row, found none")]
    EmptyTable,
    /// A coefficient that f32 cannot hold.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Something is larger than the device allows.
    #[error("{what}: the device's limit `{limit}` is {allowed}, found {found}")]
    DeviceLimit {
        /// The thing that is too large.
        what: &'static str,
        /// The name of the limit in `wgpu::Limits`.
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
    /// The device gave no memory for a buffer of the plan's own.
    #[error("{buffer}: the device gave no buffer of {bytes} bytes: it is lost, or out of memory")]
    Device {
        /// The buffer's label.
        buffer: String,
        /// Its size.
        bytes: u64,
    },
    /// A row of a step or a loss needs a tensor that is not there.
    #[error("{what}: row {row} needs it, found none")]
    Missing {
        /// The tensor's role: `noise`, `unconditional`, `in0` ...
        what: &'static str,
        /// The first row, of a call or a timestep, that needs it.
        row: usize,
    },
    /// Predictions that have no pyramid of so many levels.
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
    /// Memory of a loop in another storage than f32 and that of its steps.
    #[error("memory: expected storage {expected} (f32 always fits), found {found}")]
    Memory {
        /// The storage that fits; so does f32.
        expected: Storage,
        /// The storage that it has.
        found: Storage,
    },
    /// Channels that do not make up a sample.
    #[error("expected channels that divide a sample of {elements} elements, found {found} elements a channel")]
    Channel {
        /// Elements of a sample.
        elements: u32,
        /// Elements of a channel.
        found: u32,
    },
    /// A rule of a step, or of its noise, that cannot hold.
    #[error("{what}: expected a number that is {expected}, found {found}")]
    Rule {
        /// The rule.
        what: &'static str,
        /// The condition on it.
        expected: &'static str,
        /// The number that was given.
        found: f64,
    },
    /// A tensor that a plan cannot be moved to: it must lie as the one before it does.
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
    /// A role that a plan does not have.
    #[error("expected a role of the plan ({expected}), found `{found}`")]
    Role {
        /// The roles of the plan.
        expected: String,
        /// The role that was given.
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
    #[error("row {row} looks back {found} calls, further than the plan remembers: {expected}")]
    Depth {
        /// The first such row.
        row: usize,
        /// Calls that the plan remembers.
        expected: usize,
        /// Calls that the row looks back.
        found: usize,
    },
    /// A counter of no words.
    #[error("expected a counter of at least 1 word, found 0")]
    NoWords,
    /// Noise for no step at all, or for more than a plan keeps keys of.
    #[error("expected 1 to {most} noise steps, found {found}; set_key continues them")]
    Steps {
        /// The largest number.
        most: u32,
        /// The number asked for.
        found: u32,
    },
    /// Rows of another op than the plan's.
    #[error("expected {expected}, found {found}")]
    RowKind {
        /// The rows that the plan applies.
        expected: &'static str,
        /// The rows that were given.
        found: &'static str,
    },
    /// A row that looks back further than three calls, or uses the clean sample of the unconditional prediction or a second
    /// noise, in a plan whose first rows did not.
    #[error("row {row} has a part that the rows of the plan have no place for: expected such a row in the request")]
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
    /// A row for another treatment of its clean sample than the plan's: a range in a plan that clips to a threshold or not at
    /// all, a threshold in a plan that has not the same, none in a plan of a threshold.
    #[error(
        "row {row} clips its clean sample otherwise than the plan: expected the same Clip, or a plan of Clip::Range for ranges"
    )]
    Clip {
        /// The first such row.
        row: usize,
    },
    /// A row that adds noise of another deviation than the plan's.
    #[error("row {row} adds noise of another deviation than the plan: expected {expected:?}, found {found:?}")]
    Deviation {
        /// The first such row.
        row: usize,
        /// The deviation of the plan.
        expected: Deviation,
        /// The deviation of the row.
        found: Deviation,
    },
    /// A row of which a plan's sums of guidance or thresholds know nothing, since they read what its first rows used.
    #[error(
        "row {row} {what}: expected such a row in the request of a plan that rescales guidance, finds its weights or clips to \
         thresholds"
    )]
    FirstRows {
        /// The first such row.
        row: usize,
        /// The part that the first rows did not have.
        what: &'static str,
    },
    /// A row of a step on a stream that f32 cannot count.
    #[error("row {row}: expected a stream below {streams}")]
    Stream {
        /// The first such row.
        row: usize,
        /// The number of streams.
        streams: u32,
    },
    /// More clean samples to remember than a row can look back to.
    #[error("expected a depth of memory of at most {most} clean samples, found {found}")]
    LeastDepth {
        /// The number that a row can look back to.
        most: usize,
        /// The number asked for.
        found: usize,
    },
    /// Channels of pixels that the floats do not have, or of floats that the pixels do not have.
    #[error("{what}: expected {expected}, found {found}")]
    Channels {
        /// The side whose channels do not fit.
        what: &'static str,
        /// The channels that fit.
        expected: String,
        /// Its channels.
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
    /// Noise that an op cannot draw: of several steps or perturbed in a loop, of own seeds in a stratified draw.
    #[error("{what}: expected {expected}, found {found}")]
    Noise {
        /// The op's noise.
        what: &'static str,
        /// The noise that it draws.
        expected: &'static str,
        /// The property that was asked for.
        found: &'static str,
    },
}

/// Checks a size against one of the device's limits.
pub(crate) fn check_limit(what: &'static str, limit: &'static str, allowed: u64, found: u64) -> Result<(), PlanError> {
    if found <= allowed { Ok(()) } else { Err(PlanError::DeviceLimit { what, limit, allowed, found }) }
}
