// Walk over any size, stride and offset. Elements of less than 32 bits share a word, and no two invocations may write the same
// word. So the walk goes over slots of the leading output, in runs that start at a whole word of it. An invocation takes four
// slots, which are whole words, and leaves the other elements of a word as they are.
// Expects: params, Row, row_at, needs, op, report_undefined, read_element, keep_element, write_pair, draw_block, SECOND_NOISE,
// second_noise, needs_second, second_stream_of, flush.
// Defines: WordsParams, Place, the entry point `words`.
struct WordsParams {
    groups_x: u32,   // workgroups along x; further ones go along y
    slots: u32,      // slots of all runs
    run: u32,        // slots of a run: of a sample, or of all of them
    contiguous: u32, // 1 where all samples are one run, since they follow each other without a gap
    lead: u32,       // slots of the first run before its first element: the earlier elements of that word
    lead_step: u32,  // by how much `lead` grows from run to run, before it wraps
    word_mask: u32,  // elements of a word of the leading output, less 1
    unused: u32,
}

// The element of a slot.
struct Place {
    sample: u32,
    element: u32,
    inside: bool,
}

fn place_at(sample: u32, element: u32) -> Place {
    return Place(sample, element, element < params.window.elements && sample < params.window.batch);
}

// The place of the first of four slots, which belong to one run, since runs are multiples of four. Only this place takes a
// division; the others count on from it.
fn place_of(slot: u32) -> Place {
    let contiguous = params.walk.contiguous == 1u;
    let position = select(slot, max(slot, params.walk.lead) - params.walk.lead, contiguous);
    let span = select(params.walk.run, params.window.elements, contiguous);
    let sample = position / span;
    let lead_of_run = (params.walk.lead + sample * params.walk.lead_step) & params.walk.word_mask;
    let lead = select(lead_of_run, params.walk.lead, contiguous);
    // Before the first element the index wraps below 0 and is then outside the sample.
    return place_at(sample, slot - lead - sample * span);
}

fn place_after(last: Place) -> Place {
    let ends = params.walk.contiguous == 1u && last.element + 1u == params.window.elements;
    return place_at(last.sample + select(0u, 1u, ends), select(last.element + 1u, 0u, ends));
}

// What neighbouring elements share: the row of their sample and, where noise is drawn, their block of four normals.
struct Cached {
    sample: u32,
    row: Row,
    block: u32,
    normals: vec4<f32>,
    second: vec4<f32>,
}

fn element_at(place: Place, cached: ptr<function, Cached>) -> Outputs {
    var values: Outputs;
    if (!place.inside) {
        return values;
    }
    let sample = place.sample;
    if (sample != (*cached).sample) {
        (*cached).sample = sample;
        (*cached).row = row_at(sample);
        (*cached).block = 0xffffffffu; // the same block of another sample has other normals
    }
    let row = (*cached).row;
    let needed = needs(row);
    var z = 0.0;
    if (DRAWN && (needed & NEEDS_NOISE) == NEEDS_NOISE) {
        let element = params.window.first_element + place.element;
        let block = element / 4u;
        if (block != (*cached).block) {
            (*cached).block = block;
            (*cached).normals = draw_block(sample, block, stream_of(row));
            if (SECOND_NOISE && needs_second(row)) {
                (*cached).second = draw_block(sample, block, second_stream_of(row));
            }
        }
        z = (*cached).normals[element & 3u];
        second_noise = vec4<f32>((*cached).second[element & 3u]);
    }
    values = op(row, read_element(row, needed, sample, place.element, z));
    keep_element(row, sample, place.element, values);
    if (!row.defined && place.element == 0u) {
        report_undefined(sample);
    }
    return values;
}

@compute @workgroup_size(WORKGROUP, 1, 1)
fn words(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let invocation = (group.y * params.walk.groups_x + group.x) * WORKGROUP + local.x;
    if (invocation < params.walk.slots / 4u) {
        var cached: Cached;
        cached.sample = 0xffffffffu;
        var first: Place;
        var of_first: Outputs;
        var place = place_of(invocation * 4u);
        for (var i = 0u; i < 4u; i += 1u) {
            let values = element_at(place, &cached);
            // An even slot waits for the odd one after it: two 16-bit elements are then written as one word.
            if ((i & 1u) == 0u) {
                first = place;
                of_first = values;
            } else {
                write_pair(first, of_first, place, values);
            }
            place = place_after(place);
        }
    }
    flush(local.x);
}
