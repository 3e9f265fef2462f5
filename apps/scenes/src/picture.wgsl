// A picture as tensors have it, drawn where the window wants it: no texture, no copy.

struct Instance {
    // Left, top, right, bottom in clip space.
    @location(0) place: vec4<f32>,
    // Pixels of a row, rows, floats before the picture, and floats from colour to colour: none in a grey one.
    @location(1) shape: vec4<u32>,
    // What values are multiplied with: 1 shows -1 as black and 1 as full intensity.
    @location(2) gain: f32,
}

struct Seen {
    @builtin(position) position: vec4<f32>,
    // In pixels of the picture.
    @location(0) at: vec2<f32>,
    @location(1) @interpolate(flat) shape: vec4<u32>,
    @location(2) @interpolate(flat) gain: f32,
}

// As bits, because compilers may assume that no float is NaN.
@group(0) @binding(0) var<storage, read> numbers: array<u32>;

// Whether the target encodes linear light by itself.
override srgb_target: bool = false;
// Whether each pixel covers whole pixels of the window. Not a branch at run time: software drivers execute both sides of one.
override crisp: bool = false;

@vertex
fn corner(@builtin(vertex_index) index: u32, instance: Instance) -> Seen {
    let part = vec2<f32>(f32(index & 1u), f32(index >> 1u));
    let place = mix(instance.place.xy, instance.place.zw, part);
    let size = vec2<f32>(instance.shape.xy);
    return Seen(vec4<f32>(place, 0.0, 1.0), part * size, instance.shape, instance.gain);
}

fn bits(seen: Seen, x: u32, y: u32) -> vec3<u32> {
    let first = seen.shape.z + y * seen.shape.x + x;
    return vec3<u32>(numbers[first], numbers[first + seen.shape.w], numbers[first + 2u * seen.shape.w]);
}

fn undefined(word: vec3<u32>) -> vec3<bool> {
    return (word & vec3<u32>(0x7fffffffu)) > vec3<u32>(0x7f800000u);
}

// Within what can be seen, so that an infinite neighbour times 0 is 0.
fn colour(word: vec3<u32>, gain: f32) -> vec3<f32> {
    let value = select(bitcast<vec3<f32>>(word), vec3<f32>(0.0), undefined(word));
    return clamp(value * gain * 0.5 + 0.5, vec3<f32>(0.0), vec3<f32>(1.0));
}

// Stripes: no number is no colour.
fn striped(shown: vec3<f32>, nearest: vec3<u32>, position: vec4<f32>) -> vec3<f32> {
    let stripe = (u32(position.x + position.y) / 6u) % 2u;
    let colours = select(vec3<f32>(0.16, 0.08, 0.10), vec3<f32>(0.45, 0.14, 0.18), stripe == 0u);
    return select(shown, colours, any(undefined(nearest)));
}

// The four pixels around, weighted by their distance.
fn smooth_colour(seen: Seen) -> vec3<f32> {
    let last = vec2<f32>(seen.shape.xy) - 1.0;
    let at = clamp(seen.at - 0.5, vec2<f32>(0.0), last);
    let low = vec2<u32>(at);
    let high = min(low + 1u, seen.shape.xy - 1u);
    let part = at - vec2<f32>(low);
    let a = bits(seen, low.x, low.y);
    let b = bits(seen, high.x, low.y);
    let c = bits(seen, low.x, high.y);
    let d = bits(seen, high.x, high.y);
    let above = mix(colour(a, seen.gain), colour(b, seen.gain), part.x);
    let below = mix(colour(c, seen.gain), colour(d, seen.gain), part.x);
    let nearest = select(select(a, b, part.x >= 0.5), select(c, d, part.x >= 0.5), part.y >= 0.5);
    return striped(mix(above, below, part.y), nearest, seen.position);
}

@fragment
fn pixel(seen: Seen) -> @location(0) vec4<f32> {
    var shown: vec3<f32>;
    if crisp {
        let at = min(vec2<u32>(seen.at), seen.shape.xy - 1u);
        let word = bits(seen, at.x, at.y);
        shown = striped(colour(word, seen.gain), word, seen.position);
    } else {
        shown = smooth_colour(seen);
    }
    if srgb_target {
        shown = select(pow((shown + 0.055) / 1.055, vec3<f32>(2.4)), shown / 12.92, shown <= vec3<f32>(0.04045));
    }
    return vec4<f32>(shown, 1.0);
}
