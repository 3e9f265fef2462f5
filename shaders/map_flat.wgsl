// Samples of two elements or more that follow each other without a gap, in whatever size: a lane is four consecutive
// elements of the whole batch. They belong to two samples at most, since a lane of samples of two begins with one.
@compute @workgroup_size(256, 1, 1)
fn map_flat(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = (group.y * params.groups + group.x) * 256u + local.x;
    if (lane >= params.slots / 4u) {
        return;
    }
    let sample = lane * 4u / params.elements;
    let element = lane * 4u - sample * params.elements;
    let left = params.elements - element; // of the first sample, from here on
    let row = row_at(sample);
    var next = row;
    if (left < 4u) {
        next = row_at(sample + 1u);
    }
    if (!row.defined && element == 0u) {
        report_undefined(sample);
    }
    if (!next.defined && left < 4u) {
        report_undefined(sample + 1u);
    }
    let a = load_in0(params.in0.x + lane);
    var b: vec4<f32>;
    if (DRAWN) {
        b = drawn_lane(sample, element, left);
    } else {
        b = load_in1(params.in1.x + lane);
    }
    let is_next = vec4<u32>(0u, 1u, 2u, 3u) >= vec4<u32>(left);
    let m = array<vec4<f32>, 4>(
        select(vec4<f32>(row.m.x), vec4<f32>(next.m.x), is_next),
        select(vec4<f32>(row.m.y), vec4<f32>(next.m.y), is_next),
        select(vec4<f32>(row.m.z), vec4<f32>(next.m.z), is_next),
        select(vec4<f32>(row.m.w), vec4<f32>(next.m.w), is_next),
    );
    store_out0(params.out0.x + lane, m[0] * a + m[1] * b);
    store_out1(params.out1.x + lane, m[2] * a + m[3] * b);
    store_noise(params.noise.x + lane, b);
}

// The normals of a lane: from the block that its first element is in, the block after it, and the next sample's first.
fn drawn_lane(sample: u32, element: u32, left: u32) -> vec4<f32> {
    let shift = element & 3u;
    let here = drawn_block(sample, element / 4u);
    var after = here;
    if (shift + min(left, 4u) > 4u) {
        after = drawn_block(sample, element / 4u + 1u);
    }
    var first = here;
    if (left < 4u) {
        first = drawn_block(sample + 1u, 0u);
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
