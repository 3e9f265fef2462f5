// f16 storage where the device has 16-bit numbers (`SHADER_F16`): a lane is four of them, converted by the hardware, to nearest
// even, and beyond the range of f16 to infinity. All arithmetic is f32. Words are laid out as in f16.wgsl.
// Expects: nothing.
// Defines: Lane_f16, pack_lane_f16, unpack_lane_f16.
alias Lane_f16 = vec4<f16>;

fn pack_lane_f16(v: vec4<f32>) -> Lane_f16 {
    return vec4<f16>(v);
}

fn unpack_lane_f16(lane: Lane_f16) -> vec4<f32> {
    return vec4<f32>(lane);
}
