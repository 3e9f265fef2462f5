// A sample's sum, of the sums of its parts: every invocation takes each 256th of them.
@group(0) @binding(1) var<storage, read_write> scratch: array<Sum>;

fn conclude(sample: u32, invocation: u32) {
    var mine: Sum;
    if (sample < finish.samples) {
        for (var part = invocation; part < finish.parts; part += 256u) {
            mine = plus(mine, scratch[sample * finish.parts + part]);
        }
    }
    let sum = tree(invocation, mine);
    if (invocation == 0u && sample < finish.samples) {
        finish_sum(sample, sum);
    }
}
