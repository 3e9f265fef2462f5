// A tensor that is read element by element, and written two elements at once. A template like lane.wgsl.
// Expects: the storage.
// Defines: the tensor's binding, load_* and store_*.
//# buffer
@group(0) @binding({{binding}}) var<storage, {{access}}> {{name}}: array<u32>;
//# load
fn load_{{name}}(i: u32) -> f32 {
    return element_{{storage}}({{buffer}}[word_of_{{storage}}(i)], i);
}
//# store
fn put_{{name}}(i: u32, v: f32) {
    let word = word_of_{{storage}}(i);
    {{name}}[word] = with_element_{{storage}}({{name}}[word], i, v);
}
fn store_{{name}}(a: u32, a_value: f32, a_inside: bool, b: u32, b_value: f32, b_inside: bool) {
    // Neighbours share a word unless a sample ends between them, or this output begins in another half of a word than the leading
    // output.
    if (ELEMENTS_PER_WORD_{{storage}} > 1u && a_inside && b_inside && word_of_{{storage}}(a) == word_of_{{storage}}(b)) {
        let word = word_of_{{storage}}(a);
        {{name}}[word] = with_pair_{{storage}}({{name}}[word], a, vec2<f32>(a_value, b_value));
        return;
    }
    if (a_inside) {
        put_{{name}}(a, a_value);
    }
    if (b_inside) {
        put_{{name}}(b, b_value);
    }
}
