// The yardstick: a copy written by hand, four vec4 a thread, neighbouring threads on neighbouring vec4. All four are read before
// the first is written, so that they are in flight together.

@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4<u32>>;

const THREADS = 256u;
const EACH = 4u;

@compute @workgroup_size(256)
fn stream_copy(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = group.x * (THREADS * EACH) + thread;
    let end = arrayLength(&source);
    if (group.x + 1u) * (THREADS * EACH) <= end {
        let a = source[first];
        let b = source[first + THREADS];
        let c = source[first + 2u * THREADS];
        let d = source[first + 3u * THREADS];
        target_[first] = a;
        target_[first + THREADS] = b;
        target_[first + 2u * THREADS] = c;
        target_[first + 3u * THREADS] = d;
        return;
    }
    for (var at = first; at < end; at += THREADS) {
        target_[at] = source[at];
    }
}
