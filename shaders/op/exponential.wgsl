// Exponential and logarithm with polynomials of our own: the built-in ones may be off by 2^-21 absolute, and by 3 + 2 |x| ULP.
// Expects: small_log1p (log1p).
// Defines: exponential, excess, complement, logarithm.

// e^x - 1 - x = x^2 P(x) for x in [-1, 1], without cancellation; a minimax fit, relative error below 1e-8.
fn small_excess(x: vec4<f32>) -> vec4<f32> {
    var p = vec4<f32>(2.7722833e-06);
    p = p * x + 2.535483e-05;
    p = p * x + 0.00019844023;
    p = p * x + 0.0013885451;
    p = p * x + 0.0083333105;
    p = p * x + 0.041666735;
    p = p * x + 0.16666667;
    p = p * x + 0.5;
    return p * x * x;
}

// e^x; above 87, near the end of f32, e^87, and below -87, 0. For NaN the result is arbitrary: the caller restores NaN.
fn exponential(x: vec4<f32>) -> vec4<f32> {
    let y = clamp(x, vec4<f32>(-87.0), vec4<f32>(87.0));
    let octave = floor(y * 1.44269504 + 0.5);
    // ln 2 in two parts, the first with few bits, so that the difference is exact
    let rest = (y - octave * 0.693359375) + octave * 2.12194440e-4;
    let power = bitcast<vec4<f32>>(vec4<u32>(vec4<i32>(octave) + 127) << vec4<u32>(23u));
    let result = power * (1.0 + (rest + small_excess(rest)));
    return select(result, vec4<f32>(0.0), x < vec4<f32>(-87.0));
}

// e^x - 1 - x, given x and e^x.
fn excess(x: vec4<f32>, e: vec4<f32>) -> vec4<f32> {
    return select(e - 1.0 - x, small_excess(x), abs(x) < vec4<f32>(1.0));
}

// 1 - e^-x for x >= 0, given x and e^-x.
fn complement(x: vec4<f32>, e: vec4<f32>) -> vec4<f32> {
    return select(1.0 - e, x - small_excess(-x), x < vec4<f32>(1.0));
}

// ln x of a positive normal number.
fn logarithm(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let octave = (i32(bits) - 0x3F3504F3) >> 23u;
    let mantissa = bitcast<f32>(bits - (bitcast<u32>(octave) << 23u)); // in [sqrt(1/2), sqrt(2))
    let e = f32(octave);
    return e * 0.693359375 + (small_log1p(mantissa - 1.0) - e * 2.12194440e-4);
}
