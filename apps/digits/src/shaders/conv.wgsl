// A convolution of 3 x 3 with a border of zeros, as a matrix product in registers.
//
// An invocation makes eight output channels of a block of 4 x 2 pixels. For each input channel it loads once the pixels that
// the block reads, and every weight serves eight pixels. A file `read_` has the places of those pixels, a file `finish_` what
// is added to the sums. Activations are f32, sample after sample, plane after plane, row after row, in words of four pixels.

struct Conv {
    samples: u32,       // of the output
    input_samples: u32, // sample i of the output reads sample i % input_samples
    inputs: u32,        // channels
    outputs: u32,       // channels
    columns: u32,       // words in a row of the output
    rows: u32,          // of the output, even
    offset: u32,        // where the offsets begin
    offset_stride: u32, // from the offsets of a sample to those of the next: 0 for a bias
    first: u32,         // channels of the first tensor of a skip
    second: u32,        // and of the second
}

@group(0) @binding(0) var<uniform> conv: Conv;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>; // f16: [outputs / 8][inputs][3][3][8]
@group(0) @binding(3) var<storage, read> offsets: array<f32>;       // of each output channel
@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;

// The inputs that the three taps in a row of the kernel multiply, for four pixels of the output.
struct Taps {
    left: vec4<f32>,
    middle: vec4<f32>,
    right: vec4<f32>,
}

// The same for the three rows of the kernel, at the upper and the lower row of the block.
struct Window {
    upper: array<Taps, 3>,
    lower: array<Taps, 3>,
}

// The place of an invocation's block.
struct Block {
    sample: u32,
    column: u32,
    row: u32,
    channel: u32, // the first of eight
}

// Eight channels of four pixels: a column of a matrix is a channel.
struct Sums {
    low: mat4x4<f32>,
    high: mat4x4<f32>,
}

fn outer(channels: vec4<f32>, pixels: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(channels.x * pixels, channels.y * pixels, channels.z * pixels, channels.w * pixels);
}

// Adds the products of one tap: eight weights times four pixels in each row.
fn add_tap(upper: ptr<function, Sums>, lower: ptr<function, Sums>, weight: array<vec4<f32>, 2>, pixels: array<vec4<f32>, 2>) {
    (*upper).low += outer(weight[0], pixels[0]);
    (*upper).high += outer(weight[1], pixels[0]);
    (*lower).low += outer(weight[0], pixels[1]);
    (*lower).high += outer(weight[1], pixels[1]);
}

// Eight weights in f16.
fn unpacked(word: vec4<u32>) -> array<vec4<f32>, 2> {
    let low = vec4<f32>(unpack2x16float(word.x), unpack2x16float(word.y));
    let high = vec4<f32>(unpack2x16float(word.z), unpack2x16float(word.w));
    return array<vec4<f32>, 2>(low, high);
}

// Adds the products of a row of the kernel.
fn add_row(upper: ptr<function, Sums>, lower: ptr<function, Sums>, i: u32, above: Taps, below: Taps) {
    add_tap(upper, lower, unpacked(weights[i]), array<vec4<f32>, 2>(above.left, below.left));
    add_tap(upper, lower, unpacked(weights[i + 1u]), array<vec4<f32>, 2>(above.middle, below.middle));
    add_tap(upper, lower, unpacked(weights[i + 2u]), array<vec4<f32>, 2>(above.right, below.right));
}

fn offset_of(block: Block) -> Sums {
    let i = conv.offset + block.sample * conv.offset_stride + block.channel;
    let one = vec4<f32>(1.0);
    let low = vec4<f32>(offsets[i], offsets[i + 1u], offsets[i + 2u], offsets[i + 3u]);
    let high = vec4<f32>(offsets[i + 4u], offsets[i + 5u], offsets[i + 6u], offsets[i + 7u]);
    return Sums(outer(low, one), outer(high, one));
}

// Where the word of a channel's pixels lies in a tensor with this many channels.
fn place(block: Block, channels: u32, channel: u32, row: u32) -> u32 {
    return ((block.sample * channels + channel) * conv.rows + row) * conv.columns + block.column;
}

fn store(block: Block, row: u32, sums: Sums) {
    let i = place(block, conv.outputs, block.channel, row);
    let plane = conv.rows * conv.columns;
    output[i] = sums.low[0];
    if (conv.outputs == 1u) {
        return; // a prediction has one channel
    }
    output[i + plane] = sums.low[1];
    output[i + 2u * plane] = sums.low[2];
    output[i + 3u * plane] = sums.low[3];
    output[i + 4u * plane] = sums.high[0];
    output[i + 5u * plane] = sums.high[1];
    output[i + 6u * plane] = sums.high[2];
    output[i + 7u * plane] = sums.high[3];
}

@compute @workgroup_size(32)
fn convolve(@builtin(global_invocation_id) id: vec3<u32>) {
    let blocks = conv.columns * conv.rows / 2u;
    let inside = id.x % blocks;
    let block = Block(id.x / blocks, inside % conv.columns, inside / conv.columns * 2u, id.y * 8u);
    if (block.sample >= conv.samples) {
        return;
    }
    var upper = offset_of(block);
    var lower = upper;
    for (var channel = 0u; channel < conv.inputs; channel++) {
        let seen = window((block.sample % conv.input_samples) * conv.inputs + channel, block);
        let i = (id.y * conv.inputs + channel) * 9u;
        add_row(&upper, &lower, i, seen.upper[0], seen.lower[0]);
        add_row(&upper, &lower, i + 3u, seen.upper[1], seen.lower[1]);
        add_row(&upper, &lower, i + 6u, seen.upper[2], seen.lower[2]);
    }
    finish(block, &upper, &lower);
    store(block, block.row, upper);
    store(block, block.row + 1u, lower);
}
