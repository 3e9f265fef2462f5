// The part of a chunk that an invocation adds up: one row of the tree of sums, four lanes.
// Expects: Row, Bases, walk_four, team.
// Defines: walk_rows.
fn walk_rows(row: Row, needed: u32, bases: Bases, sample: u32, first: u32) {
    // Four lanes for each invocation of a workgroup are a chunk. A smaller team has a sample with accordingly fewer lanes.
    walk_four(row, needed, bases, sample, first, team());
}
