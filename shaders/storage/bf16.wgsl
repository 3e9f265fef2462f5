// bf16 storage: two to a u32, the lower element in the lower half. All arithmetic is f32.
// Host twin: `tweedie::Storage::encode` and `decode`.
// Expects: nothing.
// Defines: what f32 does, under its own name.
const ELEMENTS_PER_WORD_bf16 = 2u;

alias Lane_bf16 = vec2<u32>;

// Round to nearest even in integers; the upper half is the result.
fn nearest_bf16(bits: vec2<u32>) -> vec2<u32> {
    return bits + vec2<u32>(0x7fffu) + ((bits >> vec2<u32>(16u)) & vec2<u32>(1u));
}

// The same, but NaN stays NaN.
fn with_nan_bf16(bits: vec2<u32>) -> vec2<u32> {
    let is_nan = (bits & vec2<u32>(0x7fffffffu)) > vec2<u32>(0x7f800000u);
    return select(nearest_bf16(bits), bits | vec2<u32>(0x400000u), is_nan);
}

fn halves_bf16(rounded: vec2<u32>) -> u32 {
    return (rounded.x >> 16u) | (rounded.y & 0xffff0000u);
}

fn pack_bf16(v: vec2<f32>) -> u32 {
    return halves_bf16(with_nan_bf16(bitcast<vec2<u32>>(v)));
}

fn unpack_bf16(word: u32) -> vec2<f32> {
    return vec2<f32>(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}

fn pack_lane_bf16(v: vec4<f32>) -> Lane_bf16 {
    let bits = bitcast<vec4<u32>>(v);
    let magnitude = max(bits.xy << vec2<u32>(1u), bits.zw << vec2<u32>(1u));
    // One branch for four elements: NaN is rare.
    if (max(magnitude.x, magnitude.y) > 0xff000000u) {
        return vec2<u32>(pack_bf16(v.xy), pack_bf16(v.zw));
    }
    return vec2<u32>(halves_bf16(nearest_bf16(bits.xy)), halves_bf16(nearest_bf16(bits.zw)));
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
