// Shared by all composed kernels: the parameters of a window, and the noise key.
// The host composes a kernel from whole files, and from parts that differ from plan to plan:
//   - storage/: how the elements of a tensor lie in words;
//   - row/: where the row of coefficients of a sample comes from;
//   - noise/: the seed of a sample, and its normals;
//   - op/: `row_at`, `needs` and `op`, which work on four elements and know no tensor;
//   - access/: the bindings of the tensors, and how the op's `Inputs` and `Outputs` are read and written through them;
//   - walk/: the entry point, which covers the elements of a window; reduce/: how a sample becomes one number.
// Host twin: `tweedie::gpu`.
// Expects: nothing. The host writes the constants that both sides share before it.
// Defines: WindowParams, first_sample, Key, key, Found.

// The part of a batch that a dispatch covers. The parameters of its walk follow in `params.walk`.
struct WindowParams {
    batch: u32,           // samples of this window
    elements: u32,        // elements of a sample in this window
    first_sample: u32,    // of this window, within the batch
    first_element: u32,   // of this window, within each sample
    rows: u32,            // rows of the table
    timestep_offset: u32, // of the first timestep, in words; 0 without any
    timestep_stride: u32, // 1, or 0 where one timestep is shared by the batch
    nan_bits: u32,        // bits of a NaN, which cannot be a constant in WGSL
    reports: u32,         // 1 if this dispatch counts the samples without a row: one pass of a plan does
    pitch: u32,           // from one remembered clean sample to the next, in lanes or elements
    limit: f32,           // step, vlb: clean samples are clamped to -limit..limit
    delta: f32,           // loss: where a parabola turns into a line
    runs: u32,            // with timesteps per group: runs of a sample, each of which counts as one
    groups: u32,          // likewise: groups of a sample
    run: u32,             // likewise: elements of a run
    unused: u32,
}

fn first_sample() -> u32 {
    return params.window.first_sample;
}

struct Key {
    seed: vec2<u32>,     // low, high
    stream: u32,
    channel: u32,        // elements of a channel, where the noise is perturbed
    sample: vec2<u32>,   // global index of the batch's first sample: low, high
    perturbation: vec2<f32>, // strengths of an offset for each channel, and of a second noise
}

@group(0) @binding(1) var<uniform> key: Key;

// The row of a sample, and whether it has one.
struct Found {
    index: u32,
    defined: bool,
}
