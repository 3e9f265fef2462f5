// The numbers that every block of layers adds to its channels: its projection of the sample's timestep and class. Each sample
// has a workgroup.

struct Embed {
    times: u32,   // timesteps of a call: one for all samples, or one for each
    slot: u32,    // words from the timesteps of a call to those of the next
    classes: u32, // the last is "no class"
    offsets: u32, // numbers that a sample is given
}

const UNITS = 128u; // invocations of a workgroup
const FREQUENCIES = 32u; // from 1 radian a timestep to SLOWEST
const SLOWEST = 1.0e-4;

// 2 pi, and in two parts: the first has so few digits that small multiples of it are exact.
const TURN = 6.283185307179586;
const TURN_HIGH = 6.28125;
const TURN_LOW = 0.001935307179586477;

@group(0) @binding(0) var<uniform> embed: Embed;
@group(0) @binding(1) var<storage, read> call: u32; // a counter on the GPU, or 0 where the binding of the times begins at the call
@group(0) @binding(2) var<storage, read> times: array<f32>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
// One matrix after the other, a row for each input, and biases: time1, its bias, time2, its bias, classes, projections, biases.
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> offsets: array<f32>;

var<workgroup> units: array<f32, UNITS>;

fn silu(z: f32) -> f32 {
    return z / (1.0 + exp(-z));
}

// Cosines, then sines, of the timestep times each frequency.
fn feature(t: f32, i: u32) -> f32 {
    let angle = t * exp(f32(i % FREQUENCIES) / f32(FREQUENCIES - 1u) * log(SLOWEST));
    let turns = round(angle / TURN);
    let small = angle - turns * TURN_HIGH - turns * TURN_LOW;
    return select(sin(small), cos(small), i < FREQUENCIES);
}

// Output j of a linear layer of the units.
fn linear(j: u32, inputs: u32, outputs: u32, matrix: u32, bias: u32) -> f32 {
    var sum = weights[bias + j];
    for (var i = 0u; i < inputs; i++) {
        sum += weights[matrix + i * outputs + j] * units[i];
    }
    return sum;
}

@compute @workgroup_size(UNITS)
fn project(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let sample = group.x;
    let t = times[call * embed.slot + sample % embed.times];
    let bias1 = 2u * FREQUENCIES * UNITS;
    let matrix2 = bias1 + UNITS;
    let bias2 = matrix2 + UNITS * UNITS;
    let classes = bias2 + UNITS;
    let projections = classes + embed.classes * UNITS;
    let biases = projections + UNITS * embed.offsets;

    units[thread] = feature(t, thread % (2u * FREQUENCIES));
    workgroupBarrier();
    let hidden = silu(linear(thread, 2u * FREQUENCIES, UNITS, 0u, bias1));
    workgroupBarrier();
    units[thread] = hidden;
    workgroupBarrier();
    let label = min(labels[sample], embed.classes - 1u);
    let embedding = silu(linear(thread, UNITS, UNITS, matrix2, bias2) + weights[classes + label * UNITS + thread]);
    workgroupBarrier();
    units[thread] = embedding;
    workgroupBarrier();
    for (var j = thread; j < embed.offsets; j += UNITS) {
        offsets[sample * embed.offsets + j] = linear(j, UNITS, embed.offsets, projections, biases);
    }
}
