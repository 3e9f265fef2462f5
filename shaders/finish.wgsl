// The end of a reduction: a workgroup makes the result of a sample, or of several, of what the chunks left in `scratch`.
// Host twin: `tweedie::gpu::finish`.
struct Finish {
    samples: u32,      // of this dispatch
    first_sample: u32, // of them, within the batch
    groups: u32,       // workgroups along x; y goes on from there
    parts: u32,        // parts of a sample's sum
    first: u32,        // totals: word of the batch's first result
    start: u32,        // sums: the first part in `scratch`
    shift: u32,        // digits: the lowest bit of this pass's digit
    rank: u32,         // digits: of the lower order statistic, from 0
    last: u32,         // digits: the highest rank
    nan: u32,          // bits of a NaN
    team: u32,         // sums: invocations that take a sample together
    pitch: u32,        // totals: words from a result to the next
    numbers: vec4<f32>,
}

@group(0) @binding(0) var<uniform> finish: Finish;

@compute @workgroup_size(256, 1, 1)
fn finish_sample(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    conclude(group.y * finish.groups + group.x, local.x);
}
