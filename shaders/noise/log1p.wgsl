// The logarithm of numbers near 1.
// Expects: nothing.
// Defines: small_log1p.

// log1p(z) = z - z^2/2 + z^3 P(z) for z in [sqrt(1/2) - 1, sqrt(2) - 1]: a minimax fit, relative error below 1e-8.
fn small_log1p(z: f32) -> f32 {
    var p = 0.06915126;
    p = p * z - 0.11789685;
    p = p * z + 0.1187302;
    p = p * z - 0.12384372;
    p = p * z + 0.14218655;
    p = p * z - 0.1666925;
    p = p * z + 0.20002227;
    p = p * z - 0.24999987;
    p = p * z + 0.3333331;
    let zz = z * z;
    return p * zz * z - 0.5 * zz + z;
}
