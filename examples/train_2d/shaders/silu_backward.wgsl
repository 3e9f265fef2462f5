
// The gradient through SiLU: s + z s (1 - s) with s = sigmoid(z).
@group(0) @binding(4) var<storage, read> before: array<f32>;

fn finish(i: u32, sum: f32) {
    let z = before[i];
    let s = 1.0 / (1.0 + exp(-z));
    out[i] = sum * (s + z * s * (1.0 - s));
}
