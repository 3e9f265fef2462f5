// Aligned tensors: a lane is four elements of one sample. A workgroup covers a tile of lanes_x x samples, chosen by the
// host from the shape, so that neither long samples nor a million short ones leave invocations idle; no division.
override tile_x: u32 = 256u;
override tile_y: u32 = 1u;
override lanes_each: u32 = 4u;

// Where a sample begins in each tensor, in lanes.
struct Bases {
    in0: u32,
    in1: u32,
    out0: u32,
    out1: u32,
    noise: u32,
}

@compute @workgroup_size(tile_x, tile_y, 1)
fn map_lanes(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let sample = (group.z * params.groups + group.y) * tile_y + local.y;
    if (sample >= params.batch) {
        return;
    }
    let row = row_at(sample);
    let first = group.x * tile_x * lanes_each + local.x;
    if (!row.defined && first == 0u) {
        report_undefined(sample);
    }
    let bases = Bases(
        params.in0.x + sample * params.in0.y,
        params.in1.x + sample * params.in1.y,
        params.out0.x + sample * params.out0.y,
        params.out1.x + sample * params.out1.y,
        params.noise.x + sample * params.noise.y,
    );
    map_lane(row, bases, sample, first);
    // Written out: a loop would be guarded against running for ever, at a cost for every lane.
    if (lanes_each == 4u) {
        map_lane(row, bases, sample, first + tile_x);
        map_lane(row, bases, sample, first + 2u * tile_x);
        map_lane(row, bases, sample, first + 3u * tile_x);
    }
}

fn map_lane(row: Row, bases: Bases, sample: u32, lane: u32) {
    if (lane * 4u >= params.elements) {
        return;
    }
    let a = load_in0(bases.in0 + lane);
    var b: vec4<f32>;
    if (DRAWN) {
        b = drawn_block(sample, params.first_element / 4u + lane);
    } else {
        b = load_in1(bases.in1 + lane);
    }
    store_out0(bases.out0 + lane, row.m.x * a + row.m.y * b);
    store_out1(bases.out1 + lane, row.m.z * a + row.m.w * b);
    store_noise(bases.noise + lane, b);
}
