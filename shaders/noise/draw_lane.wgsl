// The normals of a lane that may belong to two samples: from the block that its first element is in, the block after it, and
// the next sample's first.
// Expects: draw_block.
// Defines: draw_lane.
fn draw_lane(sample: u32, element: u32, left: u32, stream: u32, next_stream: u32) -> vec4<f32> {
    let shift = element & 3u;
    let here = draw_block(sample, element / 4u, stream);
    // A lane rarely begins where a block does. It then ends in the next block, unless its sample ends before.
    var after = here;
    if (shift + min(left, 4u) > 4u) {
        after = draw_block(sample, element / 4u + 1u, stream);
    }
    var first = here;
    if (left < 4u) {
        first = draw_block(sample + 1u, 0u, next_stream);
    }
    return vec4<f32>(
        here[shift],
        draw_element(1u, shift, left, here, after, first),
        draw_element(2u, shift, left, here, after, first),
        draw_element(3u, shift, left, here, after, first),
    );
}

fn draw_element(i: u32, shift: u32, left: u32, here: vec4<f32>, after: vec4<f32>, first: vec4<f32>) -> f32 {
    let same = select(here[(shift + i) & 3u], after[(shift + i) & 3u], shift + i >= 4u);
    return select(same, first[(i - left) & 3u], i >= left);
}
