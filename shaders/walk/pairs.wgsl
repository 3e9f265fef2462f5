// Walk of reductions over samples of two elements that follow each other without a gap: a lane is two samples. A sum of two
// numbers is the same in every walk.
// Expects: params, Row, row_at, needs, op, report_undefined, bases_of, read_lane, write_lane, masked_inputs, select_lanes,
// draw_lane, Sum, accumulate, chunk_result, scratch, flush.
// Defines: PairsParams, partial, the entry point `pairs`.
struct PairsParams {
    groups_x: u32,  // workgroups along x; further ones go along y
    first_sum: u32, // word of the first sum in `scratch`
    factor: f32,    // of the sums
    unused: vec4<u32>,
}

var<private> partial: Sum;

@compute @workgroup_size(WORKGROUP, 1, 1)
fn pairs(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = (group.y * params.walk.groups_x + group.x) * WORKGROUP + local.x;
    // The number of samples is even, since a window of pairs is whole lanes.
    let sample = lane * 2u;
    if (sample >= params.window.batch) {
        return;
    }
    let row = row_of(sample);
    let next = row_of(sample + 1u);
    let needed = needs(row) | needs(next);
    var z = vec4<f32>(0.0);
    if (DRAWN && (needed & NEEDS_NOISE) == NEEDS_NOISE) {
        z = draw_lane(sample, 0u, 2u, stream_of(row), stream_of(next));
    }
    let v = read_lane(row, needed, bases_of(0u), lane, z);
    let of_next = vec4<bool>(false, false, true, true);
    let first = reduce(sample, row, v, !of_next);
    let second = reduce(sample + 1u, next, v, of_next);
    write_lane(row, bases_of(0u), lane, select_lanes(first, second, of_next));
    flush(local.x);
}

fn row_of(sample: u32) -> Row {
    let row = row_at(sample);
    if (!row.defined) {
        report_undefined(sample);
    }
    return row;
}

fn reduce(sample: u32, row: Row, both: Inputs, own: vec4<bool>) -> Outputs {
    let v = masked_inputs(needs(row), both);
    partial = 0.0;
    accumulate(row, v, own);
    scratch[params.walk.first_sum + sample] = chunk_result(row, partial);
    return op(row, v);
}
