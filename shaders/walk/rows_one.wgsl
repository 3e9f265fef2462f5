// What an invocation adds up of a chunk: one row of the tree of sums, four lanes.
// Expects: Row, Bases, walk_four, team.
// Defines: walk_rows.
fn walk_rows(row: Row, needed: u32, bases: Bases, sample: u32, first: u32) {
    // Four lanes for each of a whole workgroup are a chunk; a smaller team has a sample of as few lanes.
    walk_four(row, needed, bases, sample, first, team());
}
