// Any size, stride and offset. Two 16-bit elements share a word, so a word has exactly one owner: the slots of the leading
// output are walked in pairs that start at a whole word of it, and a half that belongs to nobody is kept as it was.
struct Place {
    sample: u32,
    element: u32,
    inside: bool,
}

fn place_of(slot: u32) -> Place {
    let run = slot / params.span;
    let packed = params.parity >> 2u;
    let lead = ((params.parity & 1u) + run * ((params.parity >> 1u) & 1u)) & packed;
    let position = slot - run * params.span - lead; // wraps below 0 and is then outside
    if (params.contiguous == 1u) {
        let sample = position / params.elements;
        return Place(sample, position - sample * params.elements, slot >= lead && sample < params.batch);
    }
    return Place(run, position, position < params.elements && run < params.batch);
}

struct Element {
    place: Place,
    out0: f32,
    out1: f32,
    noise: f32,
}

// What neighbouring elements share: the row of their sample and, where noise is drawn, their block of four normals.
struct Shared {
    sample: u32,
    row: Row,
    block: u32,
    normals: vec4<f32>,
}

fn element_at(slot: u32, known: ptr<function, Shared>) -> Element {
    let place = place_of(slot);
    var values = Element(place, 0.0, 0.0, 0.0);
    if (!place.inside) {
        return values;
    }
    let sample = place.sample;
    if (sample != (*known).sample) {
        *known = Shared(sample, row_at(sample), 0xffffffffu, vec4<f32>(0.0));
    }
    let row = (*known).row;
    let a = load_in0(params.in0.x + sample * params.in0.y + place.element);
    var b: f32;
    if (DRAWN) {
        let element = params.first_element + place.element;
        let block = element / 4u;
        if (block != (*known).block) {
            (*known).block = block;
            (*known).normals = drawn_block(sample, block);
        }
        b = (*known).normals[element & 3u];
    } else {
        b = load_in1(params.in1.x + sample * params.in1.y + place.element);
    }
    values.noise = b;
    values.out0 = row.m.x * a + row.m.y * b;
    values.out1 = row.m.z * a + row.m.w * b;
    if (!row.defined && place.element == 0u) {
        report_undefined(sample);
    }
    return values;
}

fn position(tensor: vec2<u32>, place: Place) -> u32 {
    return tensor.x + place.sample * tensor.y + place.element;
}

@compute @workgroup_size(256, 1, 1)
fn map_words(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let invocation = (group.y * params.groups + group.x) * 256u + local.x;
    if (invocation >= params.slots / 4u) {
        return;
    }
    var known = Shared(0xffffffffu, Row(vec4<f32>(0.0), false), 0xffffffffu, vec4<f32>(0.0));
    for (var i = 0u; i < 4u; i += 2u) {
        let first = element_at(invocation * 4u + i, &known);
        let second = element_at(invocation * 4u + i + 1u, &known);
        let a = first.place;
        let b = second.place;
        store_out0(position(params.out0, a), first.out0, a.inside, position(params.out0, b), second.out0, b.inside);
        store_out1(position(params.out1, a), first.out1, a.inside, position(params.out1, b), second.out1, b.inside);
        store_noise(position(params.noise, a), first.noise, a.inside, position(params.noise, b), second.noise, b.inside);
    }
}
