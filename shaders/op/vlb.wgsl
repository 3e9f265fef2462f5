// vlb: what an element adds to a term of the variational bound, and its derivatives; see `tweedie::table::VlbRow` for the
// coefficients. The weight of a row has in it what the gradients are a share of.
// Host twin: `tweedie::gpu::vlb`.
// Expects: find_row, coefficients, clamped, scaled, exponential, log1p, params, Inputs, Outputs; from the host TERM_*, HALF_BIN,
// LAST_BIN, LEAST_PROBABILITY, CUBIC, ROOT_2_OVER_PI; CLIPS: whether clean samples are clamped to `params.window.limit`; and
// NOISE_OUT: whether the noise is written out.
// Defines: Row, row_at, needs, stream_of, weight_of, cost, op.

struct Row {
    prediction: f32,        // of the prediction in the error of x0
    inputs: vec2<f32>,      // of x0 and in1 in that error
    inverse_deviation: f32, // 1 over the truth's deviation, in units of x0
    log_ratio: vec2<f32>,   // log ratio of the variances, and of learned in it
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

// All steps of a plan draw on the streams that the host sets.
fn stream_of(row: Row) -> u32 {
    return 0u;
}

fn weight_of(row: Row) -> f32 {
    return row.weight;
}

// The error of x0, what it counts in standard deviations of the model, and the log ratio of the variances.
struct Errors {
    d: vec4<f32>,
    moves: vec4<bool>, // with the prediction: not clipped
    sharpness: vec4<f32>,
    ratio: vec4<f32>,
    e_ratio: vec4<f32>, // e^ratio
}

fn errors_of(row: Row, v: Inputs) -> Errors {
    let raw = row.prediction * v.prediction + row.inputs.x * v.x0 + row.inputs.y * v.in1;
    var d = raw;
    var moves = vec4<bool>(true);
    if (CLIPS) {
        // Beside x0, a small error beyond the limit would round away.
        moves = (raw <= params.window.limit - v.x0) & (raw >= -params.window.limit - v.x0);
        d = select(clamped(v.x0 + raw, params.window.limit) - v.x0, raw, moves);
    }
    let ratio = row.log_ratio.x + row.log_ratio.y * v.learned;
    let root = exponential(0.5 * ratio);
    // Finite, for an error of 0 that is counted in deviations of 0.
    let sharpness = clamped(row.inverse_deviation * root, 3e38);
    return Errors(d, moves, sharpness, ratio, root * root);
}

// d/dz of the argument of tanh.
fn argument_slope(z: vec4<f32>) -> vec4<f32> {
    return ROOT_2_OVER_PI * (1.0 + 3.0 * CUBIC * z * z);
}

// The bin of a value: F(upper) - F(lower) = gap / ((1 + above) * (1 + below)), of factors that do not cancel.
struct Bin {
    upper: vec4<f32>, // edges, in standard deviations from the mean
    lower: vec4<f32>,
    width: vec4<f32>, // between them
    squares: vec4<f32>, // upper^2 + upper*lower + lower^2
    above: vec4<f32>, // e^(-2a) of the argument a of tanh at the upper edge; 0 where the bin is open there
    below: vec4<f32>, // e^(2b) at the lower edge
    beyond: vec4<f32>, // e^(-2(a - b)): 0 where the bin is open
    gap: vec4<f32>, // 1 - that
}

fn bin_of(v: Inputs, e: Errors) -> Bin {
    // Nothing is left of F beyond 30 standard deviations, and the cubes stay finite.
    let upper = clamped(e.sharpness * (HALF_BIN - e.d), 30.0);
    let lower = clamped(e.sharpness * (-HALF_BIN - e.d), 30.0);
    let a = ROOT_2_OVER_PI * (upper + CUBIC * upper * upper * upper);
    let b = ROOT_2_OVER_PI * (lower + CUBIC * lower * lower * lower);
    let width = min(2.0 * HALF_BIN * e.sharpness, vec4<f32>(60.0));
    let squares = upper * upper + upper * lower + lower * lower;
    let twice = 2.0 * ROOT_2_OVER_PI * width * (1.0 + CUBIC * squares);
    let zero = vec4<f32>(0.0);
    let first = v.x0 < vec4<f32>(-LAST_BIN);
    let last = v.x0 > vec4<f32>(LAST_BIN);
    let beyond = exponential(-twice);
    return Bin(
        upper,
        lower,
        width,
        squares,
        select(exponential(-2.0 * a), zero, last),
        select(exponential(2.0 * b), zero, first),
        select(beyond, zero, first | last),
        select(complement(twice, beyond), vec4<f32>(1.0), first | last),
    );
}

fn probability(bin: Bin) -> vec4<f32> {
    return bin.gap / ((1.0 + bin.above) * (1.0 + bin.below));
}

fn cost(row: Row, v: Inputs) -> vec4<f32> {
    let e = errors_of(row, v);
    if (is_term(row, TERM_SQUARED_ERROR)) {
        return e.d * e.d;
    }
    if (is_term(row, TERM_DECODER)) {
        let p = max(probability(bin_of(v, e)), vec4<f32>(LEAST_PROBABILITY));
        let nats = -vec4<f32>(logarithm(p.x), logarithm(p.y), logarithm(p.z), logarithm(p.w));
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
        let bin = bin_of(v, e);
        // Of ln P: what follows from the gap, of a - b; and what is left of a and of b.
        let of_gap = 2.0 * ROOT_2_OVER_PI * bin.width * bin.beyond / bin.gap;
        let to_a = 2.0 * bin.above / (1.0 + bin.above) * argument_slope(bin.upper);
        let to_b = 2.0 * bin.below / (1.0 + bin.below) * argument_slope(bin.lower);
        let to_d = e.sharpness * (to_a - to_b + of_gap * 3.0 * CUBIC * (bin.upper + bin.lower));
        let to_ratio = -0.5 * (to_a * bin.upper - to_b * bin.lower + of_gap * (1.0 + 3.0 * CUBIC * bin.squares));
        // The least probability does not move.
        let counts = probability(bin) >= vec4<f32>(LEAST_PROBABILITY);
        let nan = e.d + e.ratio + v.x0;
        let zero = vec4<f32>(0.0);
        return Slopes(unless_nan(select(zero, to_d, counts), nan), unless_nan(select(zero, to_ratio, counts), nan));
    }
    let z = e.sharpness * e.d;
    return Slopes(e.sharpness * z, 0.5 * (excess(e.ratio, e.e_ratio) + e.ratio + z * z));
}

fn op(row: Row, v: Inputs) -> Outputs {
    let e = errors_of(row, v);
    let slopes = slopes_of(row, v, e);
    let gradient = select(vec4<f32>(0.0), row.weight * row.prediction * slopes.d, e.moves);
    let learned = row.weight * row.log_ratio.y * slopes.ratio;
    return Outputs(scaled(unless_nan(gradient, slopes.d)), scaled(learned), v.in1);
}
