// A seed and a sample index for each sample: (seed low, high, sample low, high).
// Expects: first_sample, seeds.
// Defines: seed_of.
fn seed_of(sample: u32) -> vec4<u32> {
    return seeds[first_sample() + sample];
}
