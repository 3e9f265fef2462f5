// The inputs and outputs of an op. A template: see `src/gpu/shader/template.rs`. A line that begins with [a class] is written
// once for each tensor of that class.
// Expects: WindowParams, and the parameters of the walk.
// Defines: Params, params, Inputs, Outputs where the op writes anything.
//# params
struct Params {
    window: WindowParams,
    walk: {{walk_params}}, // 32 bytes in every layout, so that the offsets below do not depend on the walk
    [slot] {{name}}: vec2<u32>, // offset and stride: in lanes of 4, or in elements
}
@group(0) @binding(0) var<uniform> params: Params;
struct Inputs {
    [input] {{name}}: vec4<f32>,
    [past_field] {{name}}: vec4<f32>, // a remembered clean sample, latest first
}
//# outputs
struct Outputs {
    [output] {{name}}: vec4<f32>,
}
