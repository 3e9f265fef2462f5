// The timestep of a run, with timesteps per group: that of its group in its sample. All timesteps of the batch are bound.
// Expects: params, first_sample.
// Defines: timestep_of.
fn timestep_of(run: u32) -> u32 {
    let index = first_sample() + run;
    return index / params.window.runs * params.window.groups + index % params.window.groups;
}
