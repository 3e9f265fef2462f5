// The factor and the threshold of each sample of this window, two samples a vec4. A binding begins at a multiple of 32 samples.
fn scales_of(sample: u32) -> vec2<f32> {
    let index = params.window.first_sample % 32u + sample;
    let pair = scales[index / 2u];
    return select(pair.xy, pair.zw, (index & 1u) == 1u);
}
