// As lane.wgsl, for devices with 64-bit integers: a lane of two words moves at once.
// Expects: a storage with two elements to a word.
// Defines: the tensor's binding, load_* and store_*.
//# buffer
@group(0) @binding({{binding}}) var<storage, {{access}}> {{name}}: array<u64>;
//# load
fn load_{{name}}(i: u32) -> vec4<f32> {
    let w = {{buffer}}[i];
    return unpack_lane_{{storage}}(vec2<u32>(u32(w), u32(w >> 32u)));
}
//# store
fn store_{{name}}(i: u32, v: vec4<f32>) {
    let lane = pack_lane_{{storage}}(v);
    {{name}}[i] = u64(lane.x) | (u64(lane.y) << 32u);
}
