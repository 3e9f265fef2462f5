// loss: what the error of a prediction costs, and its gradient; see `tweedie::table::LossRow` and `Curve`. The weight of a row
// has the scale of the penalty in it, and what the gradient is a share of.
// Host twin: `tweedie::gpu::loss`. The host writes CURVE for the plan, whose bend is `params.window.range`, and KEPT: whether
// the noise is written out.

struct Row {
    m: vec4<f32>, // of the prediction and the two inputs in the error; the weight
    defined: bool,
}

fn row_at(sample: u32) -> Row {
    let found = find_row(sample);
    return Row(coefficients(found, 0u), found.defined);
}

fn needs(row: Row) -> u32 {
    return select(0u, NEEDS_NOISE, KEPT || row.m.z != 0.0) | select(0u, 2u, row.m.y != 0.0) | select(0u, 4u, row.m.x != 0.0);
}

// All steps of a plan draw on the streams that the host sets.
fn step_of(row: Row) -> u32 {
    return 0u;
}

fn error_of(row: Row, v: Inputs) -> vec4<f32> {
    return row.m.x * v.prediction + row.m.y * v.in0 + row.m.z * v.in1;
}

// sqrt(d^2 + bend^2) without squares that overflow or vanish.
fn root_of(d: vec4<f32>, bend: f32) -> vec4<f32> {
    let larger = max(abs(d), vec4<f32>(bend));
    let ratio = min(abs(d), vec4<f32>(bend)) / larger;
    return larger * sqrt(1.0 + ratio * ratio);
}

fn weight_of(row: Row) -> f32 {
    return row.m.w;
}

fn cost(row: Row, v: Inputs) -> vec4<f32> {
    let d = error_of(row, v);
    let bend = params.window.range;
    if (CURVE == 2u) {
        return abs(d);
    }
    if (CURVE == 1u) {
        return d * (d / (root_of(d, bend) + bend));
    }
    let c = clamped(d, bend);
    return c * (d - 0.5 * c);
}

fn slope(d: vec4<f32>) -> vec4<f32> {
    let bend = params.window.range;
    if (CURVE == 2u) {
        return unless_nan(sign(d), d);
    }
    if (CURVE == 1u) {
        return d / root_of(d, bend);
    }
    return clamped(d, bend);
}

fn op(row: Row, v: Inputs) -> Outputs {
    return Outputs(row.m.w * row.m.x * slope(error_of(row, v)), v.in1);
}
