// Reading the inputs of a lane and writing its outputs. A template like tensors.wgsl.
// Expects: params, Row, slice_weight where predictions are sliced, Inputs, Outputs, the load_* and store_* of each tensor.
// Defines: Bases, bases_of, read_lane; write_lane of walks over elements, write_chunk_lane of walks over chunks.
//# read
// The start of a sample in each tensor.
struct Bases {
    [present] {{name}}: u32,
}
fn bases_of(sample: u32) -> Bases {
    return Bases(
        [present] params.{{name}}.x + sample * params.{{name}}.y,
    );
}
fn read_lane(row: Row, needed: u32, bases: Bases, lane: u32, z: vec4<f32>) -> Inputs {
    var v: Inputs;
    [drawn] v.{{name}} = z;
    [required] v.{{name}} = load_{{name}}({{lane}});
    [sliced] for (var slice = 0u; slice < SLICES && ({{bit}}u == 0u || (needed & {{bit}}u) != 0u); slice += 1u) { let weight = slice_weight(row, slice); if (weight != 0.0) { v.{{name}} += weight * load_{{name}}({{lane}} + slice * params.window.pitch); } }
    [optional] if ((needed & {{bit}}u) != 0u) { v.{{name}} = load_{{name}}({{lane}}); }
    [past] if ((needed & {{bit}}u) != 0u) { v.{{name}} = load_history({{lane_of_past}}); }
    return v;
}
//# write
fn write_lane(row: Row, bases: Bases, lane: u32, out: Outputs) {
    [stored] store_{{name}}(bases.{{name}} + lane, out.{{name}});
    [remembered] store_history(bases.history + place_of_past(row, 0u) * params.window.pitch + lane, out.kept);
    [observed] observe(row, out, vec4<bool>(true));
}
//# write_chunk
// For reductions that also write outputs for each element.
fn write_chunk_lane(row: Row, bases: Bases, lane: u32, v: Inputs, inside: vec4<bool>) {
    [writes] let out = op(row, v);
    [stored] store_{{name}}({{stored_lane}});
    [observed] observe(row, out, inside);
}
