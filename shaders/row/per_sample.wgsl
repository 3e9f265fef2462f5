// The rows of the samples of this window, one after the other: the four-buffer form, where an earlier dispatch of `gather_rows`
// has laid them out, so that neither a table nor timesteps take a storage binding. The row is NaN where a sample has none.
// Expects: params, Found, WIDTH, table.
// Defines: find_row, coefficients.
fn find_row(sample: u32) -> Found {
    let index = (params.window.first_sample + sample) * params.window.timestep_stride * WIDTH;
    // A uniform binding begins at a multiple of ALIGNMENT bytes, so it may begin with rows of the window before.
    let before =
        params.window.first_sample * params.window.timestep_stride * WIDTH / (ALIGNMENT / 16u) * (ALIGNMENT / 16u);
    let undefined = (bitcast<u32>(table[index - before].x) & 0x7fffffffu) > 0x7f800000u;
    return Found(index - before, !undefined);
}

fn coefficients(found: Found, part: u32) -> vec4<f32> {
    return table[found.index + part];
}
