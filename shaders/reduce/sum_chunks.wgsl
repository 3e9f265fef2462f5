// Chunks that come to a sum each: the partial sums of a team's invocations are added up as a tree.
// Expects: Sum, tree, tree_of_all, team, one_sample, Row, params, scratch; of the op: accumulate, which adds to `partial`, and
// chunk_result.
// Defines: partial, clear_shared, load_sample_state, write_partial.
var<private> partial: Sum;
// Of the invocation's sample: read again at the end it would be two loads that wait for each other.
var<private> row_of_chunk: Row;

// The tree writes workgroup memory before it reads it.
fn clear_shared(invocation: u32) {
}

fn load_sample_state(sample: u32, row: Row) {
    row_of_chunk = row;
}

fn write_partial(sample: u32, chunk: u32, invocation: u32) {
    var sum: Sum;
    if (one_sample) {
        sum = tree_of_all(invocation, partial);
    } else {
        sum = tree(invocation, team(), partial);
    }
    if (invocation % team() == 0u && sample < params.window.batch) {
        scratch[params.walk.first_sum + sample * params.walk.chunks + chunk] = chunk_result(row_of_chunk, sum);
    }
}
