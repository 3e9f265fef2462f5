// The timestep of a sample: its own, or the one that the batch shares.
// Expects: params.
// Defines: timestep_of.
fn timestep_of(sample: u32) -> u32 {
    return sample * params.window.timestep_stride;
}
