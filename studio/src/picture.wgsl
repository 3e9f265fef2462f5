// A picture as tensors have it, drawn where the window wants it: no texture, no copy.

struct Instance {
    // Left, top, right, bottom in clip space.
    @location(0) place: vec4<f32>,
    // Pixels of a row, rows, and floats before the picture.
    @location(1) shape: vec3<u32>,
    // What values are multiplied with: 1 shows -1 as black and 1 as full intensity.
    @location(2) gain: f32,
}

struct Seen {
    @builtin(position) position: vec4<f32>,
    // In pixels of the picture.
    @location(0) at: vec2<f32>,
    @location(1) @interpolate(flat) shape: vec3<u32>,
    @location(2) @interpolate(flat) gain: f32,
}

@group(0) @binding(0) var<storage, read> numbers: array<f32>;

// Whether the target encodes linear light by itself.
override srgb_target: bool = false;

@vertex
fn corner(@builtin(vertex_index) index: u32, instance: Instance) -> Seen {
    let part = vec2<f32>(f32(index & 1u), f32(index >> 1u));
    let place = mix(instance.place.xy, instance.place.zw, part);
    let size = vec2<f32>(instance.shape.xy);
    return Seen(vec4<f32>(place, 0.0, 1.0), part * size, instance.shape, instance.gain);
}

fn colour(seen: Seen, x: u32, y: u32) -> vec3<f32> {
    let plane = seen.shape.x * seen.shape.y;
    let first = seen.shape.z + y * seen.shape.x + x;
    return vec3<f32>(numbers[first], numbers[first + plane], numbers[first + 2u * plane]);
}

// Bits, because x != x is false for NaN on some drivers.
fn undefined(c: vec3<f32>) -> bool {
    return any((bitcast<vec3<u32>>(c) & vec3<u32>(0x7fffffffu)) > vec3<u32>(0x7f800000u));
}

@fragment
fn pixel(seen: Seen) -> @location(0) vec4<f32> {
    // The four pixels around, weighted by their distance.
    let last = vec2<f32>(seen.shape.xy) - 1.0;
    let at = clamp(seen.at - 0.5, vec2<f32>(0.0), last);
    let low = vec2<u32>(at);
    let high = min(low + 1u, seen.shape.xy - 1u);
    let part = at - vec2<f32>(low);
    let above = mix(colour(seen, low.x, low.y), colour(seen, high.x, low.y), part.x);
    let below = mix(colour(seen, low.x, high.y), colour(seen, high.x, high.y), part.x);
    let value = mix(above, below, part.y);
    var shown = clamp(value * seen.gain * 0.5 + 0.5, vec3<f32>(0.0), vec3<f32>(1.0));
    if undefined(value) {
        // Stripes: no number is no colour.
        let stripe = (u32(seen.position.x + seen.position.y) / 6u) % 2u;
        shown = select(vec3<f32>(0.16, 0.08, 0.10), vec3<f32>(0.45, 0.14, 0.18), stripe == 0u);
    }
    if srgb_target {
        shown = select(pow((shown + 0.055) / 1.055, vec3<f32>(2.4)), shown / 12.92, shown <= vec3<f32>(0.04045));
    }
    return vec4<f32>(shown, 1.0);
}
