// f16 storage: two to a u32, the lower element in the lower half, so no feature of the device is needed. All arithmetic
// is f32. Host twin: `tweedie::Storage::encode` and `decode`.
// Expects: nothing.
// Defines: what f32 does, under its own name.
const ELEMENTS_PER_WORD_f16 = 2u;

alias Lane_f16 = vec2<u32>;

// Both halves of an f16 word. `pack2x16float` is undefined beyond the range and for NaN, so those halves are made by hand.
fn pack_f16(v: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(v);
    let magnitude = bits & vec2<u32>(0x7fffffffu);
    let packed = pack2x16float(clamp(v, vec2<f32>(-65504.0), vec2<f32>(65504.0)));
    let special = select(vec2<u32>(0x7c00u), vec2<u32>(0x7e00u), magnitude > vec2<u32>(0x7f800000u))
        | ((bits >> vec2<u32>(16u)) & vec2<u32>(0x8000u));
    // 65520 and above round to infinity
    let half = select(vec2<u32>(packed & 0xffffu, packed >> 16u), special, magnitude >= vec2<u32>(0x477ff000u));
    return half.x | (half.y << 16u);
}

fn unpack_f16(word: u32) -> vec2<f32> {
    return unpack2x16float(word);
}

fn pack_lane_f16(v: vec4<f32>) -> Lane_f16 {
    return vec2<u32>(pack_f16(v.xy), pack_f16(v.zw));
}

fn unpack_lane_f16(lane: Lane_f16) -> vec4<f32> {
    return vec4<f32>(unpack_f16(lane.x), unpack_f16(lane.y));
}

fn word_of_f16(i: u32) -> u32 {
    return i >> 1u;
}

fn element_f16(word: u32, i: u32) -> f32 {
    let v = unpack_f16(word);
    return select(v.x, v.y, (i & 1u) == 1u);
}

// An odd element lies in the upper half; the other half stays as it is.
fn with_element_f16(word: u32, i: u32, v: f32) -> u32 {
    let shift = (i & 1u) * 16u;
    let half = pack_f16(vec2<f32>(v, 0.0)) & 0xffffu;
    return (word & ~(0xffffu << shift)) | (half << shift);
}

// Two elements are the whole word.
fn with_pair_f16(word: u32, i: u32, v: vec2<f32>) -> u32 {
    return pack_f16(v);
}
