// One seed for the batch, and samples counted from the key's: (seed low, high, sample low, high).
// Expects: key, first_sample.
// Defines: seed_of.
fn seed_of(sample: u32) -> vec4<u32> {
    let index = first_sample() + sample;
    let low = key.sample.x + index;
    // The carry into the high word: a sum that wrapped is less than what was added.
    return vec4<u32>(key.seed, low, key.sample.y + select(0u, 1u, low < index));
}
