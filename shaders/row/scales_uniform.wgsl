// The factor and the threshold of each sample of this window, through a uniform binding with two samples in each vec4: the
// four-buffer form.
// Expects: params, scales.
// Defines: scales_of.
fn scales_of(sample: u32) -> vec2<f32> {
    // The binding begins at a multiple of ALIGNMENT bytes, and a sample takes 8.
    let index = params.window.first_sample % (ALIGNMENT / 8u) + sample;
    let pair = scales[index / 2u];
    return select(pair.xy, pair.zw, (index & 1u) == 1u);
}
