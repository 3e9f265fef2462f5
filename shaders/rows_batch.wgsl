// One row for the whole batch: the host has checked it and chosen it by an offset. Its index, which is 0 here, comes from the
// host too: what a compiler can see to be the same for all it may compile into the kernel, and lavapipe does that anew in
// every dispatch.
@group(0) @binding(2) var<uniform> table: array<vec4<f32>, WIDTH>;

fn find_row(sample: u32) -> Found {
    return Found(params.window.timesteps, true);
}

fn coefficients(found: Found, part: u32) -> vec4<f32> {
    return table[found.index + part];
}
