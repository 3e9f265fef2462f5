// One row for the whole batch: the host has checked it and chosen it by a dynamic offset.
// Expects: params, Found, WIDTH.
// Defines: table, find_row, coefficients.
@group(0) @binding(2) var<uniform> table: array<vec4<f32>, WIDTH>;

fn find_row(sample: u32) -> Found {
    // The offset is 0 here, and comes from the host all the same: what a compiler can see to be the same for all it may
    // compile into the kernel, and lavapipe does that anew in every dispatch.
    return Found(params.window.timestep_offset, true);
}

fn coefficients(found: Found, part: u32) -> vec4<f32> {
    return table[found.index + part];
}
