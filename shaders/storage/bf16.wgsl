// bf16 storage: two to a u32, the lower element in the lower half. All arithmetic is f32.
// Host twin: `tweedie::Storage::encode` and `decode`.
// Expects: nothing.
// Defines: what f32 does, under its own name.
const ELEMENTS_PER_WORD_bf16 = 2u;

alias Lane_bf16 = vec2<u32>;

// Round to nearest even in integers; a NaN stays a NaN.
fn pack_bf16(v: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(v);
    let rounded = (bits + vec2<u32>(0x7fffu) + ((bits >> vec2<u32>(16u)) & vec2<u32>(1u))) >> vec2<u32>(16u);
    let quiet = (bits >> vec2<u32>(16u)) | vec2<u32>(0x40u);
    let half = select(rounded, quiet, (bits & vec2<u32>(0x7fffffffu)) > vec2<u32>(0x7f800000u));
    return half.x | (half.y << 16u);
}

fn unpack_bf16(word: u32) -> vec2<f32> {
    return vec2<f32>(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}

fn pack_lane_bf16(v: vec4<f32>) -> Lane_bf16 {
    return vec2<u32>(pack_bf16(v.xy), pack_bf16(v.zw));
}

fn unpack_lane_bf16(lane: Lane_bf16) -> vec4<f32> {
    return vec4<f32>(unpack_bf16(lane.x), unpack_bf16(lane.y));
}

fn word_of_bf16(i: u32) -> u32 {
    return i >> 1u;
}

fn element_bf16(word: u32, i: u32) -> f32 {
    let v = unpack_bf16(word);
    return select(v.x, v.y, (i & 1u) == 1u);
}

// An odd element lies in the upper half; the other half stays as it is.
fn with_element_bf16(word: u32, i: u32, v: f32) -> u32 {
    let shift = (i & 1u) * 16u;
    let half = pack_bf16(vec2<f32>(v, 0.0)) & 0xffffu;
    return (word & ~(0xffffu << shift)) | (half << shift);
}

// Two elements are the whole word.
fn with_pair_bf16(word: u32, i: u32, v: vec2<f32>) -> u32 {
    return pack_bf16(v);
}
