// A step's row of five vectors, without the further parts of `step_extended`.
// Expects: Row, Inputs.
// Defines: needs_extended, extended_terms, kept.
fn needs_extended(row: Row) -> u32 {
    return 0u;
}

fn extended_terms(row: Row, v: Inputs) -> vec4<f32> {
    return vec4<f32>(0.0);
}

fn kept(row: Row, v: Inputs, x0: vec4<f32>) -> vec4<f32> {
    return x0;
}
