// Walk over samples of two elements or more, of any size, that follow each other without a gap: a lane is four consecutive
// elements of the whole batch.
// Expects: params, Row, row_at, needs, op, report_undefined, bases_of, read_lane, write_lane, masked_inputs, select_lanes,
// draw_lane, with_noise, SECOND_NOISE, needs_second, second_stream_of, flush; from the host READS_ALL: whether every input is
// read, whatever the row.
// Defines: FlatParams, of_two, the entry point `flat_lanes`.

// True if samples have two elements: there is no division, and the unused normals of a block of four are not computed.
override of_two: bool = false;

struct FlatParams {
    groups_x: u32, // workgroups along x; further ones go along y
    total: u32,    // elements of the window, all samples together
    unused: vec4<u32>,
}

@compute @workgroup_size(WORKGROUP, 1, 1)
fn flat_lanes(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = (group.y * params.walk.groups_x + group.x) * WORKGROUP + local.x;
    if (lane < params.walk.total / 4u) {
        walk_lane(lane);
    }
    flush(local.x);
}

fn walk_lane(lane: u32) {
    var sample = lane * 2u;
    var element = 0u;
    var left = 2u; // elements of the first sample, from here on
    if (!of_two) {
        sample = lane * 4u / params.window.elements;
        element = lane * 4u - sample * params.window.elements;
        left = params.window.elements - element;
    }
    var v: Inputs;
    if (READS_ALL) {
        // Read ahead of the rows, which take two dependent loads.
        v = read_lane(Row(), NEEDS_NOISE, bases_of(0u), lane, vec4<f32>(0.0));
    }
    let row = row_at(sample);
    if (!row.defined && element == 0u) {
        report_undefined(sample);
    }
    // A lane belongs to at most two samples: if they have two elements, the first begins where the lane does.
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
        if (SECOND_NOISE) {
            // The generator is called in a loop: a compiler that copies functions into their callers (FXC) takes seconds over
            // two calls. Rows without a second noise go through the loop once.
            for (var draw = select(1u, 0u, needs_second(row) || needs_second(next)); draw < 2u; draw += 1u) {
                let streams = select(
                    vec2<u32>(stream_of(row), stream_of(next)),
                    vec2<u32>(second_stream_of(row), second_stream_of(next)),
                    draw == 0u,
                );
                second_noise = z;
                z = draw_lane(sample, element, left, streams.x, streams.y);
            }
        } else {
            z = draw_lane(sample, element, left, stream_of(row), stream_of(next));
        }
    }
    // Inputs that one of the two samples needs are read for both. The op sees only those of its own sample: others may be NaN.
    if (READS_ALL) {
        v = with_noise(v, z);
    } else {
        v = read_lane(row, needed, bases_of(0u), lane, z);
    }
    var out = op(row, masked_inputs(needs(row), v));
    if (left < 4u) {
        out = select_lanes(out, op(next, masked_inputs(needs(next), v)), vec4<u32>(0u, 1u, 2u, 3u) >= vec4<u32>(left));
    }
    write_lane(row, bases_of(0u), lane, out);
}
