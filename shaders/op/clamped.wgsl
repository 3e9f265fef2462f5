// Clamping that keeps NaN.
// Expects: nothing.
// Defines: unless_nan, clamped.

// v where v is NaN, and the value elsewhere. NaN is recognized by its bits, since some drivers turn comparisons into a minimum
// or a sign, which lose it.
fn unless_nan(value: vec4<f32>, v: vec4<f32>) -> vec4<f32> {
    return select(value, v, (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
}

// v within -limit..limit; NaN stays NaN.
fn clamped(v: vec4<f32>, limit: f32) -> vec4<f32> {
    return unless_nan(clamp(v, vec4<f32>(-limit), vec4<f32>(limit)), v);
}
