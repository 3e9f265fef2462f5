// Chunks that come to a sum each: the partial sums of a team's invocations are added up as a tree.
// Expects: Sum, tree, team, row_at, params, scratch; of the op: accumulate, which adds to `partial`, and chunk_result.
// Defines: partial, clear_shared, load_sample_state, write_partial.
var<private> partial: Sum;

// The tree writes workgroup memory before it reads it.
fn clear_shared(invocation: u32) {
}

fn load_sample_state(sample: u32) {
}

fn write_partial(sample: u32, chunk: u32, invocation: u32) {
    let sum = tree(invocation, team(), partial);
    if (invocation % team() == 0u && sample < params.window.batch) {
        scratch[params.walk.first_sum + sample * params.walk.chunks + chunk] = chunk_result(row_at(sample), sum);
    }
}
