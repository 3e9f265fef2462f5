// The normals of what a kernel counts as a sample: of a run, where groups of a sample's elements have timesteps of their own.
// They are those that its elements have in their sample, so that noise does not depend on the groups.
// Expects: params, first_sample, sample_block.
// Defines: draw_block.
fn draw_block(run: u32, block: u32, stream: u32) -> vec4<f32> {
    let index = first_sample() + run;
    // Samples are counted from the first run of the window, below 0 too.
    let sample = index / params.window.runs - first_sample();
    let element = index % params.window.runs * params.window.run + 4u * block;
    let shift = element & 3u;
    // A run rarely begins where a block does: then its blocks are made of two. One generator in a loop: a compiler that copies
    // functions into their callers (FXC) takes seconds over two.
    var here = vec4<f32>(0.0);
    var after = here;
    for (var part = 0u; part < 2u; part += 1u) {
        if (part == 1u && shift == 0u) {
            continue;
        }
        let normals = sample_block(sample, element / 4u + part, stream);
        if (part == 0u) {
            here = normals;
        } else {
            after = normals;
        }
    }
    let place = vec4<u32>(shift) + vec4<u32>(0u, 1u, 2u, 3u);
    return vec4<f32>(
        here[shift],
        select(here[place.y & 3u], after[place.y & 3u], place.y >= 4u),
        select(here[place.z & 3u], after[place.z & 3u], place.z >= 4u),
        select(here[place.w & 3u], after[place.w & 3u], place.w >= 4u),
    );
}
