// The normals of what a kernel counts as a sample: here a run, with timesteps per group. They are the normals that its elements
// have in their sample, so that noise does not depend on the groups.
// Expects: params, first_sample, sample_block.
// Defines: draw_block.
fn draw_block(run: u32, block: u32, stream: u32) -> vec4<f32> {
    let index = first_sample() + run;
    // `sample_block` adds the window's first run, so it is subtracted here; the difference may wrap below 0.
    let sample = index / params.window.runs - first_sample();
    let element = index % params.window.runs * params.window.run + 4u * block;
    let shift = element & 3u;
    // A run rarely begins where a block does: four of its normals then come from two blocks. The generator is called in a loop,
    // since a compiler that copies functions into their callers (FXC) takes seconds over two calls.
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
