// As lane.wgsl, for devices with 64-bit integers: a lane of four words moves as two pairs of words.
// Expects: f32 storage.
// Defines: the tensor's binding, load_* and store_*.
//# buffer
@group(0) @binding({{binding}}) var<storage, {{access}}> {{name}}: array<vec2<u64>>;
//# load
fn load_{{name}}(i: u32) -> vec4<f32> {
    let w = {{buffer}}[i];
    return bitcast<vec4<f32>>(vec4<u32>(u32(w.x), u32(w.x >> 32u), u32(w.y), u32(w.y >> 32u)));
}
//# store
fn store_{{name}}(i: u32, v: vec4<f32>) {
    let low = u64(bitcast<u32>(v.x)) | (u64(bitcast<u32>(v.y)) << 32u);
    let high = u64(bitcast<u32>(v.z)) | (u64(bitcast<u32>(v.w)) << 32u);
    {{name}}[i] = vec2<u64>(low, high);
}
