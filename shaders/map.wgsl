// map: out_j = m[j][0] * in0 + m[j][1] * in1, with the 2x2 row m of each sample's timestep; in1 may be drawn here.
// Host twin: `tweedie::gpu::map`. The bindings and their `load_*`, `store_*` and `row_at` functions are written by the
// host for the tensors of a plan; `map_lanes`, `map_flat` and `map_words` hold the ways to walk over them.

struct Params {
    batch: u32,          // samples of this window
    elements: u32,       // elements of a sample in this window
    first_sample: u32,   // of this window, within the batch
    first_element: u32,  // of this window, within each sample
    rows: u32,           // rows of the table
    timesteps: u32,      // offset of the first timestep, in words
    nan: u32,            // bits of a NaN, which WGSL does not let a constant be
    contiguous: u32,     // map_words: 1 where the samples follow each other without a gap
    span: u32,           // map_words: slots of a run
    slots: u32,          // map_words: slots of all runs; map_flat: elements of the batch
    groups: u32,         // workgroups along y (map_lanes) or x (the others); the next dimension goes on from there
    parity: u32,         // map_words: parity of the leading output's offset and stride (bits 0 and 1); bit 2: packed
    in0: vec2<u32>,      // offset and stride of each tensor: in lanes of 4, or in elements (map_words)
    in1: vec2<u32>,
    out0: vec2<u32>,
    out1: vec2<u32>,
    noise: vec2<u32>,
    reports: u32,        // 1 where this dispatch counts the samples without a row: one of a plan does
    unused: u32,
}

struct Key {
    seed: vec2<u32>,     // low, high
    stream: u32,
    unused: u32,
    sample: vec2<u32>,   // global index of the batch's first sample: low, high
    unused2: vec2<u32>,
}

// The matrix of a sample, NaN where the timestep has none.
struct Row {
    m: vec4<f32>,
    defined: bool,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> key: Key;

// Four normals of a sample of this window: elements 4 * block and on of the whole sample.
fn drawn_block(sample: u32, block: u32) -> vec4<f32> {
    let index = params.first_sample + sample;
    let low = key.sample.x + index;
    let high = key.sample.y + select(0u, 1u, low < index);
    return normal_block(vec4<u32>(block, key.stream, low, high), key.seed);
}
