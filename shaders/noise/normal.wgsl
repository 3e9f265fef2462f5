// Box-Muller with polynomials of our own: WGSL's built-in sin, cos and log may be off by 2^-11 absolute, and drivers use
// that freedom. A word w becomes the uniform number (w + 1/2) / 2^32, as in cuRAND, which is never 0 and never 1.
// The polynomials are minimax fits on the reduced ranges named beside them.
// Host twin: `tweedie::NoiseKey::normal_pair`.
// Expects: philox4x32_10 (philox).
// Defines: normal_pair, normal_block.

// sqrt(-2 ln u)
fn box_muller_radius(w: u32) -> f32 {
    // Above sqrt(1/2), ln u = log1p(-(1 - u)), and 1 - u is known without cancellation from the complement of w.
    let upper = w >= 0xB504F334u;
    let g = f32(select(w, ~w, upper)) * 2.3283064365386963e-10 + 1.1641532182693481e-10; // 2^-32, 2^-33
    let bits = bitcast<u32>(g);
    let octave = (i32(bits) - 0x3F3504F3) >> 23u;
    let mantissa = bitcast<f32>(bits - (bitcast<u32>(octave) << 23u)); // in [sqrt(1/2), sqrt(2))
    let z = select(mantissa - 1.0, -g, upper);
    let e = select(f32(octave), 0.0, upper);
    // -2 log1p(z) = z^2 - 2 z + z^3 P(z): the coefficients of `small_log1p` (log1p) times -2, exactly.
    var p = -0.13830252;
    p = p * z + 0.2357937;
    p = p * z - 0.2374604;
    p = p * z + 0.24768744;
    p = p * z - 0.2843731;
    p = p * z + 0.333385;
    p = p * z - 0.40004454;
    p = p * z + 0.49999974;
    p = p * z - 0.6666662;
    let zz = z * z;
    // 2 ln 2 in two parts, so that e * ln 2 is exact to the last bit of the sum
    return sqrt(e * -1.38671875 + ((p * zz * z + (zz - 2.0 * z)) + e * 4.24388880e-4));
}

// Half a turn is subtracted in integers, which is exact. It changes the sign of both numbers; the sign of the radius is changed
// instead.
fn normal_pair(radius_word: u32, turn_word: u32) -> vec2<f32> {
    let half = (turn_word + 0x40000000u) & 0x80000000u;
    let x = (f32(bitcast<i32>(turn_word - half)) + 0.5) * 1.4629180792671596e-9; // in [-pi/2, pi/2]
    let xx = x * x;
    // Errors below 1.9e-7.
    let s = x + x * xx * (-0.16666666 + xx * (0.0083332425 + xx * (-0.0001982274 + xx * 2.6347564e-6)));
    let c = 1.0 - 0.5 * xx + xx * xx * (0.041666668 + xx * (-0.0013888812 + xx * (2.4786077e-5 - xx * 2.6546064e-7)));
    return bitcast<f32>(bitcast<u32>(box_muller_radius(radius_word)) ^ half) * vec2<f32>(s, c);
}

// Four standard normals: the elements 4 * block .. 4 * block + 3 of a sample.
fn normal_block(counter: vec4<u32>, key: vec2<u32>) -> vec4<f32> {
    let w = philox4x32_10(counter, key);
    return vec4<f32>(normal_pair(w.x, w.y), normal_pair(w.z, w.w));
}
