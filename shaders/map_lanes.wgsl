// Aligned tensors: a lane is four elements of one sample. A workgroup covers a tile of lanes_x x samples, chosen by the
// host from the shape, so that neither long samples nor a million short ones leave invocations idle; no division.
override tile_x: u32 = 256u;
override tile_y: u32 = 1u;
override lanes_each: u32 = 4u;

@compute @workgroup_size(tile_x, tile_y, 1)
fn map_lanes(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let sample = (group.z * params.groups + group.y) * tile_y + local.y;
    if (sample >= params.batch) {
        return;
    }
    let row = row_at(sample);
    let lanes = params.elements / 4u;
    let first = group.x * tile_x * lanes_each + local.x;
    if (!row.defined && first == 0u) {
        report_undefined(sample);
    }
    for (var i = 0u; i < lanes_each; i++) {
        let lane = first + i * tile_x;
        if (lane < lanes) {
            let a = load_in0(params.in0.x + sample * params.in0.y + lane);
            var b: vec4<f32>;
            if (DRAWN) {
                b = drawn_block(sample, lane);
            } else {
                b = load_in1(params.in1.x + sample * params.in1.y + lane);
            }
            var first_out = row.m.x * a + row.m.y * b;
            var second_out = row.m.z * a + row.m.w * b;
            if (!row.defined) {
                first_out = vec4<f32>(not_a_number());
                second_out = first_out;
            }
            store_out0(params.out0.x + sample * params.out0.y + lane, first_out);
            store_out1(params.out1.x + sample * params.out1.y + lane, second_out);
            store_noise(params.noise.x + sample * params.noise.y + lane, b);
        }
    }
}
