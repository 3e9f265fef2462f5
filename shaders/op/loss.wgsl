// loss: what the error of a prediction costs, and its gradient; see `tweedie::table::LossRow` for the coefficients. The
// weight of a row contains the scale of the penalty and all factors of the gradient.
// Host twin: `tweedie::gpu::loss`.
// Expects: find_row, coefficients, clamped, scaled, params, Inputs, Outputs; from the host CURVE, and NOISE_OUT: whether the
// noise is written out.
// Defines: Row, row_at, needs, stream_of, weight_of, cost, op.

struct Row {
    prediction: f32,   // of the prediction in the error
    inputs: vec2<f32>, // of in0 and in1 in the error
    weight: f32,
    defined: bool,
}

fn row_at(sample: u32) -> Row {
    let found = find_row(sample);
    let m = coefficients(found, 0u);
    return Row(m.x, m.yz, m.w, found.defined);
}

fn needs(row: Row) -> u32 {
    return select(0u, NEEDS_NOISE, NOISE_OUT || row.inputs.y != 0.0)
        | select(0u, NEEDS_IN0, row.inputs.x != 0.0)
        | select(0u, NEEDS_PREDICTION, row.prediction != 0.0);
}

// The rows name no stream: the host sets that of the key.
fn stream_of(row: Row) -> u32 {
    return 0u;
}

fn error_of(row: Row, v: Inputs) -> vec4<f32> {
    return row.prediction * v.prediction + row.inputs.x * v.in0 + row.inputs.y * v.in1;
}

// sqrt(d^2 + delta^2) without squares that overflow or underflow.
fn root_of(d: vec4<f32>, delta: f32) -> vec4<f32> {
    let larger = max(abs(d), vec4<f32>(delta));
    let ratio = min(abs(d), vec4<f32>(delta)) / larger;
    return larger * sqrt(1.0 + ratio * ratio);
}

fn weight_of(row: Row) -> f32 {
    return row.weight;
}

fn cost(row: Row, v: Inputs) -> vec4<f32> {
    let d = error_of(row, v);
    let delta = params.window.delta;
    if (CURVE == CURVE_ABSOLUTE) {
        return abs(d);
    }
    if (CURVE == CURVE_PSEUDO_HUBER) {
        return d * (d / (root_of(d, delta) + delta));
    }
    let c = clamped(d, delta);
    return c * (d - 0.5 * c);
}

fn slope(d: vec4<f32>) -> vec4<f32> {
    let delta = params.window.delta;
    if (CURVE == CURVE_ABSOLUTE) {
        return unless_nan(sign(d), d);
    }
    if (CURVE == CURVE_PSEUDO_HUBER) {
        return d / root_of(d, delta);
    }
    return clamped(d, delta);
}

fn op(row: Row, v: Inputs) -> Outputs {
    return Outputs(scaled(row.weight * row.prediction * slope(error_of(row, v))), v.in1);
}
