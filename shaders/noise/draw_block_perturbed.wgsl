// As `sample_block` of draw_block.wgsl, with an offset for each channel and a second noise added. Blocks below 2^30 are the noise
// itself, those from 2^30 the second noise, and those from 2^31 the offsets. Host twin: `tweedie::noise::Perturbation`.
// Expects: key, seed_of, normal_block.
// Defines: sample_block.
fn sample_block(sample: u32, block: u32, stream: u32) -> vec4<f32> {
    let id = seed_of(sample);
    let channel = (vec4<u32>(4u * block) + vec4<u32>(0u, 1u, 2u, 3u)) / key.channel;
    // Four elements belong to at most four channels, and these to at most two blocks.
    let blocks = vec4<u32>(block, 0x80000000u + channel.x / 4u, 0x80000000u + channel.w / 4u, 0x40000000u + block);
    let offset = key.perturbation.x != 0.0;
    let used = vec4<bool>(true, offset, offset && blocks.y != blocks.z, key.perturbation.y != 0.0);
    var z = vec4<f32>(0.0);
    // The generator is called in a loop: a compiler that copies functions into their callers (FXC) takes seconds over four calls.
    for (var part = 0u; part < 4u; part += 1u) {
        if (!used[part]) {
            continue;
        }
        let n = normal_block(vec4<u32>(blocks[part], key.stream + stream, id.zw), id.xy);
        if (part == 0u) {
            z = n;
        } else if (part == 3u) {
            z += key.perturbation.y * n;
        } else {
            let of_channels = vec4<f32>(n[channel.x & 3u], n[channel.y & 3u], n[channel.z & 3u], n[channel.w & 3u]);
            let here = vec4<u32>(0x80000000u) + channel / 4u == vec4<u32>(blocks[part]);
            z = select(z, z + key.perturbation.x * of_channels, here);
        }
    }
    return z;
}
