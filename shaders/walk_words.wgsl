// Any size, stride and offset. Two 16-bit elements share a word, so a word has exactly one owner: the slots of the leading
// output are walked in pairs that start at a whole word of it, and a half that belongs to nobody is kept as it was.
struct Place {
    sample: u32,
    element: u32,
    inside: bool,
}

fn place_of(slot: u32) -> Place {
    let run = slot / params.window.span;
    let packed = params.window.parity >> 2u;
    let lead = ((params.window.parity & 1u) + run * ((params.window.parity >> 1u) & 1u)) & packed;
    let position = slot - run * params.window.span - lead; // wraps below 0 and is then outside
    if (params.window.contiguous == 1u) {
        let sample = position / params.window.elements;
        let inside = slot >= lead && sample < params.window.batch;
        return Place(sample, position - sample * params.window.elements, inside);
    }
    return Place(run, position, position < params.window.elements && run < params.window.batch);
}

// What neighbouring elements share: the row of their sample and, where noise is drawn, their block of four normals.
struct Shared {
    sample: u32,
    row: Row,
    block: u32,
    normals: vec4<f32>,
}

fn element_at(place: Place, known: ptr<function, Shared>) -> Outputs {
    var values: Outputs;
    if (!place.inside) {
        return values;
    }
    let sample = place.sample;
    if (sample != (*known).sample) {
        (*known).sample = sample;
        (*known).row = row_at(sample);
        (*known).block = 0xffffffffu;
    }
    let row = (*known).row;
    let needed = needs(row);
    var z = 0.0;
    if (DRAWN && (needed & NEEDS_NOISE) == NEEDS_NOISE) {
        let element = params.window.first_element + place.element;
        let block = element / 4u;
        if (block != (*known).block) {
            (*known).block = block;
            (*known).normals = drawn_block(sample, block, step_of(row));
        }
        z = (*known).normals[element & 3u];
    }
    values = op(row, read_element(row, needed, sample, place.element, z));
    keep_element(row, sample, place.element, values);
    if (!row.defined && place.element == 0u) {
        report_undefined(sample);
    }
    return values;
}

@compute @workgroup_size(256, 1, 1)
fn words(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let invocation = (group.y * params.window.groups + group.x) * 256u + local.x;
    if (invocation < params.window.slots / 4u) {
        var known: Shared;
        known.sample = 0xffffffffu;
        var first: Place;
        var of_first: Outputs;
        for (var i = 0u; i < 4u; i += 1u) {
            let place = place_of(invocation * 4u + i);
            let values = element_at(place, &known);
            if ((i & 1u) == 0u) {
                first = place;
                of_first = values;
            } else {
                write_pair(first, of_first, place, values);
            }
        }
    }
    finish(local.x);
}
