// Pixels and floats: integers of 8 or 16 bits to floats of any storage, and back into a buffer or a texture.
// Host twin: `tweedie::gpu::PixelConversion`.
// Expects: the storage of the floats; from the host SMALL_WORKGROUP.
// Defines: PixelParams, the entry points of the sections, whose names the host fills in.
//# common
struct PixelParams {
    pixels: u32,         // of an image
    total: u32,          // elements of the output, or pixels of the texture
    float_channels: u32,
    float_planar: u32,
    pixel_channels: u32,
    pixel_planar: u32,
    first_float: u32,    // element
    first_word: u32,     // of the pixels
    groups_x: u32,       // workgroups along x; further ones go along y
    bits: u32,           // of a pixel's channel: 8 or 16
    rounding: f32,       // added before rounding down: 0 or 0.5
    least: f32,          // the float of 0
    most: f32,           // the float of the largest whole number
    step: f32,           // distance of the floats of neighbouring whole numbers
    steps: f32,          // 1 / step
    width: u32,
}

struct Place {
    image: u32,
    pixel: u32,
    channel: u32,
}

fn place_of(e: u32, channels: u32, planar: u32) -> Place {
    let size = channels * params.pixels;
    let rest = e % size;
    if (planar != 0u) {
        return Place(e / size, rest % params.pixels, rest / params.pixels);
    }
    return Place(e / size, rest / channels, rest % channels);
}

fn index_of(at: Place, channels: u32, planar: u32) -> u32 {
    // A grey picture has one channel for three colours.
    let channel = select(at.channel, 0u, channels == 1u);
    let within = select(at.pixel * channels + channel, channel * params.pixels + at.pixel, planar != 0u);
    return at.image * channels * params.pixels + within;
}

fn line_of(local: vec3<u32>, group: vec3<u32>) -> u32 {
    return (group.y * params.groups_x + group.x) * SMALL_WORKGROUP + local.x;
}
//# quantize
@group(0) @binding(0) var<uniform> params: PixelParams;
@group(0) @binding(1) var<storage, read> floats: array<u32>;

fn largest() -> f32 {
    return f32((1u << params.bits) - 1u);
}

// The whole number of a channel. A fourth channel that the floats do not have is opaque; NaN becomes 0.
fn whole_of(at: Place) -> f32 {
    if (at.channel == 3u && params.float_channels < 4u) {
        return largest();
    }
    let i = params.first_float + index_of(at, params.float_channels, params.float_planar);
    let x = element_{{storage}}(floats[word_of_{{storage}}(i)], i);
    let inside = (min(max(x, params.least), params.most) - params.least) * params.steps;
    let is_nan = (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
    return select(min(floor(inside + params.rounding), largest()), 0.0, is_nan);
}
//# to_pixels
@group(0) @binding(2) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn {{entry_point}}(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let line = line_of(local, group);
    let each = 32u / params.bits;
    let first = line * each;
    if (first >= params.total) {
        return;
    }
    // The bits after the last pixel stay as they are.
    var word = words[params.first_word + line];
    for (var j = 0u; j < each && first + j < params.total; j++) {
        let at = place_of(first + j, params.pixel_channels, params.pixel_planar);
        let mask = ((1u << params.bits) - 1u) << (j * params.bits);
        word = (word & ~mask) | (u32(whole_of(at)) << (j * params.bits));
    }
    words[params.first_word + line] = word;
}
//# to_texture
@group(0) @binding(2) var texture: texture_storage_2d<rgba8unorm, write>;

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn {{entry_point}}(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let pixel = line_of(local, group);
    if (pixel >= params.total) {
        return;
    }
    var colour = vec4<f32>(0.0);
    for (var c = 0u; c < 4u; c++) {
        // Whole numbers of 255ths, which the texture stores as they are.
        colour[c] = whole_of(Place(0u, pixel, c)) / largest();
    }
    textureStore(texture, vec2<u32>(pixel % params.width, pixel / params.width), colour);
}
//# to_floats
@group(0) @binding(0) var<uniform> params: PixelParams;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> floats: array<u32>;

fn float_of(at: Place) -> f32 {
    if (at.channel == 3u && params.pixel_channels < 4u) {
        return params.most;
    }
    let each = 32u / params.bits;
    let i = index_of(at, params.pixel_channels, params.pixel_planar);
    let whole = (words[params.first_word + i / each] >> ((i % each) * params.bits)) & ((1u << params.bits) - 1u);
    return params.least + f32(whole) * params.step;
}

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn {{entry_point}}(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    // An invocation writes a word; in the first and the last word only the elements that belong to the tensor.
    let line = word_of_{{storage}}(params.first_float) + line_of(local, group);
    let first = line * ELEMENTS_PER_WORD_{{storage}};
    if (first >= params.first_float + params.total) {
        return;
    }
    var word = floats[line];
    for (var j = 0u; j < ELEMENTS_PER_WORD_{{storage}}; j++) {
        let i = first + j;
        if (i >= params.first_float && i < params.first_float + params.total) {
            let at = place_of(i - params.first_float, params.float_channels, params.float_planar);
            word = with_element_{{storage}}(word, i, float_of(at));
        }
    }
    floats[line] = word;
}
