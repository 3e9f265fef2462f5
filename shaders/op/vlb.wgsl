// vlb: what an element adds to a term of the variational bound, and its derivatives; see `tweedie::table::VlbRow` for the
// coefficients. The weight of a row contains all factors of the gradients.
// Host twin: `tweedie::gpu::vlb`.
// Expects: find_row, coefficients, clamped, unless_nan, scaled, exponential, log1p, params, Inputs, Outputs; from the host
// TERM_*, HALF_BIN, LAST_BIN, LEAST_PROBABILITY, CUBIC, ROOT_2_OVER_PI; CLIPS: whether clean samples are clamped to
// `params.window.limit`; and NOISE_OUT: whether the noise is written out.
// Defines: Row, row_at, needs, stream_of, weight_of, cost, op.

struct Row {
    prediction: f32,        // of the prediction in the error of x0
    inputs: vec2<f32>,      // of x0 and in1 in that error
    inverse_deviation: f32, // 1 over the truth's deviation, in units of x0
    log_ratio: vec2<f32>,   // the log ratio of the variances, and the coefficient of `learned` in it
    weight: f32,
    term: f32,
    defined: bool,
}

fn row_at(sample: u32) -> Row {
    let found = find_row(sample);
    let error = coefficients(found, 0u);
    let ratio = coefficients(found, 1u);
    return Row(error.x, error.yz, error.w, ratio.xy, ratio.z, ratio.w, found.defined);
}

fn is_term(row: Row, term: u32) -> bool {
    return row.term == f32(term);
}

fn needs(row: Row) -> u32 {
    return select(0u, NEEDS_NOISE, NOISE_OUT || row.inputs.y != 0.0)
        | select(0u, NEEDS_X0, CLIPS || row.inputs.x != 0.0 || is_term(row, TERM_DECODER))
        | select(0u, NEEDS_PREDICTION, row.prediction != 0.0)
        | select(0u, NEEDS_LEARNED, row.log_ratio.y != 0.0 && !is_term(row, TERM_SQUARED_ERROR));
}

// The rows name no stream: the host sets that of the key.
fn stream_of(row: Row) -> u32 {
    return 0u;
}

fn weight_of(row: Row) -> f32 {
    return row.weight;
}

// The error of x0, its factor to standard deviations of the model, and the log ratio of the variances. If the ratio is NaN, only
// `ratio` is: each term restores NaN at its end.
struct Errors {
    d: vec4<f32>,
    moves: vec4<bool>,    // whether it moves with the prediction, not being clipped
    sharpness: vec4<f32>, // 1 over the model's standard deviation
    ratio: vec4<f32>,
    e_ratio: vec4<f32>, // e^ratio
}

fn errors_of(row: Row, v: Inputs) -> Errors {
    let raw = row.prediction * v.prediction + row.inputs.x * v.x0 + row.inputs.y * v.in1;
    var d = raw;
    var moves = vec4<bool>(true);
    if (CLIPS) {
        // Added to x0, a small error beyond the limit would be rounded away.
        moves = (raw <= params.window.limit - v.x0) & (raw >= -params.window.limit - v.x0);
        d = select(clamped(v.x0 + raw, params.window.limit) - v.x0, raw, moves);
    }
    let ratio = row.log_ratio.x + row.log_ratio.y * v.learned;
    let root = exponential(0.5 * ratio);
    // Kept finite, since an error of 0 may be divided by a deviation of 0.
    let sharpness = clamp(row.inverse_deviation * root, vec4<f32>(-3e38), vec4<f32>(3e38));
    return Errors(d, moves, sharpness, ratio, root * root);
}

// d/dz of the argument of tanh.
fn argument_slope(z: f32) -> f32 {
    return ROOT_2_OVER_PI * (1.0 + 3.0 * CUBIC * z * z);
}

// The bin of a value: F(upper) - F(lower) = gap / ((1 + above) * (1 + below)), from factors that do not cancel. It is that of one
// element: the bins of four would take as many registers as everything else, for every row.
struct Bin {
    upper: f32,   // edges, in standard deviations from the mean
    lower: f32,
    width: f32,   // distance between the edges
    squares: f32, // upper^2 + upper*lower + lower^2
    above: f32,   // e^(-2a) of the argument a of tanh at the upper edge; 0 where the bin is open there
    below: f32,   // e^(2b) at the lower edge
    beyond: f32,  // e^(-2(a - b)): 0 where the bin is open
    gap: f32,     // 1 - beyond
}

// NaN in the arguments may be lost: the caller restores it.
fn bin_of(x0: f32, d: f32, sharpness: f32) -> Bin {
    // Beyond 30 standard deviations F is 0 or 1, and the cubes stay finite.
    let upper = clamp(sharpness * (HALF_BIN - d), -30.0, 30.0);
    let lower = clamp(sharpness * (-HALF_BIN - d), -30.0, 30.0);
    let a = ROOT_2_OVER_PI * (upper + CUBIC * upper * upper * upper);
    let b = ROOT_2_OVER_PI * (lower + CUBIC * lower * lower * lower);
    let width = min(2.0 * HALF_BIN * sharpness, 60.0);
    let squares = upper * upper + upper * lower + lower * lower;
    let twice = 2.0 * ROOT_2_OVER_PI * width * (1.0 + CUBIC * squares);
    let first = x0 < -LAST_BIN;
    let last = x0 > LAST_BIN;
    let e = exponential(vec4<f32>(-2.0 * a, 2.0 * b, -twice, 0.0));
    let gap = complement(vec4<f32>(twice), vec4<f32>(e.z)).x;
    return Bin(
        upper,
        lower,
        width,
        squares,
        select(e.x, 0.0, last),
        select(e.y, 0.0, first),
        select(e.z, 0.0, first | last),
        select(gap, 1.0, first | last),
    );
}

fn probability(bin: Bin) -> f32 {
    return bin.gap / ((1.0 + bin.above) * (1.0 + bin.below));
}

fn decoder_cost(x0: f32, d: f32, sharpness: f32) -> f32 {
    return -logarithm(max(probability(bin_of(x0, d, sharpness)), LEAST_PROBABILITY));
}

// The derivatives with respect to the error of x0 and to the log ratio.
fn decoder_slopes(x0: f32, d: f32, sharpness: f32) -> vec2<f32> {
    let bin = bin_of(x0, d, sharpness);
    // The derivatives of ln P: through the gap with respect to a - b, and the rest with respect to a and to b.
    let of_gap = 2.0 * ROOT_2_OVER_PI * bin.width * bin.beyond / bin.gap;
    let to_a = 2.0 * bin.above / (1.0 + bin.above) * argument_slope(bin.upper);
    let to_b = 2.0 * bin.below / (1.0 + bin.below) * argument_slope(bin.lower);
    let to_d = sharpness * (to_a - to_b + of_gap * 3.0 * CUBIC * (bin.upper + bin.lower));
    let to_ratio = -0.5 * (to_a * bin.upper - to_b * bin.lower + of_gap * (1.0 + 3.0 * CUBIC * bin.squares));
    // Where the probability is clamped to the least one, the derivatives are 0.
    return select(vec2<f32>(0.0), vec2<f32>(to_d, to_ratio), probability(bin) >= LEAST_PROBABILITY);
}

fn cost(row: Row, v: Inputs) -> vec4<f32> {
    let e = errors_of(row, v);
    if (is_term(row, TERM_SQUARED_ERROR)) {
        return e.d * e.d;
    }
    if (is_term(row, TERM_DECODER)) {
        let nats = vec4<f32>(
            decoder_cost(v.x0.x, e.d.x, e.sharpness.x),
            decoder_cost(v.x0.y, e.d.y, e.sharpness.y),
            decoder_cost(v.x0.z, e.d.z, e.sharpness.z),
            decoder_cost(v.x0.w, e.d.w, e.sharpness.w),
        );
        return unless_nan(nats, e.d + e.ratio + v.x0);
    }
    let z = e.sharpness * e.d;
    return 0.5 * (excess(e.ratio, e.e_ratio) + z * z);
}

// The derivatives of the cost with respect to the error of x0 and to the log ratio.
struct Slopes {
    d: vec4<f32>,
    ratio: vec4<f32>,
}

fn slopes_of(row: Row, v: Inputs, e: Errors) -> Slopes {
    if (is_term(row, TERM_SQUARED_ERROR)) {
        return Slopes(2.0 * e.d, vec4<f32>(0.0));
    }
    if (is_term(row, TERM_DECODER)) {
        let x = decoder_slopes(v.x0.x, e.d.x, e.sharpness.x);
        let y = decoder_slopes(v.x0.y, e.d.y, e.sharpness.y);
        let z = decoder_slopes(v.x0.z, e.d.z, e.sharpness.z);
        let w = decoder_slopes(v.x0.w, e.d.w, e.sharpness.w);
        let nan = e.d + e.ratio + v.x0;
        return Slopes(
            unless_nan(vec4<f32>(x.x, y.x, z.x, w.x), nan),
            unless_nan(vec4<f32>(x.y, y.y, z.y, w.y), nan),
        );
    }
    let z = e.sharpness * e.d;
    return Slopes(unless_nan(e.sharpness * z, e.ratio), 0.5 * (excess(e.ratio, e.e_ratio) + e.ratio + z * z));
}

fn op(row: Row, v: Inputs) -> Outputs {
    let e = errors_of(row, v);
    let slopes = slopes_of(row, v, e);
    let gradient = select(vec4<f32>(0.0), row.weight * row.prediction * slopes.d, e.moves);
    let learned = row.weight * row.log_ratio.y * slopes.ratio;
    return Outputs(scaled(unless_nan(gradient, slopes.d)), scaled(learned), v.in1);
}
