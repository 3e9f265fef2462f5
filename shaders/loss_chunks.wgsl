// What a chunk costs: its elements, added up, times the weight of their sample.
fn gather(row: Row, v: Inputs, inside: vec4<bool>) {
    mine += dot(select(vec4<f32>(0.0), cost(row, v), inside), vec4<f32>(1.0));
}

fn chunk_result(row: Row, sum: Sum) -> Sum {
    return weight_of(row) * sum * params.window.factor;
}
