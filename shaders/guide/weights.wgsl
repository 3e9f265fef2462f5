// Weights that are computed from the sums over a sample, by the rule of the call.
// Host twin: `tweedie::table::guide::Weights::of`.
// Expects: params, Sum (co_moments), moments.
// Defines: weights_of.

// The shares of c and u in the projection of u onto the first right singular vector of both.
fn tangent(twice_cu: f32, gap: f32) -> vec2<f32> {
    // Both are scaled, so that no square leaves the range of f32.
    let largest = max(abs(twice_cu), abs(gap));
    if (largest == 0.0) {
        return vec2<f32>(0.0);
    }
    let scaled = vec2<f32>(twice_cu, gap) / largest;
    let direction = scaled / length(scaled);
    return vec2<f32>(0.5 * direction.x, 0.5 * (1.0 - direction.y));
}

// The scale of u that comes nearest to c.
fn optimal(cu: f32, uu: f32) -> f32 {
    return cu / (uu + 1e-8);
}

fn weights_by_rule(sum: Sum, rule: vec4<f32>) -> vec3<f32> {
    let of_means = sum.count * sum.mean;
    let squares = sum.squares + of_means * sum.mean;
    let products = sum.products + of_means.xxy * sum.mean.yzz;
    let cc = squares.x;
    let v11 = squares.y;
    let v22 = squares.z;
    let c1 = products.x;
    let v12 = products.z;
    let scale = rule.y;
    let rest = 1.0 - scale;
    let uu = cc - 2.0 * c1 + v11;
    switch u32(rule.x) {
        case 1u: { // ZeroStar
            let damped = rest * optimal(cc - c1, uu);
            return vec3<f32>(scale + damped, -damped, 0.0);
        }
        case 2u: { // ZeroStarOfNoise
            let damped = rest * optimal(v12 + v22, v11 + 2.0 * v12 + v22);
            return vec3<f32>(scale + damped, -damped, 0.0);
        }
        case 3u: { // Projected: threshold, eta
            let norm = sqrt(max(v11, 0.0));
            var shortened = 1.0;
            if (rule.z > 0.0 && norm > rule.z) {
                shortened = rule.z / norm;
            }
            let along_c = select(0.0, c1 / cc, cc > 0.0);
            return vec3<f32>(1.0 - scale * (1.0 - rule.w) * shortened * along_c, scale * shortened, -1.0);
        }
        case 4u: { // Tangential
            let shares = rest * tangent(2.0 * (cc - c1), 2.0 * c1 - v11);
            return vec3<f32>(scale + shares.x + shares.y, -shares.y, 0.0);
        }
        case 5u: { // TangentialOfNoise
            let shares = tangent(2.0 * (v22 + v12), -(v11 + 2.0 * v12));
            return vec3<f32>(1.0, -rest * shares.y, rest * (1.0 - shares.x - shares.y));
        }
        case 6u: { // Magnitude: alpha
            var decay = 1.0;
            if (rule.z != 0.0 && v11 > 0.0) {
                decay = select(0.0, exp(-rule.z * sqrt(v11 / uu)), uu > 0.0);
            }
            return vec3<f32>(1.0, -rest * decay, 0.0);
        }
        case 7u: { // Perpendicular: negative
            let along_v1 = select(0.0, v12 / v11, v11 > 0.0);
            return vec3<f32>(1.0, -1.0 + scale * (1.0 + rule.z * along_v1), -scale * rule.z);
        }
        default: { // Fixed
            return rule.yzw;
        }
    }
}

// The factor that rescales the mixture to the standard deviation of the conditional prediction: 1 where one of the two
// deviations is not finite, or that of the mixture is 0.
fn rescaled(sum: Sum, weights: vec3<f32>, rescale: f32) -> f32 {
    let pairs = weights.xxy * weights.yzz;
    let mixed = dot(weights * weights, sum.squares) + 2.0 * dot(pairs, sum.products);
    let ratio = sqrt(sum.squares.x / mixed); // both over the same count - 1
    // NaN is recognized by its bits, since compilers may remove comparisons with it.
    let defined = mixed > 0.0 && (bitcast<u32>(ratio) & 0x7f800000u) != 0x7f800000u;
    return select(1.0, rescale * ratio + (1.0 - rescale), defined);
}

fn weights_of(sample: u32, rescale: f32, rule: vec4<f32>) -> vec3<f32> {
    let sum = moments[params.window.first_sample + sample];
    let weights = weights_by_rule(sum, rule);
    if (rescale == 0.0) {
        return weights;
    }
    return weights * rescaled(sum, weights, rescale);
}
