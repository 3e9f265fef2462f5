// The noise of another system, each element of which follows from a counter of its own: torch on CUDA, the NV source of web
// interfaces, JAX. Host twin: `tweedie::noise::Generator`, whose random words are the same to the bit.
// Expects: philox, multiply_wide (product_words), normal, small_log1p, threefry; from the host SMALL_WORKGROUP and the kinds
// SOURCE_CUDA, SOURCE_NV, SOURCE_JAX, SOURCE_JAX_ORIGINAL.
// Defines: SourceParams, the entry point draw_source.
struct SourceParams {
    count: u32,
    first: u32,    // word of the first element
    groups_x: u32, // workgroups along x; further ones go along y
    kind: u32,
    key: vec2<u32>,
    call: vec2<u32>, // index of a thread's first call: low, high
    @size(16) threads: u32,
}

@group(0) @binding(0) var<storage, read_write> noise: array<f32>;
@group(0) @binding(1) var<uniform> params: SourceParams;

// The logarithm of a positive normal number.
fn log_of(u: f32) -> f32 {
    let bits = bitcast<u32>(u);
    let octave = (i32(bits) - 0x3F3504F3) >> 23u;
    let mantissa = bitcast<f32>(bits - (bitcast<u32>(octave) << 23u)); // in [sqrt(1/2), sqrt(2))
    return f32(octave) * 0.6931472 + small_log1p(mantissa - 1.0);
}

// The normal of element i on a CUDA device, from the call, the thread and the component that compute it there.
fn cuda_normal(i: u32) -> f32 {
    let threads = params.threads;
    let call = i / (4u * threads);
    let rest = i % (4u * threads);
    let component = rest / threads;
    let low = params.call.x + call;
    // The carry into the high word: a sum that wrapped is less than what was added.
    let high = params.call.y + select(0u, 1u, low < call);
    let w = philox4x32_10(vec4<u32>(low, high, rest % threads, 0u), params.key);
    let pair = select(w.zw, w.xy, component < 2u);
    // cuRAND's u is rounded to f32, and may be 1.
    let u = f32(pair.x) * 2.3283064365386963e-10 + 1.1641532182693481e-10; // 2^-32, 2^-33
    let radius = sqrt(max(-2.0 * log_of(u), 0.0));
    let normals = normal_pair(pair.x, pair.y) * (radius / box_muller_radius(pair.x));
    return select(normals.x, normals.y, (component & 1u) == 1u);
}

fn nv_normal(i: u32) -> f32 {
    let w = philox4x32_10(vec4<u32>(params.call, i, 0u), params.key);
    return normal_pair(w.x, w.y).x;
}

fn jax_bits(i: u32) -> u32 {
    if (params.kind == SOURCE_JAX) {
        let w = threefry2x32_20(vec2<u32>(0u, i), params.key);
        return w.x ^ w.y;
    }
    let half = (params.count + 1u) / 2u;
    let first = select(i - half, i, i < half);
    let second = first + half;
    // With an odd count, the missing last counter is 0.
    let w = threefry2x32_20(vec2<u32>(first, select(0u, second, second < params.count)), params.key);
    return select(w.y, w.x, i < half);
}

// XLA's inverse of the error function (Giles 2010).
fn erf_inv(x: f32) -> f32 {
    let z = -x * x;
    let w = -select(log_of(1.0 + z), small_log1p(z), z > -0.29);
    if (w < 5.0) {
        let v = w - 2.5;
        var p = 2.8102264e-8;
        p = p * v + 3.4327394e-7;
        p = p * v - 3.5233877e-6;
        p = p * v - 4.3915065e-6;
        p = p * v + 0.00021858087;
        p = p * v - 0.001253725;
        p = p * v - 0.0041776816;
        p = p * v + 0.24664073;
        return (p * v + 1.5014094) * x;
    }
    let v = sqrt(w) - 3.0;
    var p = -0.00020021426;
    p = p * v + 0.00010095056;
    p = p * v + 0.0013493432;
    p = p * v - 0.0036734284;
    p = p * v + 0.0057395077;
    p = p * v - 0.0076224613;
    p = p * v + 0.0094388705;
    p = p * v + 1.0016741;
    return (p * v + 2.8329768) * x;
}

fn jax_normal(i: u32) -> f32 {
    let low = -0.99999994; // the f32 after -1
    let u = bitcast<f32>((jax_bits(i) >> 9u) | 0x3F800000u) - 1.0;
    return 1.4142135 * erf_inv(max(u * 2.0 + low, low));
}

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn draw_source(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let i = (group.y * params.groups_x + group.x) * SMALL_WORKGROUP + local.x;
    if (i >= params.count) {
        return;
    }
    var normal = 0.0;
    if (params.kind == SOURCE_CUDA) {
        normal = cuda_normal(i);
    } else if (params.kind == SOURCE_NV) {
        normal = nv_normal(i);
    } else {
        normal = jax_normal(i);
    }
    noise[params.first + i] = normal;
}
