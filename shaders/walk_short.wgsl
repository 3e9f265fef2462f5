// Reductions of short samples that follow each other without a gap: an invocation takes as few of them as are whole lanes,
// one, two or four, and adds each one up in the order of its elements, as an invocation of `walk_chunks` does.
override samples_each: u32 = 2u;
override lanes_each: u32 = 1u;

// What an invocation has come to.
struct Place {
    sample: u32,
    element: u32,
    row: Row,
}

var<private> mine: Sum;

@compute @workgroup_size(256, 1, 1)
fn short_samples(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let invocation = (group.y * params.window.groups + group.x) * 256u + local.x;
    let sample = invocation * samples_each;
    if (sample >= params.window.batch) {
        return;
    }
    var place: Place;
    place.sample = sample;
    if (lanes_each == 1u) { // a loop costs as much as the lane
        walk_lane(invocation, &place);
    } else {
        for (var i = 0u; i < lanes_each; i++) {
            walk_lane(invocation * lanes_each + i, &place);
        }
    }
}

fn row_of(sample: u32) -> Row {
    let row = row_at(sample);
    if (!row.defined) {
        report_undefined(sample);
    }
    return row;
}

fn walk_lane(lane: u32, place: ptr<function, Place>) {
    let sample = (*place).sample;
    if ((*place).element == 0u) {
        (*place).row = row_of(sample);
    }
    let row = (*place).row;
    let left = params.window.elements - (*place).element; // of the first sample, from here on
    var next = row;
    if (left < 4u) {
        next = row_of(sample + 1u);
    }
    let needed = needs(row) | needs(next);
    var z = vec4<f32>(0.0);
    if (DRAWN && (needed & NEEDS_NOISE) == NEEDS_NOISE) {
        z = drawn_lane(sample, (*place).element, left, step_of(row), step_of(next));
    }
    let v = read_lane(row, needed, bases_of(0u), lane, z);
    let of_next = vec4<u32>(0u, 1u, 2u, 3u) >= vec4<u32>(left);
    let own = seen(needs(row), v);
    gather(row, own, !of_next);
    var out = op(row, own);
    (*place).element += 4u;
    if (left <= 4u) {
        conclude(sample, row);
        *place = Place(sample + 1u, 4u - left, next);
    }
    if (left < 4u) {
        let others = seen(needs(next), v);
        gather(next, others, of_next);
        out = merged(out, op(next, others), of_next);
        if ((*place).element == params.window.elements) {
            conclude(sample + 1u, next);
            *place = Place(sample + 2u, 0u, next);
        }
    }
    write_lane(row, bases_of(0u), lane, out);
}

fn conclude(sample: u32, row: Row) {
    scratch[params.window.sums + sample] = chunk_result(row, mine);
    mine = 0.0;
}
