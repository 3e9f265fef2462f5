// Group norm (Wu & He 2018, arXiv 1803.08494) and SiLU: a workgroup for each group of channels of each sample.
//
// The channels are those of one tensor, or of two; no group has channels of both. The mean is computed first, and then the mean
// of the squared differences from it, so that the variance does not suffer from cancellation.

struct Norm {
    first: u32,    // channels of the first tensor
    second: u32,   // and of the second
    plane: u32,    // words of a channel
    channels: u32, // of a group
}

const WIDTH = 64u; // invocations of a workgroup: a power of two
const EPSILON = 1e-5;

@group(0) @binding(0) var<uniform> norm: Norm;
@group(0) @binding(1) var<storage, read> first: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> second: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> scales: array<vec2<f32>>; // scale and shift of each channel
@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;

var<workgroup> partial: array<f32, WIDTH>;

// A group of a sample: its words follow each other in one of the two tensors.
struct Group {
    in_first: bool,
    begin: u32,
}

fn find(sample: u32, channel: u32) -> Group {
    if (channel < norm.first) {
        return Group(true, (sample * norm.first + channel) * norm.plane);
    }
    return Group(false, (sample * norm.second + channel - norm.first) * norm.plane);
}

fn load(group: Group, i: u32) -> vec4<f32> {
    if (group.in_first) {
        return first[group.begin + i];
    }
    return second[group.begin + i];
}

// The sum over the workgroup, in the same order in every run.
fn total(thread: u32, sum: f32) -> f32 {
    partial[thread] = sum;
    for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
            partial[thread] += partial[thread + half];
        }
    }
    workgroupBarrier();
    let whole = partial[0];
    workgroupBarrier();
    return whole;
}

@compute @workgroup_size(WIDTH)
fn normalise(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let channel = id.x * norm.channels;
    let group = find(id.y, channel);
    let words = norm.channels * norm.plane;
    let count = f32(4u * words);

    var sum = 0.0;
    for (var i = thread; i < words; i += WIDTH) {
        sum += dot(load(group, i), vec4<f32>(1.0));
    }
    let mean = total(thread, sum) / count;

    sum = 0.0;
    for (var i = thread; i < words; i += WIDTH) {
        let away = load(group, i) - mean;
        sum += dot(away, away);
    }
    let rate = inverseSqrt(total(thread, sum) / count + EPSILON);

    let begin = (id.y * (norm.first + norm.second) + channel) * norm.plane;
    for (var i = thread; i < words; i += WIDTH) {
        let scale = scales[channel + i / norm.plane];
        let z = (load(group, i) - mean) * rate * scale.x + scale.y;
        output[begin + i] = z / (1.0 + exp(-z));
    }
}
