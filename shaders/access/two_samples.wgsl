// For lanes that may belong to two samples: what each of them may see of the inputs, and what is written of both. A template,
// as tensors.wgsl.
// Expects: Inputs, Outputs.
// Defines: masked_inputs, select_lanes.
fn masked_inputs(needed: u32, all: Inputs) -> Inputs {
    var v = all;
    [optional] if ((needed & {{bit}}u) == 0u) { v.{{name}} = vec4<f32>(0.0); }
    [past] if ((needed & {{bit}}u) == 0u) { v.{{name}} = vec4<f32>(0.0); }
    return v;
}
fn select_lanes(a: Outputs, b: Outputs, take: vec4<bool>) -> Outputs {
    return Outputs(
        [output] select(a.{{name}}, b.{{name}}, take),
    );
}
