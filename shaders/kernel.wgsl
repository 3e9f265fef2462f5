// What all kernels share. A kernel is composed by the host of whole files and of what differs from plan to plan:
//   - its op (map, step ...): `row_at`, `needs` and `op`, which see four elements and no tensor;
//   - the plan's tensors: their bindings, and `read_*` and `write_*` between them and the op's `Inputs` and `Outputs`;
//   - where rows of coefficients come from (rows_*), and how the elements are walked (walk_*).
// Host twin: `tweedie::gpu`.

// The part of a batch that a dispatch covers, and how it is walked.
struct Window {
    batch: u32,           // samples of this window
    elements: u32,        // elements of a sample in this window
    first_sample: u32,    // of this window, within the batch
    first_element: u32,   // of this window, within each sample
    rows: u32,            // rows of the table
    timesteps: u32,       // offset of the first timestep, in words; 0 without any
    timestep_stride: u32, // 1, or 0 where one timestep is shared by the batch
    nan: u32,             // bits of a NaN, which WGSL does not let a constant be
    contiguous: u32,      // words: 1 where the samples follow each other without a gap
    span: u32,            // words: slots of a run; chunks: chunks of a whole sample
    slots: u32,           // words: slots of all runs; flat: elements of the batch
    groups: u32,          // workgroups along y (lanes, chunks) or x (the others); the next dimension goes on from there
    parity: u32,          // words: parity of the leading output's offset and stride (bits 0 and 1); bit 2: packed
    reports: u32,         // 1 where this dispatch counts the samples without a row: one of a plan does
    pitch: u32,           // from one remembered clean sample to the next, in lanes or elements
    range: f32,           // what clean samples are clamped to
    team: u32,            // chunks: invocations that take a sample together
    digit: u32,           // chunks: lowest bit of the digit that is counted
    sums: u32,            // chunks, pairs: word of the first sum
    factor: f32,          // chunks, pairs: what sums are multiplied with
}

struct Key {
    seed: vec2<u32>,     // low, high
    stream: u32,
    channel: u32,        // elements of a channel, where the noise is perturbed
    sample: vec2<u32>,   // global index of the batch's first sample: low, high
    perturbation: vec2<f32>, // how much of an offset for each channel, and of a second noise
}

@group(0) @binding(1) var<uniform> key: Key;

// Which row a sample has, and whether it has one.
struct Found {
    index: u32,
    defined: bool,
}
