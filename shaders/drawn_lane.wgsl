// The normals of a flat lane: from the block that its first element is in, the block after it, and the next sample's
// first.
fn drawn_lane(sample: u32, element: u32, left: u32, step: u32, next_step: u32) -> vec4<f32> {
    let shift = element & 3u;
    let here = drawn_block(sample, element / 4u, step);
    var after = here;
    if (shift + min(left, 4u) > 4u) {
        after = drawn_block(sample, element / 4u + 1u, step);
    }
    var first = here;
    if (left < 4u) {
        first = drawn_block(sample + 1u, 0u, next_step);
    }
    return vec4<f32>(
        here[shift],
        drawn_element(1u, shift, left, here, after, first),
        drawn_element(2u, shift, left, here, after, first),
        drawn_element(3u, shift, left, here, after, first),
    );
}

fn drawn_element(i: u32, shift: u32, left: u32, here: vec4<f32>, after: vec4<f32>, first: vec4<f32>) -> f32 {
    let same = select(here[(shift + i) & 3u], after[(shift + i) & 3u], shift + i >= 4u);
    return select(same, first[(i - left) & 3u], i >= left);
}
