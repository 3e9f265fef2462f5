// Weights that are fixed for a call.
// Expects: nothing.
// Defines: weights_of.
fn weights_of(sample: u32, rescale: f32, rule: vec4<f32>) -> vec3<f32> {
    return rule.yzw;
}
