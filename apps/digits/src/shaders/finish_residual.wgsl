// The input of the block of layers is added: it has as many channels as the output.

@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;

fn four(i: u32) -> mat4x4<f32> {
    let plane = conv.rows * conv.columns;
    return mat4x4<f32>(residual[i], residual[i + plane], residual[i + 2u * plane], residual[i + 3u * plane]);
}

fn add(sums: ptr<function, Sums>, block: Block, row: u32) {
    (*sums).low += four(place(block, conv.outputs, block.channel, row));
    (*sums).high += four(place(block, conv.outputs, block.channel + 4u, row));
}

fn finish(block: Block, upper: ptr<function, Sums>, lower: ptr<function, Sums>) {
    add(upper, block, block.row);
    add(lower, block, block.row + 1u);
}
