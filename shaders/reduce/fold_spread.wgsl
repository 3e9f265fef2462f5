// The factor of a sample's guided prediction: rescale * std(conditional) / std(mixture) + 1 - rescale. It is 1 where one of the
// two deviations is not finite, or that of the mixture is 0.
// Expects: fold, Sum (moments).
// Defines: scales, write_result.
@group(0) @binding(2) var<storage, read_write> scales: array<vec2<f32>>;

// Recognizes NaN and infinity by their bits, since compilers may remove comparisons with them.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

fn write_result(sample: u32, sum: Sum) {
    let rescale = fold.rescale;
    let deviations = sqrt(sum.squares); // both over the same count - 1
    let ratio = deviations.x / deviations.y;
    let defined = is_finite(deviations.x) && is_finite(deviations.y) && bitcast<u32>(deviations.y) > 0u && is_finite(ratio);
    scales[fold.first_sample + sample].x = select(1.0, rescale * ratio + (1.0 - rescale), defined);
}
