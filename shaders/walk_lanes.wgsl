// Aligned tensors: a lane is four elements of one sample. A workgroup covers a tile of lanes_x x samples, chosen by the
// host from the shape, so that neither long samples nor a million short ones leave invocations idle; no division.
override tile_x: u32 = 256u;
override tile_y: u32 = 1u;
override lanes_each: u32 = 4u;

@compute @workgroup_size(tile_x, tile_y, 1)
fn lanes(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let sample = (group.z * params.window.groups + group.y) * tile_y + local.y;
    if (sample < params.window.batch) {
        walk_sample(sample, group.x * tile_x * lanes_each + local.x);
    }
    finish(local.y * tile_x + local.x);
}

fn walk_sample(sample: u32, first: u32) {
    let row = row_at(sample);
    if (!row.defined && first == 0u) {
        report_undefined(sample);
    }
    let bases = bases_of(sample);
    if (lanes_each == 4u) {
        walk_four(row, bases, sample, first, tile_x);
    } else {
        walk_lane(row, bases, sample, first);
    }
}

fn walk_lane(row: Row, bases: Bases, sample: u32, lane: u32) {
    if (lane * 4u >= params.window.elements) {
        return;
    }
    let needed = needs(row);
    var z = vec4<f32>(0.0);
    if (DRAWN && (needed & NEEDS_NOISE) == NEEDS_NOISE) {
        z = drawn_block(sample, params.window.first_element / 4u + lane, step_of(row));
    }
    write_lane(row, bases, lane, op(row, read_lane(row, needed, bases, lane, z)));
}
