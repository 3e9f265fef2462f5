// One seed for the batch, and samples counted from its first one: (seed low, high, sample low, high).
fn seed_of(sample: u32) -> vec4<u32> {
    let index = params.window.first_sample + sample;
    let low = key.sample.x + index;
    return vec4<u32>(key.seed, low, key.sample.y + select(0u, 1u, low < index));
}
