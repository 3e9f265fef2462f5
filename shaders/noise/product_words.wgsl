// The 64-bit product of two words as (high, low), from four products of 16-bit halves: WGSL has no widening multiplication.
// Expects: nothing.
// Defines: multiply_wide.
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low_high = a_low * b_high;
    let low = a_low * b_low;
    let middle = (low >> 16u) + (low_high & 0xffffu) + a_high * b_low;
    return vec2<u32>(a_high * b_high + (low_high >> 16u) + (middle >> 16u), (middle << 16u) | (low & 0xffffu));
}
