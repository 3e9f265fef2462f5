// The network's features of a sample: its coordinates, their sines and cosines at three frequencies, without which a small
// network is slow to learn sharp edges (Tancik et al. 2020, arXiv 2006.10739), and the table's row of its timestep.

@group(0) @binding(0) var<storage, read> x_t: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> timesteps: array<u32>; // one a sample, or one for all
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> features: array<f32>;

override width: u32;

const FREQUENCIES = vec3<f32>(1.5, 3.0, 6.0); // radians; data lie within -2..2
const OF_POSITION = 14u;

fn write_pair(i: u32, pair: vec2<f32>) {
    features[i] = pair.x;
    features[i + 1u] = pair.y;
}

@compute @workgroup_size(64)
fn embed(@builtin(global_invocation_id) id: vec3<u32>) {
    let sample = id.x;
    if (sample >= arrayLength(&x_t)) {
        return;
    }
    let i = sample * width;
    let x = x_t[sample];
    write_pair(i, x);
    write_pair(i + 2u, sin(FREQUENCIES.x * x));
    write_pair(i + 4u, sin(FREQUENCIES.y * x));
    write_pair(i + 6u, sin(FREQUENCIES.z * x));
    write_pair(i + 8u, cos(FREQUENCIES.x * x));
    write_pair(i + 10u, cos(FREQUENCIES.y * x));
    write_pair(i + 12u, cos(FREQUENCIES.z * x));
    let of_time = width - OF_POSITION;
    let row = timesteps[min(sample, arrayLength(&timesteps) - 1u)] * of_time;
    for (var j = 0u; j < of_time; j++) {
        features[i + OF_POSITION + j] = table[row + j];
    }
}
