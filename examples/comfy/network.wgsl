// The best network for a rectified flow of normal data: it predicts epsilon - x0 from a sample at the level sigma.

struct Call {
    told: f32,
    sigma: f32,
}

@group(0) @binding(0) var<uniform> call: Call;
// A mean and a deviation for each element of a sample.
@group(0) @binding(1) var<storage, read> data: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> prediction: array<f32>;

@compute @workgroup_size(64)
fn answer(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&x) {
        return;
    }
    let mean = data[i % arrayLength(&data)].x;
    let variance = data[i % arrayLength(&data)].y * data[i % arrayLength(&data)].y;
    let sigma = call.sigma;
    let alpha = 1.0 - sigma;
    prediction[i] = (sigma * (x[i] - mean) - alpha * variance * x[i]) / (alpha * alpha * variance + sigma * sigma);
}
