// Which timestep a run has, where groups of a sample's elements have their own: that of its sample's group. All timesteps of
// the batch are bound.
// Expects: params, first_sample.
// Defines: timestep_of.
fn timestep_of(run: u32) -> u32 {
    let index = first_sample() + run;
    return index / params.window.runs * params.window.groups + index % params.window.groups;
}
