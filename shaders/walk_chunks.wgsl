// Reductions: a workgroup takes a chunk of one sample, or several samples that are short. What is added to what depends on the
// size of a sample alone, so it is the same on every device and in every batch. The op gathers what an invocation meets;
// `conclude` makes one of it and leaves it in `scratch`.
const CHUNK = 4096u;

// How many invocations of a workgroup take a sample together.
fn team() -> u32 {
    return params.window.team;
}

@compute @workgroup_size(256, 1, 1)
fn chunks(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let sample = (group.z * params.window.groups + group.y) * (256u / team()) + local.x / team();
    begin(local.x);
    if (sample < params.window.batch) {
        walk_chunk(sample, group.x * (CHUNK / 4u) + local.x % team());
    }
    conclude(sample, params.window.first_element / CHUNK + group.x, local.x);
}

fn walk_chunk(sample: u32, first: u32) {
    let row = row_at(sample);
    if (!row.defined && first == 0u) {
        report_undefined(sample);
    }
    let bases = bases_of(sample);
    prepare(sample);
    walk_four(row, bases, sample, first, team());
}

fn walk_lane(row: Row, bases: Bases, sample: u32, lane: u32) {
    let first = lane * 4u;
    if (first >= params.window.elements) {
        return;
    }
    let needed = needs(row);
    var z = vec4<f32>(0.0);
    if (DRAWN && (needed & NEEDS_NOISE) == NEEDS_NOISE) {
        z = drawn_block(sample, params.window.first_element / 4u + lane, step_of(row));
    }
    let v = read_lane(row, needed, bases, lane, z);
    let inside = vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.window.elements - first);
    gather(row, v, inside);
    write_chunk_lane(row, bases, lane, v, inside);
}

// The elements of a lane; beyond the end of the sample, its last one again.
fn elements_of(lane: u32) -> vec4<u32> {
    return min(vec4<u32>(lane * 4u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.window.elements - 1u));
}
