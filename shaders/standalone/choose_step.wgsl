// The controller of a sampler that chooses its own steps: accepts or rejects the step that was made by its error, and chooses the
// next from a table in ln sigma. Host twin: `tweedie::math::run::RunLoop::on_table`.
// Expects: from the host SMALL_WORKGROUP, UNITS, STATE_WORDS, the words WORD_STEP, WORD_DRAW, WORD_CHOICE, WORD_REACHED.
// Defines: ChooseParams, the entry point choose_step.
struct ChooseParams {
    samples: u32,
    order: u32,         // stages of a step
    error_stride: u32,  // words from one sample's error to the next; 0 where the batch has one
    begins: u32,        // whether the run begins
    powers: vec3<f32>,  // of the inverse errors of this step and the last two accepted ones
    safety: f32,        // the least factor with which a step is accepted
    first_step: f32,    // in units of the table
    words: u32,         // first of the words that steps look up, in `run`
    pitch: u32,         // words from one kind to the next
    told: u32,          // words from one stage's numbers for the network to the next
    @size(16) state: u32, // first word of the states
}

@group(0) @binding(0) var<uniform> params: ChooseParams;
@group(0) @binding(1) var<storage, read> errors: array<f32>;
// For each place and each stage, the time that the network is given, the sigma, the factor of the input, and 0. Then for each
// step, the units that its solver advances.
@group(0) @binding(2) var<storage, read> table: array<f32>;
// Numbers for the network, words that steps look up, and states. The caller can read it.
@group(0) @binding(3) var<storage, read_write> run: array<u32>;

// A state: place, accepted steps, attempts, 1 at the end, error, the next step in units, two inverse errors.
struct State {
    place: u32,
    accepted: u32,
    attempts: u32,
    error: f32,
    step: f32,
    inverse: vec2<f32>,
}

fn state_of(sample: u32) -> State {
    let at = params.state + sample * STATE_WORDS;
    return State(
        run[at],
        run[at + 1u],
        run[at + 2u],
        bitcast<f32>(run[at + 4u]),
        bitcast<f32>(run[at + 5u]),
        bitcast<vec2<f32>>(vec2<u32>(run[at + 6u], run[at + 7u])),
    );
}

fn keep(sample: u32, state: State) {
    let at = params.state + sample * STATE_WORDS;
    run[at] = state.place;
    run[at + 1u] = state.accepted;
    run[at + 2u] = state.attempts;
    run[at + 3u] = select(0u, 1u, state.place >= UNITS);
    run[at + 4u] = bitcast<u32>(state.error);
    run[at + 5u] = bitcast<u32>(state.step);
    run[at + 6u] = bitcast<u32>(state.inverse.x);
    run[at + 7u] = bitcast<u32>(state.inverse.y);
}

// The units of the next step; 0 at the end.
fn units_of(state: State) -> u32 {
    let remaining = UNITS - min(state.place, UNITS);
    return min(max(u32(clamp(round(state.step), 1.0, f32(UNITS))), 1u), remaining);
}

// The units that the solver of a step advances: those of the step, and more where noise is added again.
fn further(units: u32, remaining: u32) -> u32 {
    let levels = 4u * (params.order * UNITS + 1u);
    return min(max(u32(table[levels + units]), units), remaining);
}

fn set_word(kind: u32, sample: u32, word: u32) {
    run[params.words + kind * params.pitch + sample] = word;
}

// Writes what the next step looks up, and the numbers for the network at its stages.
fn tell(sample: u32, state: State) {
    let units = units_of(state);
    let to = further(units, UNITS - min(state.place, UNITS));
    for (var stage = 0u; stage < params.order; stage++) {
        let level = params.order * state.place + stage * to;
        set_word(stage, sample, level);
        let told = bitcast<u32>(table[4u * level]);
        let first = stage * params.told;
        if (sample == 0u) {
            run[first] = told;
            run[first + 1u] = bitcast<u32>(table[4u * level + 1u]);
            run[first + 2u] = bitcast<u32>(table[4u * level + 2u]);
            run[first + 3u] = 0u;
        }
        run[first + 4u + sample] = told;
        run[first + 4u + params.samples + sample] = told;
    }
    set_word(WORD_STEP, sample, to);
    set_word(WORD_DRAW, sample, state.accepted);
}

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn choose_step(@builtin(global_invocation_id) id: vec3<u32>) {
    let sample = id.x;
    if (sample >= params.samples) {
        return;
    }
    if (params.begins != 0u) {
        let state = State(0u, 0u, 0u, 0.0, params.first_step, vec2<f32>(0.0));
        keep(sample, state);
        tell(sample, state);
        return;
    }
    var state = state_of(sample);
    let units = units_of(state);
    if (units == 0u) {
        set_word(WORD_CHOICE, sample, 0u);
        return;
    }
    state.error = sqrt(errors[sample * params.error_stride]);
    let inverse = 1.0 / (state.error + 1e-8);
    if (state.attempts == 0u) {
        state.inverse = vec2<f32>(inverse);
    }
    let proposed = pow(vec3<f32>(inverse, state.inverse), params.powers);
    let factor = 1.0 + atan(proposed.x * proposed.y * proposed.z - 1.0);
    let is_accepted = factor >= params.safety || units == 1u;
    state.attempts++;
    // If the factor is not a positive number, the next step is the least one.
    state.step = select(1.0, max(state.step * factor, 1.0), factor > 0.0);
    if (is_accepted) {
        let to = further(units, UNITS - state.place);
        state.place += units;
        state.accepted++;
        state.inverse = vec2<f32>(inverse, state.inverse.x);
        set_word(WORD_CHOICE, sample, 1u + to - units);
        set_word(WORD_REACHED, sample, params.order * state.place);
    } else {
        set_word(WORD_CHOICE, sample, 0u);
    }
    keep(sample, state);
    tell(sample, state);
}
