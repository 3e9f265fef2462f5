// The mask of a call of differential diffusion: a mixture of the mask and a binary mask, which is 1 where the mask reaches the
// threshold of the call.
// Host twin: `tweedie::math::run::RunLoop::mask`.
// Expects: the storage of the mask; from the host SMALL_WORKGROUP.
// Defines: MaskParams, the entry point, whose name the host fills in.
struct MaskParams {
    elements: u32,  // of a sample
    total: u32,     // elements of the batch
    stride: u32,    // elements from one sample of the mask to the next
    first: u32,     // index of the mask's first element in the binding
    groups_x: u32,  // workgroups along x; further ones go along y
    threshold: f32,
    @size(8) strength: f32, // share of the binary mask
}

@group(0) @binding(0) var<uniform> params: MaskParams;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read_write> of_call: array<f32>;

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn {{entry_point}}(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let i = (group.y * params.groups_x + group.x) * SMALL_WORKGROUP + local.x;
    if (i >= params.total) {
        return;
    }
    let place = params.first + (i / params.elements) * params.stride + i % params.elements;
    let m = element_{{storage}}(mask[word_of_{{storage}}(place)], place);
    let binary = select(0.0, 1.0, m >= params.threshold);
    of_call[i] = params.strength * binary + (1.0 - params.strength) * m;
}
