// A tensor that is read and written four elements at once, wherever they lie. A template like lane.wgsl.
// Expects: the storage; for a tensor that is written, one with an element a word.
// Defines: the tensor's binding, load_* and store_*.
//# buffer
@group(0) @binding({{binding}}) var<storage, {{access}}> {{name}}: array<u32>;
//# load
fn load_one_{{name}}(i: u32) -> f32 {
    return element_{{storage}}({{buffer}}[word_of_{{storage}}(i)], i);
}
fn load_{{name}}(base: u32, i: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(
        load_one_{{name}}(base + i.x),
        load_one_{{name}}(base + i.y),
        load_one_{{name}}(base + i.z),
        load_one_{{name}}(base + i.w),
    );
}
//# store
// Only elements of a whole word are written here. Those that share a word, which two samples might write, are left to the walk
// over words.
fn store_{{name}}(i: u32, v: vec4<f32>, inside: vec4<bool>) {
    if (inside.x) {
        {{name}}[i] = bitcast<u32>(v.x);
    }
    if (inside.y) {
        {{name}}[i + 1u] = bitcast<u32>(v.y);
    }
    if (inside.z) {
        {{name}}[i + 2u] = bitcast<u32>(v.z);
    }
    if (inside.w) {
        {{name}}[i + 3u] = bitcast<u32>(v.w);
    }
}
