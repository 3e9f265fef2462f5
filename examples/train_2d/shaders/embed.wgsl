// What the network sees of a sample: its two coordinates, then what the table says of its timestep.

@group(0) @binding(0) var<storage, read> x_t: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> timesteps: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> features: array<f32>;

override width: u32;

@compute @workgroup_size(64)
fn embed(@builtin(global_invocation_id) id: vec3<u32>) {
    let sample = id.x;
    if (sample >= arrayLength(&x_t)) {
        return;
    }
    let i = sample * width;
    let row = timesteps[sample] * (width - 2u);
    features[i] = x_t[sample].x;
    features[i + 1u] = x_t[sample].y;
    for (var j = 2u; j < width; j++) {
        features[i + j] = table[row + j - 2u];
    }
}
