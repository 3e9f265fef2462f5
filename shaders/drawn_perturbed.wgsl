// As `drawn.wgsl`, with an offset for each channel and a second noise added. Blocks below 2^30 are the noise itself, those
// from 2^30 the second noise, from 2^31 the offsets. Host twin: `tweedie::noise::Perturbation`.
fn drawn_block(sample: u32, block: u32, step: u32) -> vec4<f32> {
    let id = seed_of(sample);
    let stream = key.stream + step;
    var z = normal_block(vec4<u32>(block, stream, id.zw), id.xy);
    if (key.perturbation.x != 0.0) {
        let channel = (vec4<u32>(4u * block) + vec4<u32>(0u, 1u, 2u, 3u)) / key.channel;
        // Four elements belong to four channels at most, and those to two blocks.
        let first = normal_block(vec4<u32>(0x80000000u + channel.x / 4u, stream, id.zw), id.xy);
        var last = first;
        if (channel.w / 4u != channel.x / 4u) {
            last = normal_block(vec4<u32>(0x80000000u + channel.w / 4u, stream, id.zw), id.xy);
        }
        let of_last = (channel / 4u) != vec4<u32>(channel.x / 4u);
        let a = vec4<f32>(first[channel.x & 3u], first[channel.y & 3u], first[channel.z & 3u], first[channel.w & 3u]);
        let b = vec4<f32>(last[channel.x & 3u], last[channel.y & 3u], last[channel.z & 3u], last[channel.w & 3u]);
        z += key.perturbation.x * select(a, b, of_last);
    }
    if (key.perturbation.y != 0.0) {
        z += key.perturbation.y * normal_block(vec4<u32>(0x40000000u + block, stream, id.zw), id.xy);
    }
    return z;
}
