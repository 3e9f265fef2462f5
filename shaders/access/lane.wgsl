// A tensor that is read and written in lanes of four elements. A template like tensors.wgsl: its holes are the tensor's name,
// its storage, and the buffer that it is read from, which is that of an output where the tensor is updated in place.
// Expects: the storage.
// Defines: the tensor's binding, load_* and store_*.
//# buffer
@group(0) @binding({{binding}}) var<storage, {{access}}> {{name}}: array<Lane_{{storage}}>;
//# load
fn load_{{name}}(i: u32) -> vec4<f32> {
    return unpack_lane_{{storage}}({{buffer}}[i]);
}
//# store
fn store_{{name}}(i: u32, v: vec4<f32>) {
    {{name}}[i] = pack_lane_{{storage}}(v);
}
