// The 64-bit product of two words as (high, low), where the device has 64-bit integers (`SHADER_INT64`).
// Expects: nothing.
// Defines: multiply_wide.
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
    let product = u64(a) * u64(b);
    return vec2<u32>(u32(product >> 32u), u32(product));
}
