//! Every kind of kernel that a plan can ask for, so that their text can be checked without a GPU.

use super::Storage;
use super::op::{Op, SLOTS, StepVariant, bound, loss, map, step};
use super::source::{Draw, Operand, Rows, Source, Walk};

type Operands = [Operand; SLOTS];

/// Every kind of source, in each storage; and mixed storages in one of each kind of row.
pub(super) fn every_source() -> Vec<Source> {
    let mut sources = Vec::new();
    for walk in Walk::STREAMING {
        for rows in [Rows::Batch, Rows::Uniform(1024), Rows::Uniform(4096), Rows::Storage, Rows::Gathered] {
            let mut all = mixed_maps();
            // The longer tables differ in one line of the text alone.
            let long = !matches!(rows, Rows::Batch | Rows::Uniform(1024));
            if !long {
                Storage::ALL.into_iter().for_each(|storage| all.extend(every_map(storage)));
            }
            let maps = all.into_iter().enumerate().map(|(i, operands)| {
                let drawn = operands[map::IN1] == Operand::Absent;
                let draw = if drawn { Draw::Batch { perturbed: i % 4 < 2 } } else { Draw::No };
                let timesteps_writable = rows.are_looked_up() && i % 2 == 1;
                Source { timesteps_writable, ..plain(Op::Map, walk, rows, draw, operands) }
            });
            sources.extend(maps);
            if rows == Rows::Uniform(4096) {
                continue; // for rows of one vector
            }
            let storages = if long { &Storage::ALL[..1] } else { &Storage::ALL[..] };
            sources.extend(every_step(walk, rows, storages));
            if rows == Rows::Batch {
                sources.extend(every_loss(walk, rows));
                sources.extend(every_bound(walk, rows));
            }
        }
    }
    for walk in Walk::REDUCING {
        for rows in [Rows::Batch, Rows::Uniform(1024), Rows::Gathered] {
            if walk != Walk::Pairs {
                sources.extend(every_reduction(walk, rows));
            }
            sources.extend(every_loss(walk, rows));
            sources.extend(every_bound(walk, rows));
        }
    }
    sources
}

/// With every small buffer bound for reading alone.
fn plain(op: Op, walk: Walk, rows: Rows, draw: Draw, operands: Operands) -> Source {
    let scales_uniform = rows == Rows::Gathered && op.scaled();
    Source { op, walk, rows, timesteps_writable: false, seeds_writable: false, scales_uniform, draw, operands }
}

fn operands<const N: usize>(given: [(usize, Operand); N]) -> Operands {
    let mut all = [Operand::Absent; SLOTS];
    given.into_iter().for_each(|(slot, operand)| all[slot] = operand);
    all
}

fn of_map([in0, in1, out0, out1, kept]: [Operand; 5]) -> Operands {
    operands([(map::IN0, in0), (map::IN1, in1), (map::OUT0, out0), (map::OUT1, out1), (map::KEPT, kept)])
}

fn mixed_maps() -> Vec<Operands> {
    let [f32, f16, bf16] = Storage::ALL.map(|storage| Operand::Bound { storage, writable: true });
    let absent = Operand::Absent;
    vec![of_map([f32, bf16, f16, f32, absent]), of_map([bf16, absent, f32, f16, f32])]
}

/// Each input absent, read, read from a buffer that is written too, or in place; with each set of outputs.
fn every_map(storage: Storage) -> Vec<Operands> {
    let bound = |writable| Operand::Bound { storage, writable };
    let in_place = |output| Operand::InPlace { storage, output };
    let (write, absent) = (bound(true), Operand::Absent);
    let inputs = [absent, bound(false), write, in_place(map::OUT0), in_place(map::OUT1)];
    let mut all = Vec::new();
    for in0 in inputs {
        for in1 in inputs {
            for [out1, kept] in [[absent, absent], [write, absent], [absent, write], [write, write]] {
                let replaced = |input: Operand| matches!(input, Operand::InPlace { .. });
                let twice = replaced(in0) && in0 == in1;
                let missing = out1 == absent && [in0, in1].contains(&in_place(map::OUT1));
                let kept_but_given = kept == write && in1 != absent;
                if !twice && !missing && !kept_but_given {
                    all.push(of_map([in0, in1, write, out1, kept]));
                }
            }
        }
    }
    all
}

/// Each curve of a loss in each storage, with its gradient and without, in place and not.
fn every_loss(walk: Walk, rows: Rows) -> Vec<Source> {
    let mut all = Vec::new();
    for storage in Storage::ALL {
        // What 16-bit samples of any size write is written by another walk.
        let writes = walk != Walk::LooseChunks || storage == Storage::F32;
        let read = Operand::Bound { storage, writable: false };
        let write = Operand::Bound { storage, writable: true };
        let in_place = Operand::InPlace { storage, output: loss::GRADIENT };
        let source = |curve, draw, operands| plain(Op::Loss { curve }, walk, rows, draw, operands);
        for curve in 0..3 {
            let given = [(loss::IN0, read), (loss::IN1, read)];
            if walk.reduces() {
                let [in0, in1] = given;
                all.push(source(curve, Draw::No, operands([(loss::PREDICTION, read), in0, in1])));
            }
            if writes {
                let [in0, in1] = given;
                let gradient = (loss::GRADIENT, write);
                all.push(source(curve, Draw::No, operands([(loss::PREDICTION, in_place), in0, in1, gradient])));
                let kept = (loss::KEPT, write);
                all.push(source(
                    curve,
                    Draw::Batch { perturbed: false },
                    operands([(loss::PREDICTION, read), in0, gradient, kept]),
                ));
                all.push(source(
                    curve,
                    Draw::PerSample { perturbed: true },
                    operands([(loss::PREDICTION, read), in0, gradient]),
                ));
            }
        }
    }
    all
}

/// A term of the bound in each storage, clipped and not: with both gradients in place, with noise drawn and a gradient, and
/// with neither.
fn every_bound(walk: Walk, rows: Rows) -> Vec<Source> {
    let mut all = Vec::new();
    for storage in Storage::ALL {
        let read = Operand::Bound { storage, writable: false };
        let write = Operand::Bound { storage, writable: true };
        let in_place = |output| Operand::InPlace { storage, output };
        let (prediction, learned, x0) = ((bound::PREDICTION, read), (bound::LEARNED, read), (bound::X0, read));
        let alone = operands([prediction, learned, x0, (bound::IN1, read)]);
        let both = operands([
            (bound::PREDICTION, in_place(bound::GRADIENT)),
            (bound::LEARNED, in_place(bound::LEARNED_GRADIENT)),
            x0,
            (bound::IN1, read),
            (bound::GRADIENT, write),
            (bound::LEARNED_GRADIENT, write),
        ]);
        let kept = operands([prediction, learned, x0, (bound::LEARNED_GRADIENT, write), (bound::KEPT, write)]);
        for clips in [false, true] {
            let source = |draw, operands| plain(Op::Bound { clips }, walk, rows, draw, operands);
            if walk.reduces() {
                all.push(source(Draw::No, alone));
            }
            // What 16-bit samples of any size write is written by another walk.
            if walk != Walk::LooseChunks || storage == Storage::F32 {
                all.push(source(Draw::No, both));
                all.push(source(Draw::Batch { perturbed: false }, kept));
                all.push(source(Draw::PerSample { perturbed: true }, kept));
            }
        }
    }
    all
}

/// What prepares a step, in each storage: with noise given and drawn, and with the fewest tensors.
fn every_reduction(walk: Walk, rows: Rows) -> Vec<Source> {
    let mut all = Vec::new();
    for storage in Storage::ALL {
        let read = Operand::Bound { storage, writable: false };
        let two = operands([(step::CONDITIONAL, read), (step::UNCONDITIONAL, read)]);
        let few = operands([(step::X, read), (step::CONDITIONAL, read)]);
        let most =
            operands([(step::X, read), (step::CONDITIONAL, read), (step::UNCONDITIONAL, read), (step::NOISE, read)]);
        let source = |op, draw, operands| plain(op, walk, rows, draw, operands);
        all.push(source(Op::Spread, Draw::No, two));
        for scaled in [false, true] {
            all.push(source(Op::Digits { scaled }, Draw::No, most));
            all.push(source(Op::Digits { scaled }, Draw::Batch { perturbed: false }, few));
            all.push(source(Op::Digits { scaled }, Draw::PerSample { perturbed: true }, few));
        }
    }
    all
}

/// Each rule of a step with the fewest and with the most tensors, in these storages.
fn every_step(walk: Walk, rows: Rows, storages: &[Storage]) -> Vec<Source> {
    let mut all = Vec::new();
    for &storage in storages {
        for (clip, deviation, depth, drawn) in
            [(0, 0, 0, false), (1, 0, 0, true), (2, 1, 1, true), (0, 2, 1, false), (1, 0, 3, false), (2, 0, 2, true)]
        {
            // Remembered clean samples are whole lanes, or f32.
            let past = if walk == Walk::Words { Storage::F32 } else { storage };
            let depth = if walk == Walk::Flat { depth.min(1) } else { depth };
            for full in [false, true] {
                let health = full && walk != Walk::Flat;
                let variant = StepVariant { clip, deviation, depth, scaled: clip == 2, health };
                let read = Operand::Bound { storage, writable: false };
                let write = Operand::Bound { storage, writable: true };
                let when = |condition: bool, operand| if condition { operand } else { Operand::Absent };
                let in_place = Operand::InPlace { storage, output: step::NEXT };
                let operands = operands([
                    (step::X, if full { in_place } else { read }),
                    (step::CONDITIONAL, read),
                    (step::UNCONDITIONAL, when(full, read)),
                    (step::NOISE, when(!drawn, read)),
                    (step::LEARNED, when(deviation > 0, read)),
                    (step::MASK, when(full, read)),
                    (step::KNOWN, when(full, read)),
                    (step::NEXT, write),
                    (step::X0, when(full, write)),
                    (step::INPUT, when(full, write)),
                    (step::KEPT, when(full && drawn, write)),
                    (step::HISTORY, when(depth > 0, Operand::Bound { storage: past, writable: true })),
                ]);
                let draw = match (drawn, full) {
                    (false, _) => Draw::No,
                    (true, false) => Draw::Batch { perturbed: false },
                    (true, true) => Draw::PerSample { perturbed: true },
                };
                let seeds_writable = matches!(draw, Draw::PerSample { .. });
                all.push(Source { seeds_writable, ..plain(Op::Step(variant), walk, rows, draw, operands) });
            }
        }
    }
    all
}
