// A sample's sum, of the sums of its parts, which the invocations of a team take in turns.
@group(0) @binding(1) var<storage, read_write> scratch: array<Sum>;

fn conclude(workgroup: u32, invocation: u32) {
    let sample = workgroup * (256u / finish.team) + invocation / finish.team;
    let first = invocation % finish.team;
    var mine: Sum;
    if (sample < finish.samples) {
        for (var part = first; part < finish.parts; part += finish.team) {
            mine = plus(mine, scratch[sample * finish.parts + part]);
        }
    }
    let sum = tree(invocation, finish.team, mine);
    if (first == 0u && sample < finish.samples) {
        finish_sum(sample, sum);
    }
}
