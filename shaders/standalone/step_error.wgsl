// The error of a step: the sum, over each chunk of a sample, of the squared differences between the results of lower and of
// higher order, each divided by the tolerance of its element. A fold adds up the chunks.
// Host twin: `tweedie::math::run::HostLoop`.
// Expects: tree, Sum (total); from the host WORKGROUP, CHUNK.
// Defines: ErrorParams, the entry point step_error.
struct ErrorParams {
    elements: u32, // of a sample
    chunks: u32,   // of a sample
    samples: u32,
    groups_x: u32, // workgroups along x; further ones go along y
    rtol: f32,
    @size(12) atol: f32,
}

@group(0) @binding(0) var<uniform> params: ErrorParams;
@group(0) @binding(1) var<storage, read> low: array<f32>;
@group(0) @binding(2) var<storage, read> high: array<f32>;
@group(0) @binding(3) var<storage, read> before: array<f32>; // the last accepted result of lower order
@group(0) @binding(4) var<storage, read_write> of_chunks: array<f32>;

fn squared(i: u32) -> f32 {
    let tolerance = max(params.atol, params.rtol * max(abs(low[i]), abs(before[i])));
    let share = (low[i] - high[i]) / tolerance;
    return share * share;
}

@compute @workgroup_size(WORKGROUP, 1, 1)
fn step_error(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let chunk = group.y * params.groups_x + group.x;
    let sample = chunk / params.chunks;
    var sum = 0.0;
    if (sample < params.samples) {
        let first = (chunk % params.chunks) * CHUNK;
        let end = min(first + CHUNK, params.elements);
        for (var i = first + local.x; i < end; i += WORKGROUP) {
            sum += squared(sample * params.elements + i);
        }
    }
    sum = tree_of_all(local.x, sum);
    if (local.x == 0u && sample < params.samples) {
        of_chunks[chunk] = sum;
    }
}
