// The row of a timestep for each sample, from a buffer that the host cannot see. Out of range, or where the row is undefined,
// the sample becomes NaN; it never gets another timestep's numbers. An undefined row holds NaN bits.
// Expects: params, Found, WIDTH, table, timesteps, timestep_of.
// Defines: find_row, coefficients.
fn find_row(sample: u32) -> Found {
    let t = timesteps[params.window.timestep_offset + timestep_of(sample)];
    let index = min(t, params.window.rows - 1u);
    let undefined = (bitcast<u32>(table[index * WIDTH].x) & 0x7fffffffu) > 0x7f800000u;
    return Found(index, t < params.window.rows && !undefined);
}

// NaN coefficients make NaN of whatever they meet, at no cost for each element. Their bits come from the host, so no
// compiler can reason about them.
fn coefficients(found: Found, part: u32) -> vec4<f32> {
    return select(vec4<f32>(bitcast<f32>(params.window.nan_bits)), table[found.index * WIDTH + part], found.defined);
}
