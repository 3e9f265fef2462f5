// bf16 storage: two to a u32, the lower element in the lower half. All arithmetic is f32.
// Host twin: `tweedie::Storage::encode` and `decode`.

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
