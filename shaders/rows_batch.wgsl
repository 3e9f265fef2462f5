// One row for the whole batch: the host has checked it and chosen it by an offset.
@group(0) @binding(2) var<uniform> table: array<vec4<f32>, WIDTH>;

fn find_row(sample: u32) -> Found {
    return Found(0u, true);
}

fn coefficients(found: Found, part: u32) -> vec4<f32> {
    return table[part];
}
