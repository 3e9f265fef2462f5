// Adam (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1). Numbers that depend only on the step come from the host, computed in f64.

struct Step {
    rate: f32,          // learning rate / (1 - beta1^t)
    second_moment: f32, // 1 / (1 - beta2^t)
}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;

override beta1: f32;
override beta2: f32;
override epsilon: f32;

@compute @workgroup_size(64)
fn adam(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if (i >= arrayLength(&weights)) {
        return;
    }
    let g = gradient[i];
    let m = mix(vec2<f32>(g, g * g), moments[i], vec2<f32>(beta1, beta2));
    moments[i] = m;
    weights[i] -= step.rate * m.x / (sqrt(step.second_moment * m.y) + epsilon);
}
