// Some drivers turn comparisons into a minimum or a sign, which have no NaN: its bits are looked at.
fn unless_nan(value: vec4<f32>, v: vec4<f32>) -> vec4<f32> {
    return select(value, v, (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
}

// NaN stays NaN.
fn clamped(v: vec4<f32>, range: f32) -> vec4<f32> {
    return unless_nan(clamp(v, vec4<f32>(-range), vec4<f32>(range)), v);
}
