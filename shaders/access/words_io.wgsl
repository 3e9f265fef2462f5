// Reading the inputs of an element, and writing the outputs of two that may share words. A template like tensors.wgsl.
// Expects: params, Row, slice_weight where predictions are sliced, Place, Inputs, Outputs, the load_* and store_* of each tensor.
// Defines: read_element, keep_element, write_pair.
fn read_element(row: Row, needed: u32, sample: u32, element: u32, z: f32) -> Inputs {
    var v: Inputs;
    [drawn] v.{{name}} = vec4<f32>(z);
    [required] v.{{name}} = vec4<f32>(load_{{name}}(params.{{name}}.x + sample * params.{{name}}.y + element));
    [sliced] for (var slice = 0u; slice < SLICES && ({{bit}}u == 0u || (needed & {{bit}}u) != 0u); slice += 1u) { let weight = slice_weight(row, slice); if (weight != 0.0) { v.{{name}} += weight * vec4<f32>(load_{{name}}(params.{{name}}.x + sample * params.{{name}}.y + element + slice * params.window.pitch)); } }
    [optional] if ((needed & {{bit}}u) != 0u) { v.{{name}} = vec4<f32>(load_{{name}}(params.{{name}}.x + sample * params.{{name}}.y + element)); }
    [past] if ((needed & {{bit}}u) != 0u) { v.{{name}} = vec4<f32>(load_history(params.history.x + sample * params.history.y + element + place_of_past(row, {{back}}u) * params.window.pitch)); }
    return v;
}
// Writes what need not wait for the other element of a word. Remembered clean samples are f32 in this walk, so no two of them
// share a word.
fn keep_element(row: Row, sample: u32, element: u32, out: Outputs) {
    [remembered] let i = params.history.x + sample * params.history.y + element;
    [remembered] history[i + place_of_past(row, 0u) * params.window.pitch] = bitcast<u32>(out.kept.x);
    [observed] observe(row, out, vec4<bool>(true, false, false, false));
}
fn write_pair(a: Place, first: Outputs, b: Place, second: Outputs) {
    [stored] let {{name}}_a = params.{{name}}.x + a.sample * params.{{name}}.y + a.element;
    [stored] let {{name}}_b = params.{{name}}.x + b.sample * params.{{name}}.y + b.element;
    [stored] store_{{name}}({{name}}_a, first.{{name}}.x, a.inside, {{name}}_b, second.{{name}}.x, b.inside);
}
