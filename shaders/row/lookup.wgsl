// The row of each sample's timestep, which lies in a buffer that the host cannot see. If the timestep is out of range or its row
// is undefined, the sample becomes NaN; it never gets the row of another timestep. An undefined row holds the bits of NaN.
// Expects: params, Found, WIDTH, table, timesteps, timestep_of.
// Defines: find_row, coefficients.
fn find_row(sample: u32) -> Found {
    let t = timesteps[params.window.timestep_offset + timestep_of(sample)];
    let index = min(t, params.window.rows - 1u);
    let undefined = (bitcast<u32>(table[index * WIDTH].x) & 0x7fffffffu) > 0x7f800000u;
    return Found(index, t < params.window.rows && !undefined);
}

// NaN coefficients turn all results into NaN, at no cost for each element. Their bits come from the host, so that no compiler can
// make assumptions about them.
fn coefficients(found: Found, part: u32) -> vec4<f32> {
    return select(vec4<f32>(bitcast<f32>(params.window.nan_bits)), table[found.index * WIDTH + part], found.defined);
}
