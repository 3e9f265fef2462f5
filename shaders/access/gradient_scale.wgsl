// A factor of the gradients in a buffer, for training in 16 bits, and the counts of elements that their storage cannot hold.
// A template: see `src/gpu/shader/template.rs`. A line that begins with [a class] is written once for each gradient.
// Expects: Row, Outputs, scaler.
// Defines: scaled, observe, flush.
fn scaled(gradient: vec4<f32>) -> vec4<f32> {
    return scaler.scale * gradient;
}

var<private> not_finite: u32;
var<private> flushed: u32;

fn count(these: vec4<bool>) -> u32 {
    let ones = select(vec4<u32>(0u), vec4<u32>(1u), these);
    return ones.x + ones.y + ones.z + ones.w;
}

// The bits of magnitudes are in the order of the numbers; those of NaN are the highest.
fn count_gradient(gradient: vec4<f32>, these: vec4<bool>, infinite_from: u32, zero_up_to: u32) {
    let magnitude = bitcast<vec4<u32>>(gradient) & vec4<u32>(0x7fffffffu);
    not_finite += count(these & (magnitude >= vec4<u32>(infinite_from)));
    flushed += count(these & (magnitude != vec4<u32>(0u)) & (magnitude <= vec4<u32>(zero_up_to)));
}

fn observe(row: Row, out: Outputs, these: vec4<bool>) {
    [gradient] count_gradient(out.{{name}}, these, {{infinite_from}}u, {{zero_up_to}}u);
}

fn flush(invocation: u32) {
    if (not_finite > 0u) {
        atomicAdd(&scaler.not_finite, not_finite);
    }
    if (flushed > 0u) {
        atomicAdd(&scaler.flushed, flushed);
    }
}
