// Chunks that are reduced to a sum each: the partial sums of a team's invocations are added up as a tree.
// Expects: Sum, plus, tree, tree_of_all, tree_of_columns, team, one_sample, rows_each, Row, params, scratch; of the op:
// accumulate, which adds to `partial`, and chunk_result.
// Defines: partial, clear_shared, load_sample_state, end_row, write_partial.
var<private> partial: Sum;
// The sum of an invocation's rows, in the order of the first level of the tree.
var<private> column: Sum;
// The row of the invocation's sample, kept for the end: reading it again would take two dependent loads.
var<private> row_of_chunk: Row;

// The tree writes workgroup memory before it reads it.
fn clear_shared(invocation: u32) {
}

fn load_sample_state(sample: u32, row: Row) {
    row_of_chunk = row;
}

fn end_row(row: u32) {
    if (rows_each > 1u) {
        let sum = partial;
        var zero: Sum;
        partial = zero;
        if (row == 0u) {
            column = sum;
        } else {
            column = plus(column, sum);
        }
    }
}

fn write_partial(sample: u32, chunk: u32, invocation: u32) {
    var sum: Sum;
    if (rows_each > 1u) {
        sum = tree_of_columns(invocation, column);
    } else if (one_sample) {
        sum = tree_of_all(invocation, partial);
    } else {
        sum = tree(invocation, team(), partial);
    }
    if (invocation % team() == 0u && sample < params.window.batch) {
        scratch[params.walk.first_sum + sample * params.walk.chunks + chunk] = chunk_result(row_of_chunk, sum);
    }
}
