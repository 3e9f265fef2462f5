// For lanes that may belong to two samples: the inputs that each of the two may see, and the outputs joined from both. A template
// like tensors.wgsl.
// Expects: Inputs, Outputs.
// Defines: with_noise, masked_inputs, select_lanes.
fn with_noise(all: Inputs, z: vec4<f32>) -> Inputs {
    var v = all;
    [drawn] v.{{name}} = z;
    return v;
}
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
