// As rows_one.wgsl, for CPUs, where barriers are expensive: an invocation may take several rows.
// Expects: Row, Bases, walk_four, team, rows_each, end_row.
// Defines: walk_rows.
fn walk_rows(row: Row, needed: u32, bases: Bases, sample: u32, first: u32) {
    for (var i = 0u; i < rows_each; i += 1u) {
        walk_four(row, needed, bases, sample, first + i * (WORKGROUP / rows_each), team());
        end_row(i);
    }
}
