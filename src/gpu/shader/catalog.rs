//! Every kind of kernel that a plan can ask for.

use crate::gpu::shader::codes::{ClipKind, Code, LossCurve};
use crate::gpu::shader::op::{Op, StepVariant};
use crate::gpu::shader::slots::{SLOTS, guide, loss, map, step, vlb};
use crate::gpu::shader::variant::{Draw, Operand, Rows, Variant, Walk};
use crate::gpu::storage::Storage;
use crate::table::step::{Deviation, RowParts};

type Operands = [Operand; SLOTS];

/// Every kind of row. The second table size is for rows of one vector.
const ROWS: [Rows; 5] = [Rows::Batch, Rows::Uniform(1024), LONG_TABLE, Rows::Storage, Rows::PerSample];
const LONG_TABLE: Rows = Rows::Uniform(4096);

/// Every kind of kernel: in each storage for the usual kinds of row, and in f32 for the others, whose texts differ only in the
/// lines that find a row.
pub(crate) fn every_variant() -> Vec<Variant> {
    let (all, one) = (&Storage::ALL[..], &Storage::ALL[..1]);
    let mut variants = Vec::new();
    for walk in Walk::STREAMING {
        for rows in ROWS {
            let usual = matches!(rows, Rows::Batch | Rows::Uniform(1024));
            variants.extend(map_variants(walk, rows, if usual { all } else { &[] }));
            // Only a few shapes need a pass of its own for what a loss writes besides its sums.
            let few = if rows == Rows::Batch { all } else { one };
            variants.extend(every_loss(walk, rows, few));
            if rows != LONG_TABLE {
                variants.extend(every_step(walk, rows, if usual { all } else { one }));
                variants.extend(every_vlb(walk, rows, few));
                variants.extend(every_guide(walk, rows, if usual { all } else { one }));
            }
        }
    }
    for walk in Walk::REDUCING {
        for rows in ROWS {
            let usual = matches!(rows, Rows::Batch | Rows::Uniform(1024) | Rows::PerSample);
            let storages = if usual { all } else { one };
            variants.extend(every_loss(walk, rows, storages));
            if rows != LONG_TABLE {
                variants.extend(every_vlb(walk, rows, storages));
            }
            if rows != LONG_TABLE && walk != Walk::Pairs {
                variants.extend(every_reduction(walk, rows, storages));
                variants.extend(every_guide_sum(walk, rows, storages));
            }
        }
    }
    let grouped: Vec<Variant> = variants.iter().filter(|variant| has_groups(variant)).copied().collect();
    variants.extend(grouped.into_iter().map(|variant| Variant { grouped: true, ..variant }));
    variants
}

/// Returns `true` for the kernels that are also listed with timesteps per group: those of f32 with a short table. The lines that
/// groups change, which find a row and draw a block, are the same for every storage and table.
fn has_groups(variant: &Variant) -> bool {
    let is_whole =
        matches!(variant.op, Op::Spread { .. } | Op::Histogram { .. } | Op::GuideSums | Op::Guide { summed: true });
    let is_scaled = matches!(variant.op, Op::Step(StepVariant { scaled: true, .. }));
    let is_f32 = Storage::ALL.into_iter().all(|storage| storage == Storage::F32 || !variant.has_storage(storage));
    let rows = variant.rows == Rows::Uniform(1024) || variant.rows == Rows::PerSample && variant.draw != Draw::No;
    rows && is_f32 && !is_whole && !is_scaled && !variant.op.parts().sliced
}

/// Maps with mixed storages, and every map in each of these storages.
fn map_variants(walk: Walk, rows: Rows, storages: &[Storage]) -> impl Iterator<Item = Variant> {
    let mut all = mixed_maps();
    storages.iter().for_each(|&storage| all.extend(every_map(storage)));
    all.into_iter().enumerate().map(move |(i, operands)| {
        let drawn = operands[map::IN1] == Operand::Absent;
        let perturbed = i % 4 < 2;
        let draw = match drawn {
            true if i % 3 == 0 => Draw::PerSample { perturbed },
            true => Draw::Batch { perturbed },
            false => Draw::No,
        };
        let timesteps_writable = rows.are_looked_up() && i % 2 == 1;
        Variant { timesteps_writable, ..plain(Op::Map, walk, rows, draw, operands) }
    })
}

/// A variant whose timesteps and seeds are bound only for reading.
fn plain(op: Op, walk: Walk, rows: Rows, draw: Draw, operands: Operands) -> Variant {
    let scales_uniform = rows == Rows::PerSample && op.scales_are_pairs();
    let grouped = false;
    Variant {
        op,
        walk,
        rows,
        grouped,
        timesteps_writable: false,
        seeds_writable: false,
        scales_uniform,
        draw,
        operands,
    }
}

/// The same where every input lies in a buffer that the kernel also writes, so that it must be bound for writing.
fn aliased(variant: Variant) -> Variant {
    let operands = variant.operands.map(|operand| match operand {
        Operand::Binding { storage, .. } => Operand::Binding { storage, writable: true },
        other => other,
    });
    let seeds_writable = matches!(variant.draw, Draw::PerSample { .. });
    Variant { operands, seeds_writable, timesteps_writable: variant.rows.are_looked_up(), ..variant }
}

fn operands<const N: usize>(given: [(usize, Operand); N]) -> Operands {
    let mut all = [Operand::Absent; SLOTS];
    given.into_iter().for_each(|(slot, operand)| all[slot] = operand);
    all
}

fn of_map([in0, in1, out0, out1, kept]: [Operand; 5]) -> Operands {
    operands([(map::IN0, in0), (map::IN1, in1), (map::OUT0, out0), (map::OUT1, out1), (map::NOISE_OUT, kept)])
}

fn mixed_maps() -> Vec<Operands> {
    let [f32, f16, bf16] =
        [Storage::F32, Storage::F16, Storage::Bf16].map(|storage| Operand::Binding { storage, writable: true });
    let absent = Operand::Absent;
    vec![of_map([f32, bf16, f16, f32, absent]), of_map([bf16, absent, f32, f16, f32])]
}

/// Each input absent, read, read from a buffer that is also written, or in place; with each set of outputs.
fn every_map(storage: Storage) -> Vec<Operands> {
    let bound = |writable| Operand::Binding { storage, writable };
    let in_place = |output| Operand::InPlace { storage, output };
    let (write, absent) = (bound(true), Operand::Absent);
    let inputs = [absent, bound(false), write, in_place(map::OUT0), in_place(map::OUT1)];
    let mut all = Vec::new();
    for in0 in inputs {
        for in1 in inputs {
            for [out1, kept] in [[absent, absent], [write, absent], [absent, write], [write, write]] {
                let replaced = |input: Operand| matches!(input, Operand::InPlace { .. });
                // No plan replaces two inputs by one output, or keeps noise that was given.
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
fn every_loss(walk: Walk, rows: Rows, storages: &[Storage]) -> Vec<Variant> {
    let mut all = Vec::new();
    for &storage in storages {
        // Unaligned outputs that share words are written by the walk over words, not here.
        let writes = walk != Walk::UnalignedChunks || storage.elements_per_word() == 1;
        let read = Operand::Binding { storage, writable: false };
        let write = Operand::Binding { storage, writable: true };
        let in_place = Operand::InPlace { storage, output: loss::GRADIENT };
        let op = |curve, scaled_gradient| Op::Loss { curve, scaled_gradient };
        let variant = |curve, draw, operands| plain(op(curve, false), walk, rows, draw, operands);
        for &(curve, _) in LossCurve::ALL {
            let given = [(loss::IN0, read), (loss::IN1, read)];
            if walk.reduces() {
                let [in0, in1] = given;
                all.push(variant(curve, Draw::No, operands([(loss::PREDICTION, read), in0, in1])));
            }
            if writes {
                let [in0, in1] = given;
                let gradient = (loss::GRADIENT, write);
                all.push(variant(curve, Draw::No, operands([(loss::PREDICTION, in_place), in0, in1, gradient])));
                let kept = (loss::NOISE_OUT, write);
                all.push(variant(
                    curve,
                    Draw::Batch { perturbed: false },
                    operands([(loss::PREDICTION, read), in0, gradient, kept]),
                ));
                let drawn = Draw::PerSample { perturbed: true };
                let drawn = variant(curve, drawn, operands([(loss::PREDICTION, read), in0, gradient]));
                all.push(drawn);
                // Bindings do not depend on the curve.
                if curve == LossCurve::Huber {
                    let apart = variant(curve, Draw::No, operands([(loss::PREDICTION, read), in0, in1, gradient]));
                    let scaled = |variant: Variant| Variant { op: op(curve, true), ..variant };
                    all.extend([apart, aliased(apart), aliased(drawn), scaled(apart), aliased(scaled(apart))]);
                }
            }
        }
    }
    all
}

/// A term of the variational bound in each storage, clipped and not: with both gradients in place, with noise drawn and a
/// gradient, and with neither.
fn every_vlb(walk: Walk, rows: Rows, storages: &[Storage]) -> Vec<Variant> {
    let mut all = Vec::new();
    for &storage in storages {
        let read = Operand::Binding { storage, writable: false };
        let write = Operand::Binding { storage, writable: true };
        let in_place = |output| Operand::InPlace { storage, output };
        let (prediction, learned, x0) = ((vlb::PREDICTION, read), (vlb::LEARNED, read), (vlb::X0, read));
        let alone = operands([prediction, learned, x0, (vlb::IN1, read)]);
        let both = operands([
            (vlb::PREDICTION, in_place(vlb::GRADIENT)),
            (vlb::LEARNED, in_place(vlb::LEARNED_GRADIENT)),
            x0,
            (vlb::IN1, read),
            (vlb::GRADIENT, write),
            (vlb::LEARNED_GRADIENT, write),
        ]);
        let gradients = [(vlb::GRADIENT, write), (vlb::LEARNED_GRADIENT, write)];
        let apart = operands([prediction, learned, x0, (vlb::IN1, read), gradients[0], gradients[1]]);
        let kept = operands([prediction, learned, x0, (vlb::LEARNED_GRADIENT, write), (vlb::NOISE_OUT, write)]);
        for clips in [false, true] {
            let op = |scaled_gradient| Op::Vlb { clips, scaled_gradient };
            let variant = |draw, operands| plain(op(false), walk, rows, draw, operands);
            if walk.reduces() {
                all.push(variant(Draw::No, alone));
            }
            // Unaligned outputs that share words are written by the walk over words, not here.
            if walk != Walk::UnalignedChunks || storage.elements_per_word() == 1 {
                all.push(variant(Draw::No, both));
                all.push(variant(Draw::Batch { perturbed: false }, kept));
                let drawn = variant(Draw::PerSample { perturbed: true }, kept);
                all.push(drawn);
                // Bindings do not depend on the clip.
                if !clips {
                    let apart = variant(Draw::No, apart);
                    let scaled = Variant { op: op(true), ..apart };
                    all.extend([aliased(drawn), aliased(apart), scaled, aliased(scaled)]);
                }
            }
        }
    }
    all
}

/// The reductions ahead of a step, in each storage: with noise given and drawn, and with the fewest tensors.
fn every_reduction(walk: Walk, rows: Rows, storages: &[Storage]) -> Vec<Variant> {
    let mut all = Vec::new();
    for &storage in storages {
        let read = Operand::Binding { storage, writable: false };
        let two = operands([(step::CONDITIONAL, read), (step::UNCONDITIONAL, read)]);
        let few = operands([(step::X, read), (step::CONDITIONAL, read)]);
        let most =
            operands([(step::X, read), (step::CONDITIONAL, read), (step::UNCONDITIONAL, read), (step::NOISE, read)]);
        let variant = |op, draw, operands| plain(op, walk, rows, draw, operands);
        let extended = RowParts { extended: true, sliced: false };
        let further = [extended, RowParts { sliced: true, ..extended }];
        for parts in std::iter::once(RowParts::default()).chain(further.into_iter().filter(|_| storage == FURTHER)) {
            all.push(variant(Op::Spread { parts }, Draw::No, two));
            for scaled in [false, true] {
                let op = Op::Histogram { scaled, parts };
                all.push(variant(op, Draw::No, most));
                all.push(variant(op, Draw::Batch { perturbed: false }, few));
                all.push(variant(op, Draw::PerSample { perturbed: true }, few));
            }
        }
    }
    all
}

/// The storage in which rows with further parts are listed: what they add to a text does not depend on it.
const FURTHER: Storage = Storage::F32;

/// Each listed choice of a step with the fewest and with the most tensors, in these storages.
fn every_step(walk: Walk, rows: Rows, storages: &[Storage]) -> Vec<Variant> {
    let mut all = Vec::new();
    for &storage in storages {
        let choices = [
            (ClipKind::None, Deviation::Fixed, 0, false, false),
            (ClipKind::Range, Deviation::Fixed, 0, true, false),
            (ClipKind::Quantile, Deviation::Log, 1, true, false),
            (ClipKind::None, Deviation::Variance, 1, false, false),
            (ClipKind::Range, Deviation::Fixed, 3, false, false),
            (ClipKind::Quantile, Deviation::Fixed, 2, true, false),
            (ClipKind::None, Deviation::Fixed, 12, true, true),
            (ClipKind::Range, Deviation::Fixed, 11, false, true),
            (ClipKind::None, Deviation::Fixed, 10, false, true),
            (ClipKind::None, Deviation::Fixed, 9, true, true),
            (ClipKind::Range, Deviation::Fixed, 8, true, true),
            (ClipKind::Quantile, Deviation::Log, 7, true, true),
            (ClipKind::None, Deviation::Variance, 6, false, true),
            (ClipKind::None, Deviation::Fixed, 5, false, true),
            (ClipKind::Range, Deviation::Fixed, 4, false, true),
        ];
        for (clip, deviation, depth, drawn, extended) in choices {
            if extended && storage != FURTHER {
                continue;
            }
            // Remembered clean samples are whole lanes, or f32.
            let past = if walk == Walk::Words { Storage::F32 } else { storage };
            // A flat lane may hold two samples, and only one remembered sample lies as the others do.
            let depth = if walk == Walk::Flat { depth.min(1) } else { depth };
            for full in [false, true] {
                let clean_stats = full && walk != Walk::Flat;
                // Slices have gaps between them, as several remembered samples do.
                let sliced = extended && depth < 7 && walk != Walk::Flat;
                let (scaled, parts) = (clip == ClipKind::Quantile, RowParts { extended, sliced });
                let variant = StepVariant { clip, deviation, parts, depth, scaled, clean_stats };
                let read = Operand::Binding { storage, writable: false };
                let write = Operand::Binding { storage, writable: true };
                let when = |condition: bool, operand| if condition { operand } else { Operand::Absent };
                let in_place = Operand::InPlace { storage, output: step::NEXT };
                let operands = operands([
                    (step::X, if full { in_place } else { read }),
                    (step::CONDITIONAL, read),
                    (step::UNCONDITIONAL, when(full, read)),
                    (step::NOISE, when(!drawn, read)),
                    (step::LEARNED, when(deviation != Deviation::Fixed, read)),
                    (step::MASK, when(full, read)),
                    (step::KNOWN, when(full, read)),
                    (step::NEXT, write),
                    (step::X0, when(full, write)),
                    (step::INPUT, when(full, write)),
                    (step::NOISE_OUT, when(full && drawn, write)),
                    (step::HISTORY, when(depth > 0, Operand::Binding { storage: past, writable: true })),
                ]);
                let draw = match (drawn, full) {
                    (false, _) => Draw::No,
                    (true, false) => Draw::Batch { perturbed: false },
                    (true, true) => Draw::PerSample { perturbed: true },
                };
                let mut apart = operands;
                apart[step::X] = read;
                all.push(plain(Op::Step(variant), walk, rows, draw, operands));
                // Together these two have every input, with noise given and drawn.
                if full && deviation != Deviation::Fixed {
                    all.push(aliased(plain(Op::Step(variant), walk, rows, draw, apart)));
                }
            }
        }
    }
    all
}

/// Guidance in each storage: two predictions in place, all predictions apart, and momentum, with and without sums.
fn every_guide(walk: Walk, rows: Rows, storages: &[Storage]) -> Vec<Variant> {
    let mut all = Vec::new();
    for &storage in storages {
        let read = Operand::Binding { storage, writable: false };
        let write = Operand::Binding { storage, writable: true };
        let in_place = |output| Operand::InPlace { storage, output };
        let guided = (guide::GUIDED, write);
        let others = [(guide::UNCONDITIONAL, read), (guide::THIRD, read), (guide::FOURTH, read)];
        let momentum = [(guide::MOMENTUM, in_place(guide::NEXT_MOMENTUM)), (guide::NEXT_MOMENTUM, write)];
        let few = operands([(guide::CONDITIONAL, in_place(guide::GUIDED)), others[0], guided]);
        let apart = operands([(guide::CONDITIONAL, read), others[0], others[1], others[2], guided]);
        let remembering = operands([(guide::CONDITIONAL, read), others[0], guided, momentum[0], momentum[1]]);
        for summed in [false, true] {
            let variant = |operands| plain(Op::Guide { summed }, walk, rows, Draw::No, operands);
            all.extend([variant(few), variant(apart), aliased(variant(apart)), variant(remembering)]);
        }
    }
    all
}

/// The sums of guidance in each storage.
fn every_guide_sum(walk: Walk, rows: Rows, storages: &[Storage]) -> Vec<Variant> {
    let each = storages.iter().flat_map(|&storage| {
        let read = Operand::Binding { storage, writable: false };
        let two = [(guide::CONDITIONAL, read), (guide::UNCONDITIONAL, read)];
        let four = operands([two[0], two[1], (guide::THIRD, read), (guide::FOURTH, read)]);
        let remembering = operands([two[0], two[1], (guide::MOMENTUM, read)]);
        [operands(two), four, remembering].map(|operands| plain(Op::GuideSums, walk, rows, Draw::No, operands))
    });
    each.collect()
}
