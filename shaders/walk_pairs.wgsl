// Reductions of samples of two elements that follow each other without a gap: a lane is two of them. A sum of two numbers
// is the same in whatever walk.
var<private> mine: Sum;

@compute @workgroup_size(256, 1, 1)
fn pairs(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = (group.y * params.window.groups + group.x) * 256u + local.x;
    let sample = lane * 2u;
    if (sample >= params.window.batch) {
        return;
    }
    let row = row_of(sample);
    let next = row_of(sample + 1u);
    let needed = needs(row) | needs(next);
    var z = vec4<f32>(0.0);
    if (DRAWN && (needed & NEEDS_NOISE) == NEEDS_NOISE) {
        z = drawn_lane(sample, 0u, 2u, step_of(row), step_of(next));
    }
    let v = read_lane(row, needed, bases_of(0u), lane, z);
    let of_next = vec4<bool>(false, false, true, true);
    let first = reduce(sample, row, v, !of_next);
    let second = reduce(sample + 1u, next, v, of_next);
    write_lane(row, bases_of(0u), lane, merged(first, second, of_next));
}

fn row_of(sample: u32) -> Row {
    let row = row_at(sample);
    if (!row.defined) {
        report_undefined(sample);
    }
    return row;
}

fn reduce(sample: u32, row: Row, both: Inputs, own: vec4<bool>) -> Outputs {
    let v = seen(needs(row), both);
    mine = 0.0;
    gather(row, v, own);
    scratch[params.window.sums + sample] = chunk_result(row, mine);
    return op(row, v);
}
