// Walk over aligned tensors: a lane is four elements of one sample. A workgroup covers a tile of tile_x lanes and tile_y
// samples, chosen by the host from the shape, so that neither long samples nor a million short ones leave invocations idle.
// There is no division.
// Expects: params, Row, row_at, needs, op, report_undefined, bases_of, read_lane, write_lane, draw_block, SECOND_NOISE,
// needs_second, second_stream_of, walk_four, flush.
// Defines: LanesParams, the overrides of the tile, take_lane, give_lane, walk_lane, the entry point `lanes`.
override tile_x: u32 = WORKGROUP;
override tile_y: u32 = 1u;
override lanes_each: u32 = 4u;
// True if the tiles end where the samples do.
override whole_tiles: bool = false;

struct LanesParams {
    groups_y: u32, // workgroups along y; further ones go along z
    unused: vec4<u32>,
}

@compute @workgroup_size(tile_x, tile_y, 1)
fn lanes(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let sample = (group.z * params.walk.groups_y + group.y) * tile_y + local.y;
    if (sample < params.window.batch) {
        walk_sample(sample, group.x * tile_x * lanes_each + local.x);
    }
    // Every invocation comes here, also those beyond the batch: `flush` has a barrier.
    flush(local.y * tile_x + local.x);
}

fn walk_sample(sample: u32, first: u32) {
    let row = row_at(sample);
    if (!row.defined && first == 0u) {
        report_undefined(sample);
    }
    let bases = bases_of(sample);
    let needed = needs(row);
    if (lanes_each == 4u) {
        // Neighbouring invocations take neighbouring lanes: an invocation's own four are a tile apart.
        walk_four(row, needed, bases, sample, first, tile_x);
    } else {
        walk_lane(row, needed, bases, sample, first);
    }
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
        let block = params.window.first_element / 4u + lane;
        z = draw_block(sample, block, stream_of(row));
        if (SECOND_NOISE && needs_second(row)) {
            second_noise = draw_block(sample, block, second_stream_of(row));
        }
    }
    return read_lane(row, needed, bases, lane, z);
}

fn give_lane(row: Row, bases: Bases, lane: u32, v: Inputs) {
    write_lane(row, bases, lane, op(row, v));
}
