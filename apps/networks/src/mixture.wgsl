// The best answer for a mixture of Gaussians: that of a perfectly trained network.
//
// `weigh` finds how well each component explains each sample, `answer` mixes their answers. It is a kernel as applications have
// them, and shares nothing with tweedie's.

// What one call asks of the network; the answer is x0 * E[x0 | x] + epsilon * E[epsilon | x].
struct Ask {
    alpha: f32,
    sigma: f32,
    x0: f32,
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> call: u32; // where in `asks`: an entry of a list, or a counter on the GPU
@group(0) @binding(1) var<storage, read> asks: array<Ask>;
@group(0) @binding(2) var<storage, read> means: array<f32>; // component after component
@group(0) @binding(3) var<storage, read> log_weights: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<f32>; // sample after sample
@group(0) @binding(5) var<storage, read_write> fits: array<f32>; // ln(weight * density), up to a constant
@group(0) @binding(6) var<storage, read_write> prediction: array<f32>;

override elements: u32;
override components: u32;
override deviation: f32; // of every component, in every direction

// The variance of a component in x.
fn spread(ask: Ask) -> f32 {
    let data = ask.alpha * deviation;
    return data * data + ask.sigma * ask.sigma;
}

override width: u32; // threads of a workgroup: a power of two, at most 64
var<workgroup> partial: array<f32, 64>;

// A workgroup for each component and sample.
@compute @workgroup_size(width)
fn weigh(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let ask = asks[call];
    var sum = 0.0;
    for (var i = thread; i < elements; i += width) {
        let away = x[group.y * elements + i] - ask.alpha * means[group.x * elements + i];
        sum += away * away;
    }
    partial[thread] = sum;
    for (var half = width / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) { partial[thread] += partial[thread + half]; }
    }
    if (thread == 0u) {
        fits[group.y * components + group.x] = log_weights[group.x] - partial[0] / (2.0 * spread(ask));
    }
}

// A thread for each element.
@compute @workgroup_size(width)
fn answer(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= elements) { return; }
    let ask = asks[call];
    let fit = id.y * components;
    var best = fits[fit];
    for (var k = 1u; k < components; k++) { best = max(best, fits[fit + k]); }

    let seen = x[id.y * elements + id.x];
    var whole = 0.0;
    var x0 = 0.0;
    var epsilon = 0.0;
    for (var k = 0u; k < components; k++) {
        let share = exp(fits[fit + k] - best);
        let mean = means[k * elements + id.x];
        let surprise = (seen - ask.alpha * mean) / spread(ask);
        whole += share;
        x0 += share * (mean + ask.alpha * deviation * deviation * surprise);
        epsilon += share * ask.sigma * surprise;
    }
    prediction[id.y * elements + id.x] = (ask.x0 * x0 + ask.epsilon * epsilon) / whole;
}
