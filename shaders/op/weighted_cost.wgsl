// The sum of a loss or of a term of the variational bound: the cost of the elements, times the weight of their sample.
// Expects: partial, Sum, cost, weight_of, params.
// Defines: accumulate, chunk_result.
fn accumulate(row: Row, v: Inputs, inside: vec4<bool>) {
    partial += dot(select(vec4<f32>(0.0), cost(row, v), inside), vec4<f32>(1.0));
}

fn chunk_result(row: Row, sum: Sum) -> Sum {
    return weight_of(row) * sum * params.walk.factor;
}
