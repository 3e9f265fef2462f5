// Samples of two elements or more that follow each other without a gap, in whatever size: a lane is four consecutive
// elements of the whole batch. They belong to two samples at most, since a lane of samples of two begins with one.
@compute @workgroup_size(256, 1, 1)
fn flat_lanes(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = (group.y * params.window.groups + group.x) * 256u + local.x;
    if (lane < params.window.slots / 4u) {
        walk_lane(lane);
    }
    finish(local.x);
}

fn walk_lane(lane: u32) {
    let sample = lane * 4u / params.window.elements;
    let element = lane * 4u - sample * params.window.elements;
    let left = params.window.elements - element; // of the first sample, from here on
    let row = row_at(sample);
    if (!row.defined && element == 0u) {
        report_undefined(sample);
    }
    var next = row;
    if (left < 4u) {
        next = row_at(sample + 1u);
        if (!next.defined) {
            report_undefined(sample + 1u);
        }
    }
    let needed = needs(row) | needs(next);
    var z = vec4<f32>(0.0);
    if (DRAWN && (needed & NEEDS_NOISE) == NEEDS_NOISE) {
        z = drawn_lane(sample, element, left, step_of(row), step_of(next));
    }
    let v = read_lane(row, needed, bases_of(0u), lane, z);
    var out = op(row, seen(needs(row), v));
    if (left < 4u) {
        out = merged(out, op(next, seen(needs(next), v)), vec4<u32>(0u, 1u, 2u, 3u) >= vec4<u32>(left));
    }
    write_lane(row, bases_of(0u), lane, out);
}
