// A convolution of 1 x 1 of the input of the block of layers is added. That input is one tensor, or the channels of two.

@group(0) @binding(5) var<storage, read> first: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> second: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> skip_weights: array<vec4<u32>>; // f16: [outputs / 8][first + second][8]

fn skip_weight(block: Block, channel: u32) -> array<vec4<f32>, 2> {
    return unpacked(skip_weights[block.channel / 8u * (conv.first + conv.second) + channel]);
}

fn finish(block: Block, upper: ptr<function, Sums>, lower: ptr<function, Sums>) {
    for (var channel = 0u; channel < conv.first; channel++) {
        let i = place(block, conv.first, channel, block.row);
        let pixels = array<vec4<f32>, 2>(first[i], first[i + conv.columns]);
        add_tap(upper, lower, skip_weight(block, channel), pixels);
    }
    for (var channel = 0u; channel < conv.second; channel++) {
        let i = place(block, conv.second, channel, block.row);
        let pixels = array<vec4<f32>, 2>(second[i], second[i + conv.columns]);
        add_tap(upper, lower, skip_weight(block, conv.first + channel), pixels);
    }
}
