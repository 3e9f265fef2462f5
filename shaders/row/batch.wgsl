// One row for the whole batch, which the host has checked and selected by a dynamic offset.
// Expects: params, Found, WIDTH.
// Defines: table, find_row, coefficients.
@group(0) @binding(2) var<uniform> table: array<vec4<f32>, WIDTH>;

fn find_row(sample: u32) -> Found {
    // The offset is 0 here, but comes from the host: a compiler may compile into the kernel what it can see to be constant, and
    // lavapipe does so again in every dispatch.
    return Found(params.window.timestep_offset, true);
}

fn coefficients(found: Found, part: u32) -> vec4<f32> {
    return table[found.index + part];
}
