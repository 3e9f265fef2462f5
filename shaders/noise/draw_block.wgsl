// Four normals of a sample of this window: elements 4 * block to 4 * block + 3 of the whole sample, on the stream of its row.
// Expects: key, seed_of, normal_block.
// Defines: sample_block.
fn sample_block(sample: u32, block: u32, stream: u32) -> vec4<f32> {
    let id = seed_of(sample);
    return normal_block(vec4<u32>(block, key.stream + stream, id.zw), id.xy);
}
