// What a chunk costs: its elements, added up, times the weight of their sample. They are added one after the other, so that
// it does not matter how a sample lies in lanes.
fn gather(row: Row, v: Inputs, inside: vec4<bool>) {
    let costs = select(vec4<f32>(0.0), cost(row, v), inside);
    mine = (((mine + costs.x) + costs.y) + costs.z) + costs.w;
}

fn chunk_result(row: Row, sum: Sum) -> Sum {
    return weight_of(row) * sum * params.window.factor;
}
