// The end of a reduction: a workgroup combines what the chunks left in `scratch` into the result of a sample, or of several.
// Host twin: `tweedie::gpu::shader::fold`.
// Expects: fold_workgroup.
// Defines: FoldParams, fold, the entry point, whose name the host replaces by that of the fold.
struct FoldParams {
    samples: u32,      // of this dispatch
    first_sample: u32, // of them, within the batch
    groups_x: u32,     // workgroups along x; further ones go along y
    nan_bits: u32,     // bits of a NaN
    team: u32,         // sums: invocations that take a sample together
    parts: u32,        // sums: parts of a sample's sum
    first_part: u32,   // sums: the first part in `scratch`
    first_result: u32, // total: word of the batch's first result
    pitch: u32,        // total: words from one sample's result to the next
    factor: f32,       // total: of the sums
    rescale: f32,      // spread: the degree of rescaling
    digit_shift: u32,  // histogram: the lowest bit of this pass's digit
    rank: u32,         // histogram: of the lower order statistic, from 0
    last_rank: u32,    // histogram: the highest rank
    fraction: f32,     // histogram: where the quantile lies between the two order statistics
    least: f32,        // histogram: bounds of the threshold
    @size(16) most: f32,
}

@group(0) @binding(0) var<uniform> fold: FoldParams;

@compute @workgroup_size(WORKGROUP, 1, 1)
fn fold_samples(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    fold_workgroup(group.y * fold.groups_x + group.x, local.x);
}
