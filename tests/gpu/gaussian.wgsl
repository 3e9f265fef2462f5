// The best network for normal data, a mean and a deviation for each element: its raw output for what a loop shows it.

struct Call {
    told: f32,
    sigma: f32,
    scale: f32,
    zero: f32,
}

// The numbers of the call, as the loop holds them.
@group(0) @binding(0) var<uniform> call: Call;
// The factor of the clean sample at this level, the coefficients of sample and output in the clean sample, and 1 less the product of
// the first two, which cancels in f32.
@group(0) @binding(1) var<uniform> model: vec4<f32>;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read> data: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn answer(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&output) {
        return;
    }
    let mean = data[i % arrayLength(&data)].x;
    let variance = data[i % arrayLength(&data)].y * data[i % arrayLength(&data)].y;
    let noise = call.sigma * call.sigma;
    let x = input[i] / call.scale;
    // The clean sample (noise*mean + alpha*variance*x)/(alpha*alpha*variance + noise), less what the sample has in it.
    let rest = noise * (mean - model.y * x) + model.x * variance * model.w * x;
    output[i] = rest / (model.x * model.x * variance + noise) / model.z;
}
