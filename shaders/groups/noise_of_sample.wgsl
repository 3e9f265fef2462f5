// The normals of what a kernel counts as a sample: here a sample itself.
// Expects: sample_block.
// Defines: draw_block.
fn draw_block(sample: u32, block: u32, stream: u32) -> vec4<f32> {
    return sample_block(sample, block, stream);
}
