// The 64-bit product of two words as (high, low), where the device has 64-bit integers (`SHADER_INT64`): one instruction of most.
// Expects: nothing.
// Defines: multiply_wide.
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
    return vec2<u32>(u32((u64(a) * u64(b)) >> 32u), a * b);
}
