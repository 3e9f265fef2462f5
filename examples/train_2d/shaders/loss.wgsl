// The weighted squared error of each sample, and the gradient of its mean over the batch with respect to the prediction.

@group(0) @binding(0) var<storage, read> prediction: array<f32>;
@group(0) @binding(1) var<storage, read> expected: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> timesteps: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> losses: array<f32>;

override width: u32;

@compute @workgroup_size(64)
fn loss(@builtin(global_invocation_id) id: vec3<u32>) {
    let batch = arrayLength(&losses);
    if (id.x >= batch) {
        return;
    }
    let i = id.x * width;
    let weight = weights[timesteps[id.x]];
    let difference = vec2<f32>(prediction[i], prediction[i + 1u]) - expected[id.x];
    let slope = weight / f32(batch) * difference; // the 2 of the square and the mean of two elements cancel
    losses[id.x] = 0.5 * weight * dot(difference, difference);
    gradient[i] = slope.x;
    gradient[i + 1u] = slope.y;
}
