// The yardstick: a copy written by hand, four vec4 a thread, neighbouring threads beside each other.

@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4<u32>>;

const THREADS = 256u;
const EACH = 4u;

@compute @workgroup_size(256)
fn stream_copy(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = group.x * (THREADS * EACH) + thread;
    let end = arrayLength(&source);
    for (var i = 0u; i < EACH; i++) {
        let at = first + i * THREADS;
        if at < end {
            target_[at] = source[at];
        }
    }
}
