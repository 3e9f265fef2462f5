// The row of each sample of this window, laid out by `gather`; NaN where a sample has none. A binding begins at a multiple of
// 16 vec4s.
fn find_row(sample: u32) -> Found {
    let index = (params.window.first_sample + sample) * params.window.timestep_stride * WIDTH;
    let before = params.window.first_sample * params.window.timestep_stride * WIDTH / 16u * 16u;
    let undefined = (bitcast<u32>(table[index - before].x) & 0x7fffffffu) > 0x7f800000u;
    return Found(index - before, !undefined);
}

fn coefficients(found: Found, part: u32) -> vec4<f32> {
    return table[found.index + part];
}
