// Walk of reductions: a workgroup takes a chunk of one sample, or several short samples, each with a team of its invocations. The
// order of additions depends on the size of a sample alone, so it is the same on every device and in every batch.
// Expects: params, Row, row_at, needs, report_undefined, bases_of, read_lane, write_chunk_lane, draw_block, walk_rows; of the
// reduction: clear_shared, load_sample_state, accumulate, write_partial, flush; from the host WHOLE_LANES: whether every lane is
// inside its sample.
// Defines: ChunksParams, one_sample, rows_each, whole_tiles, team, take_lane, give_lane, walk_lane, elements_of, the entry point
// `chunks`.

// True if a workgroup takes a chunk of one sample: its row, and what follows from it, is then the same for all invocations.
override one_sample: bool = true;
// Rows of the tree of sums that an invocation takes: on a CPU, where barriers are expensive, all BRANCHES of them, else 1.
override rows_each: u32 = 1u;
// True if the chunks end where the samples do.
override whole_tiles: bool = false;

struct ChunksParams {
    groups_y: u32,    // workgroups along y; further ones go along z
    chunks: u32,      // of a whole sample, all windows together
    team: u32,        // invocations that take a sample together: a power of two
    digit_shift: u32, // histogram: lowest bit of the digit that is counted
    first_sum: u32,   // word of the first sum in `scratch`
    factor: f32,      // of the sums
    unused: vec2<u32>,
}

// The invocations of a workgroup that take a sample together.
fn team() -> u32 {
    return select(params.walk.team, WORKGROUP, one_sample);
}

@compute @workgroup_size(WORKGROUP / rows_each, 1, 1)
fn chunks(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    var sample = group.z * params.walk.groups_y + group.y;
    var member = local.x;
    if (!one_sample) {
        sample = sample * (WORKGROUP / team()) + local.x / team();
        member = local.x % team();
    }
    clear_shared(local.x);
    if (sample < params.window.batch) {
        walk_chunk(sample, group.x * (CHUNK / 4u) + member);
    }
    // Teams without a sample also come here, since what follows has barriers.
    write_partial(sample, params.window.first_element / CHUNK + group.x, local.x);
    flush(local.x);
}

fn walk_chunk(sample: u32, first: u32) {
    let row = row_at(sample);
    if (!row.defined && first == 0u) {
        report_undefined(sample);
    }
    let bases = bases_of(sample);
    load_sample_state(sample, row);
    walk_rows(row, needs(row), bases, sample, first);
}

fn walk_lane(row: Row, needed: u32, bases: Bases, sample: u32, lane: u32) {
    if (!whole_tiles & (lane * 4u >= params.window.elements)) {
        return;
    }
    give_lane(row, bases, lane, take_lane(row, needed, bases, sample, lane));
}

// The op's inputs for a lane.
fn take_lane(row: Row, needed: u32, bases: Bases, sample: u32, lane: u32) -> Inputs {
    var z = vec4<f32>(0.0);
    if (DRAWN && (needed & NEEDS_NOISE) == NEEDS_NOISE) {
        z = draw_block(sample, params.window.first_element / 4u + lane, stream_of(row));
    }
    return read_lane(row, needed, bases, lane, z);
}

fn give_lane(row: Row, bases: Bases, lane: u32, v: Inputs) {
    var inside = vec4<bool>(true);
    if (!WHOLE_LANES) {
        inside = vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.window.elements - lane * 4u);
    }
    // All inputs have been read by now: a gradient may replace the prediction.
    accumulate(row, v, inside);
    write_chunk_lane(row, bases, lane, v, inside);
}

// The elements of a lane; beyond the end of the sample, its last one again.
fn elements_of(lane: u32) -> vec4<u32> {
    return min(vec4<u32>(lane * 4u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.window.elements - 1u));
}
