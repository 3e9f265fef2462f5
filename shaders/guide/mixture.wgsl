// mixture: several predictions of one call mixed into one; see `tweedie::table::GuideRow` for the coefficients.
// Host twin: `tweedie::math::guidance::GuidanceLoop`.
// Expects: guide/row, Inputs, Outputs.
// Defines: op.

fn op(row: Row, v: Inputs) -> Outputs {
    let first = first_vector(row, v);
    var guided = row.weights.x * v.conditional;
    if (row.weights.y != 0.0) {
        guided += row.weights.y * first;
    }
    if (row.weights.z != 0.0) {
        guided += row.weights.z * second_vector(row, v);
    }
    return Outputs(guided, select(v.momentum, first, keeps(row)));
}
