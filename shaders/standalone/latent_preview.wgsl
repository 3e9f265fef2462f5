// The preview of a latent: the colour of each cell by a matrix, into a buffer or a texture.
// Host twin: `tweedie::math::LatentFormat::preview_of`.
// Expects: the storage of the latent; from the host SMALL_WORKGROUP.
// Defines: PreviewParams, the entry points of the sections, whose names the host fills in.
//# common
struct PreviewParams {
    width: u32,        // of the preview
    height: u32,
    channels: u32,     // rows of the matrix without the bias
    edge: u32,         // pixels of the preview along an edge of a cell of the latent
    cells: u32,        // of a channel of the latent, all frames together
    row: u32,          // cells of a row of the latent
    first: u32,        // element of the frame's first cell
    first_word: u32,   // of the preview
    pitch: u32,        // words of a row of the preview
    @size(28) groups_x: u32, // workgroups along x; further ones go along y
}

@group(0) @binding(0) var<uniform> params: PreviewParams;
@group(0) @binding(1) var<storage, read> latent: array<u32>;
@group(0) @binding(2) var<storage, read> matrix: array<vec4<f32>>;

fn load(i: u32) -> f32 {
    return element_{{storage}}(latent[word_of_{{storage}}(i)], i);
}

// Whole 255ths, rounded down as in ComfyUI; NaN becomes 0.
fn colour_at(x: u32, y: u32) -> vec4<u32> {
    let edge = params.edge;
    let cell = params.first + (y / edge) * params.row + x / edge;
    // A cell that unfolds to several pixels has `edge*edge` channels for each row of the matrix.
    let within = edge * (y % edge) + x % edge;
    var colour = matrix[params.channels];
    for (var c = 0u; c < params.channels; c++) {
        colour += load(cell + (c * edge * edge + within) * params.cells) * matrix[c];
    }
    let is_nan = (bitcast<vec4<u32>>(colour) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    let inside = (min(max(colour, vec4<f32>(-1.0)), vec4<f32>(1.0)) + 1.0) * 127.5;
    return select(vec4<u32>(inside), vec4<u32>(0u), is_nan);
}
//# to_buffer
@group(0) @binding(3) var<storage, read_write> preview: array<u32>;

fn put(x: u32, y: u32, rgb: vec4<u32>) {
    preview[params.first_word + y * params.pitch + x] = rgb.x | (rgb.y << 8u) | (rgb.z << 16u) | 0xff000000u;
}
//# to_texture
@group(0) @binding(3) var preview: texture_storage_2d<rgba8unorm, write>;

fn put(x: u32, y: u32, rgb: vec4<u32>) {
    textureStore(preview, vec2<u32>(x, y), vec4<f32>(vec3<f32>(rgb.xyz) / 255.0, 1.0));
}
//# entry
@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn {{entry_point}}(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let i = (group.y * params.groups_x + group.x) * SMALL_WORKGROUP + local.x;
    if (i >= params.width * params.height) {
        return;
    }
    let x = i % params.width;
    let y = i / params.width;
    put(x, y, colour_at(x, y));
}
