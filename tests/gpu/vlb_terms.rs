//! Terms of the variational bound: the kernel against its f64 twin.

use crate::harness::{Harness, TestRng, harness_with_binding_limit, multiplied};
use crate::stage::{Layout, Placed, Stage};
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::vlb::Batch;
use tweedie::gpu::{
    Drawn, GradientScale, Noise, NoiseKey, PlanError, Recording, Reduction, Shape, Storage, Tensor, Timesteps,
    VlbInputs, VlbTerms,
};
use tweedie::headless::Gpu;
use tweedie::table::{Table, Term, VlbRow};

pub const TESTS: &[crate::Test] = &[
    ("vlb_terms::every_term_and_storage", every_term_and_storage),
    ("vlb_terms::every_layout", every_layout),
    ("vlb_terms::noise_drawn_again", noise_drawn_again),
    ("vlb_terms::in_place_and_alone", in_place_and_alone),
    ("vlb_terms::bit_identical_in_every_run_and_batch", bit_identical_in_every_run_and_batch),
    ("vlb_terms::many_samples", many_samples),
    ("vlb_terms::windows_of_a_small_binding_limit", windows_of_a_small_binding_limit),
    ("vlb_terms::everything_at_once_within_default_limits", everything_at_once_within_default_limits),
    ("vlb_terms::numbers_that_are_none", numbers_that_are_none),
    ("vlb_terms::extremes", extremes),
    ("vlb_terms::an_error_beyond_the_clip_that_rounds_away", an_error_beyond_the_clip_that_rounds_away),
    ("vlb_terms::a_wrong_coefficient_fails", a_wrong_coefficient_fails),
    ("vlb_terms::errors_name_what_was_found", errors_name_what_was_found),
];

#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    layout: Layout,
    /// The layouts of the gradients of the prediction and of the second output.
    gradients: [Option<Layout>; 2],
    reduction: Reduction,
    /// A factor of the gradients.
    scale: f64,
    clip: Option<f64>,
    drawn: bool,
    seeds: bool,
    per_sample: bool,
    in_place: bool,
    mean: bool,
}

impl Case {
    fn new(batch: u32, elements: u32, storage: Storage) -> Self {
        let layout = Layout::plain(storage);
        Self {
            shape: Shape::new(batch, elements),
            layout,
            gradients: [Some(layout); 2],
            reduction: Reduction::Sum,
            scale: 1.0,
            clip: None,
            drawn: false,
            seeds: false,
            per_sample: true,
            in_place: false,
            mean: true,
        }
    }
}

/// The factors of gradients.
const SCALES: [f64; 2] = [1.0, 8.0];

/// The row of a batch whose samples share one timestep.
const ONE: u32 = 1;

/// Rows of every term, with learned and with fixed variances, near the true one and far from it, for errors of x0 as small as at the
/// first timesteps and as large as at the last ones.
fn rows() -> Vec<VlbRow> {
    let row = |term, prediction, inputs, inverse_deviation, log_ratio| VlbRow {
        prediction,
        inputs,
        inverse_deviation,
        log_ratio,
        weight: 1.0 / std::f64::consts::LN_2,
        term,
    };
    vec![
        row(Term::Decoder, 0.008, [0.0, -0.011], 130.0, [0.1, -0.3]),
        row(Term::Divergence, 0.5, [-0.4, 0.2], 3.0, [0.01, -0.2]),
        row(Term::Divergence, 0.02, [0.0, -0.02], 40.0, [1.5, -1.2]),
        row(Term::SquaredError, 0.7, [0.2, -0.6], 9.0, [0.2, 0.1]),
        row(Term::Decoder, 0.01, [0.003, -0.002], 400.0, [0.0, 0.0]),
        row(Term::Divergence, 0.0, [-1.0, 0.0], 0.05, [-0.001, 0.0]),
    ]
}

/// Draws a value of 8 bits in -1..=1, both ends often.
pub fn pixel(rng: &mut TestRng) -> f32 {
    match rng.below(10) {
        0 => -1.0,
        1 => 1.0,
        _ => rng.below(256) as f32 / 127.5 - 1.0,
    }
}

const KEY: NoiseKey = NoiseKey { seed: 77, stream: 2, first_sample: 0xffff_fffe };

/// The results of a case on the GPU.
struct Ran {
    terms: Vec<f32>,
    mean: Option<f32>,
    gradients: [Option<Vec<f32>>; 2],
}

/// The part of a case that fits a device with four storage buffers: drawn noise, without seeds, and gradients in place.
fn fitting(harness: &Harness, case: &Case) -> Case {
    if !harness.is_narrow() {
        return case.clone();
    }
    let gradients = case.gradients.map(|gradient| gradient.map(|_| case.layout));
    Case { drawn: true, in_place: true, seeds: false, gradients, ..case.clone() }
}

/// Runs a case with a tampered table, and compares with the twin of the right one. Returns whether they agree, and the results.
fn check_with(
    harness: &Harness,
    case: &Case,
    seed: u64,
    tamper: impl Fn(Table<VlbRow>) -> Table<VlbRow>,
) -> (bool, Ran) {
    let case = &fitting(harness, case);
    let mut rng = TestRng(seed);
    let shape = case.shape;
    let table = Table::new(rows());
    let mut stage = Stage::new(shape, false);
    let mut input = |stage: &mut Stage, number: fn(&mut TestRng) -> f32| {
        let placed = stage.place(case.layout, false);
        stage.fill(placed, || number(&mut rng));
        placed
    };
    let [prediction, learned] = [(); 2].map(|()| input(&mut stage, TestRng::float));
    let x0 = input(&mut stage, pixel);
    let in1 = (!case.drawn).then(|| input(&mut stage, TestRng::float));
    let kept = case.drawn.then(|| stage.place(Layout::plain(Storage::F32), false));
    let mut gradient = |of: usize, over: Placed| {
        case.gradients[of].map(|layout| if case.in_place { over } else { stage.place(layout, false) })
    };
    let gradients = [gradient(0, prediction), gradient(1, learned)];
    let buffers = stage.upload(harness);
    let tensor = |p: Placed| Stage::tensor(&buffers, p);
    let count = table.len() as u32;
    let timesteps: Vec<u32> = (0..shape.batch).map(|i| if case.per_sample { (i * 5) % count } else { ONE }).collect();
    let times = harness.gpu.upload("timesteps", bytemuck::cast_slice(&timesteps));
    let ids: Vec<[u32; 4]> = (0..shape.batch).map(|i| [rng.word(), i, 9 + i, i & 1]).collect();
    let seeds = harness.gpu.upload("seeds", bytemuck::cast_slice(&ids));
    let results = harness.gpu.buffer("results", 4 * u64::from(shape.batch) + 8);
    let tampered = tamper(table.clone());
    let inputs = VlbInputs {
        table: &tampered,
        clip: case.clip,
        shape,
        prediction: tensor(prediction),
        learned: Some(tensor(learned)),
        x0: tensor(x0),
        in1: match in1 {
            Some(in1) => Noise::Tensor(tensor(in1)),
            None => {
                let seeds = case.seeds.then_some((&seeds, 0));
                Noise::Drawn(Drawn { seeds, keep: kept.map(tensor), ..Drawn::new(KEY).steps(2) })
            }
        },
    };
    let terms = VlbTerms {
        inputs,
        timesteps: if case.per_sample { Timesteps::per_sample(&times) } else { Timesteps::Batch },
        terms: (&results, 4),
        mean: case.mean.then_some((&results, 0)),
        gradient: gradients[0].map(tensor),
        learned_gradient: gradients[1].map(tensor),
        reduction: case.reduction,
        scale: case.scale.into(),
    };
    let plan = terms.plan(&harness.context).unwrap_or_else(|error| panic!("{error}: {case:?}"));
    let at = Recording { timestep: (!case.per_sample).then_some(ONE), step: u32::from(case.drawn) };
    harness.run(&plan, at);
    let after: Vec<Vec<u8>> = buffers.iter().map(|buffer| harness.read(buffer)).collect();
    let written: Vec<Placed> = gradients.into_iter().chain([kept]).flatten().collect();
    stage.assert_untouched(&after, &written, case);
    let words = Storage::F32.decode(&harness.read(&results));
    assert_eq!(words[shape.batch as usize + 1], 0.0, "beyond the results");
    let read = |placed: Placed| stage.values_in(&after, placed);
    let narrow = |values: Vec<f64>| values.iter().map(|&x| x as f32).collect::<Vec<f32>>();
    let ran = Ran {
        terms: words[1..=shape.batch as usize].to_vec(),
        mean: case.mean.then_some(words[0]),
        gradients: gradients.map(|placed| placed.map(|placed| narrow(read(placed)))),
    };

    let [p, l, x0] = [prediction, learned, x0].map(|placed| stage.values(placed));
    let (in1, noise) = match (in1, kept) {
        (Some(in1), _) => (stage.values(in1), true),
        (None, kept) => {
            let kept = read(kept.expect("kept noise"));
            let noise = own_noise(case, &ids);
            let mut comparison = Comparison::new(Storage::F32).with_noise(1.0);
            let exact: Vec<Expected> = noise.iter().map(|&z| Expected { value: z, magnitude: z.abs() }).collect();
            comparison.add_all(&narrow(kept.clone()), &exact);
            (kept, comparison.passes())
        }
    };
    let elements = shape.elements as usize;
    let batch = Batch { timesteps: &timesteps, elements, prediction: &p, learned: &l, x0: &x0, in1: &in1 };
    let exact = VlbTerms::reference(&table, case.clip, &batch, case.reduction);
    let agrees = |storage, found: &[f32], exact: &[Expected]| {
        let widened = |e: &Expected| Expected { magnitude: VlbTerms::ROUNDINGS * e.magnitude, ..*e };
        let mut comparison = Comparison::new(storage);
        comparison.add_all(found, &exact.iter().map(widened).collect::<Vec<_>>());
        comparison.passes()
    };
    let scaled = |exact: &[Expected]| -> Vec<Expected> { exact.iter().map(|e| multiplied(e, case.scale)).collect() };
    let gradients =
        ran.gradients.iter().zip(case.gradients).zip([scaled(&exact.gradient), scaled(&exact.learned_gradient)]);
    let mut gradients =
        gradients.filter_map(|((found, layout), exact)| Some((layout?.storage, found.as_ref()?, exact)));
    let good = agrees(Storage::F32, &ran.terms, &exact.samples)
        && ran.mean.is_none_or(|mean| agrees(Storage::F32, &[mean], &[exact.mean]))
        && gradients.all(|(storage, found, exact)| agrees(storage, found, &exact));
    (noise && good, ran)
}

/// The noise of step 1, of the key or of each sample's own seed.
fn own_noise(case: &Case, ids: &[[u32; 4]]) -> Vec<f64> {
    let of_sample = |i: usize| {
        let [low, high, index_low, index_high] = ids[i].map(u64::from);
        let own = (low | high << 32, index_low | index_high << 32);
        let (seed, index) = if case.seeds { own } else { (KEY.seed, KEY.first_sample + i as u64) };
        tweedie::NoiseKey::normals(seed, KEY.stream + 1, index, case.shape.elements as usize)
    };
    (0..ids.len()).flat_map(of_sample).collect()
}

#[track_caller]
fn assert_passes(harness: &Harness, case: &Case, seed: u64) -> Ran {
    let (agrees, ran) = check_with(harness, case, seed, |table| table);
    assert!(agrees, "{case:?}: terms {:?}..., mean {:?}", &ran.terms[..ran.terms.len().min(6)], ran.mean);
    ran
}

fn every_term_and_storage(harness: &Harness) {
    let sizes = [(1, 1), (7, 2), (6, 63), (8, 1024), (6, 4097)];
    for (i, (batch, elements)) in sizes.into_iter().enumerate() {
        for storage in Storage::ALL {
            for (j, clip) in [None, Some(0.9)].into_iter().enumerate() {
                let reduction = [Reduction::Sum, Reduction::Mean][(i + j) % 2];
                let (scale, per_sample) = (SCALES[j], i % 3 < 2);
                let case = Case { clip, reduction, scale, per_sample, ..Case::new(batch, elements, storage) };
                let one = Case { gradients: [case.gradients[0], None], ..case.clone() };
                let other = Case { gradients: [None, case.gradients[1]], ..case.clone() };
                assert_passes(harness, &[case, one, other][(i + j) % 3], (10 * i + j) as u64);
            }
        }
    }
}

fn every_layout(harness: &Harness) {
    let mut rng = TestRng(21);
    for (i, storage) in Storage::ALL.into_iter().enumerate() {
        for (j, (batch, elements)) in [(6, 64), (7, 63), (6, 5), (2, 8191)].into_iter().enumerate() {
            // Outputs of 16 bits that begin in different halves of a word are written one after the other.
            let mut layout = |storage| Layout { storage, before: rng.below(6), gap: rng.below(5) };
            let clip = (j % 2 == 0).then_some(1.0);
            let gradients = [Some(layout(Storage::ALL[(i + j) % 3])), Some(layout(storage))];
            let scale = SCALES[j % 2];
            let case = Case { layout: layout(storage), gradients, clip, scale, ..Case::new(batch, elements, storage) };
            assert_passes(harness, &case, u64::from(elements));
        }
    }
}

fn noise_drawn_again(harness: &Harness) {
    for elements in [64, 63, 5000] {
        for storage in [Storage::F32, Storage::Bf16] {
            let case = Case { drawn: true, ..Case::new(6, elements, storage) };
            assert_passes(harness, &case, 31);
            assert_passes(harness, &Case { seeds: true, clip: Some(1.0), ..case.clone() }, 32);
            assert_passes(harness, &Case { per_sample: false, ..case }, 33);
        }
    }
}

fn in_place_and_alone(harness: &Harness) {
    for (elements, storage) in [(64, Storage::F16), (63, Storage::Bf16), (63, Storage::F32), (4099, Storage::F32)] {
        let case = Case::new(6, elements, storage);
        // Two 16-bit outputs in place of inputs that begin alike are written at once.
        assert_passes(harness, &Case { in_place: true, ..case.clone() }, 41);
        assert_passes(harness, &Case { gradients: [None; 2], mean: false, ..case }, 42);
    }
}

/// A batch in f32, as a network leaves it.
pub struct Data<'a> {
    pub timesteps: &'a [u32],
    pub prediction: &'a [f64],
    pub learned: &'a [f64],
    pub x0: &'a [f64],
    pub in1: &'a [f64],
}

/// The terms of a batch, and the gradients of the reduction `of`, or zeros if it is `None`.
pub fn terms_of(
    harness: &Harness,
    table: &Table<VlbRow>,
    clip: Option<f64>,
    data: &Data<'_>,
    of: Option<Reduction>,
) -> [Vec<f64>; 3] {
    let upload = |values: &[f64]| {
        let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        harness.gpu.upload("test", bytemuck::cast_slice(&values))
    };
    let buffers = [data.prediction, data.learned, data.x0, data.in1].map(upload);
    let [prediction, learned, x0, in1] = buffers.each_ref().map(Tensor::f32);
    let batch = data.timesteps.len() as u32;
    let shape = Shape::new(batch, data.x0.len() as u32 / batch);
    let times = harness.gpu.upload("timesteps", bytemuck::cast_slice(data.timesteps));
    let terms = harness.gpu.buffer("terms", 4 * u64::from(batch));
    let gradients = [(); 2].map(|()| harness.gpu.buffer("gradient", 4 * shape.total()));
    let gradient = |i: usize| of.map(|_| Tensor::f32(&gradients[i]));
    let (learned, in1) = (Some(learned), Noise::Tensor(in1));
    let bound = VlbTerms {
        inputs: VlbInputs { table, clip, shape, prediction, learned, x0, in1 },
        timesteps: Timesteps::per_sample(&times),
        terms: (&terms, 0),
        mean: None,
        gradient: gradient(0),
        learned_gradient: gradient(1),
        reduction: of.unwrap_or_default(),
        scale: GradientScale::ONE,
    };
    let plan = bound.plan(&harness.context).expect("plan");
    harness.run(&plan, Recording::per_sample());
    [&terms, &gradients[0], &gradients[1]]
        .map(|buffer| Storage::F32.decode(&harness.read(buffer)).into_iter().map(f64::from).collect())
}

fn to_bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn bit_identical_in_every_run_and_batch(harness: &Harness) {
    let table = Table::new(rows());
    for elements in [40, 63, 20_001] {
        let mut rng = TestRng(51);
        let mut draw = |number: fn(&mut TestRng) -> f32| -> Vec<f64> {
            (0..4 * elements).map(|_| f64::from(number(&mut rng))).collect()
        };
        let [p, l, e] = [(); 3].map(|()| draw(TestRng::float));
        let x0 = draw(pixel);
        let timesteps = [0u32, 1, 2, 4];
        let run = |first: usize, count: usize| {
            let part = first * elements..(first + count) * elements;
            let [prediction, learned, x0, in1] = [&p, &l, &x0, &e].map(|values| &values[part.clone()]);
            let timesteps = &timesteps[first..first + count];
            terms_of(
                harness,
                &table,
                Some(1.0),
                &Data { timesteps, prediction, learned, x0, in1 },
                Some(Reduction::Sum),
            )
        };
        let whole = run(0, 4).map(|values| to_bits(&values));
        assert_eq!(run(0, 4).map(|values| to_bits(&values)), whole);
        for (first, count) in [(0, 1), (2, 2), (3, 1)] {
            let [terms, gradient, learned] = run(first, count).map(|values| to_bits(&values));
            let part = first * elements..(first + count) * elements;
            assert_eq!(terms, whole[0][first..first + count], "{count} x {elements} from {first}");
            assert!(gradient == whole[1][part.clone()] && learned == whole[2][part], "{count} x {elements}");
        }
    }
}

/// More samples than a dimension may have workgroups.
fn many_samples(harness: &Harness) {
    assert_passes(harness, &Case::new(66_000, 4, Storage::F32), 61);
    assert_passes(harness, &Case::new(66_000, 2, Storage::F16), 63);
    assert_passes(harness, &Case { gradients: [None; 2], ..Case::new(66_000, 1, Storage::Bf16) }, 62);
}

fn windows_of_a_small_binding_limit(harness: &Harness) {
    let small = harness_with_binding_limit(harness, 64 << 10);
    for (batch, elements) in [(40, 1000), (3, 50_001), (2, 65_536)] {
        for storage in [Storage::F32, Storage::F16] {
            let case = Case::new(batch, elements, storage);
            let case = Case { reduction: Reduction::Mean, gradients: [None, Some(case.layout)], ..case };
            let parts = assert_passes(&small, &case, 71);
            let whole = assert_passes(harness, &case, 71);
            let same = parts.terms.iter().zip(&whole.terms).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "windows change nothing: {case:?}");
        }
    }
}

/// Both gradients, timesteps from a buffer and noise in a tensor are nine storage buffers at once, and every device has eight.
fn everything_at_once_within_default_limits(harness: &Harness) {
    let harness = pollster::block_on(async {
        let adapters = tweedie::headless::Gpu::adapters().await;
        let same = |adapter: &wgpu::Adapter| {
            let info = adapter.get_info();
            info.name == harness.gpu.info.name && info.backend == harness.gpu.info.backend
        };
        let adapter = adapters.into_iter().find(same).expect("the adapter of the harness");
        let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 8, ..adapter.limits() };
        Harness::of(Gpu::with_limits(&adapter, limits).await.expect("a device"))
    });
    for elements in [64, 63] {
        assert_passes(&harness, &Case::new(6, elements, Storage::F32), 75);
    }
}

fn numbers_that_are_none(harness: &Harness) {
    let table = Table::new(rows());
    let timesteps = [0u32, 1, 2, 3, 4, 5, 99, 1];
    for (elements, clip) in [(2, None), (5, None), (5, Some(1.0)), (18, Some(1.0))] {
        let fine = vec![0.25; timesteps.len() * elements];
        for spoilt in 0..4 {
            let mut tensors = [(); 4].map(|()| fine.clone());
            // The second element of every sample but the last.
            (0..timesteps.len() - 1).for_each(|sample| tensors[spoilt][sample * elements + 1] = f64::NAN);
            let [prediction, learned, x0, in1] = &tensors;
            let data = Data { timesteps: &timesteps, prediction, learned, x0, in1 };
            let [terms, gradient, of_learned] = terms_of(harness, &table, clip, &data, Some(Reduction::Sum));
            let exact = VlbTerms::reference(
                &table,
                clip,
                &Batch { timesteps: &timesteps, elements, prediction, learned, x0, in1 },
                Reduction::Sum,
            );
            let nan = |values: &[f64]| values.iter().map(|x| x.is_nan()).collect::<Vec<_>>();
            let expected = |exact: &[Expected]| exact.iter().map(|x| x.value.is_nan()).collect::<Vec<_>>();
            let what = format!("{elements} elements, tensor {spoilt}, clip {clip:?}");
            assert_eq!(nan(&terms), expected(&exact.samples), "terms, {what}");
            assert_eq!(nan(&gradient), expected(&exact.gradient), "gradient, {what}");
            assert_eq!(nan(&of_learned), expected(&exact.learned_gradient), "learned gradient, {what}");
            assert!(nan(&terms)[6] && !nan(&terms)[7] && terms.iter().any(|x| !x.is_nan()), "{terms:?}");
        }
    }
}

/// Variances and errors far beyond those of a trained network: the terms are large or infinite, as the twin's, never wrong.
fn extremes(harness: &Harness) {
    let table = Table::new(rows());
    let timesteps = [0u32, 1, 2, 3, 4];
    let learned: Vec<f64> = [-300.0, -90.0, -20.0, 0.0, 20.0, 90.0, 300.0].to_vec();
    let elements = learned.len();
    let learned = learned.repeat(timesteps.len());
    for prediction in [0.0, 1e-6, -3.0, 1e4, 1e30] {
        let prediction = vec![prediction; learned.len()];
        let (x0, in1) = (vec![0.0; learned.len()], vec![0.0; learned.len()]);
        for (first, sample) in (0..).step_by(elements).zip(timesteps) {
            for i in first..first + elements {
                let one = |values: &'_ [f64]| vec![values[i]];
                let [p, l, x0, in1] = [&prediction, &learned, &x0, &in1].map(|values| one(values));
                let timesteps = [sample];
                let data = Data { timesteps: &timesteps, prediction: &p, learned: &l, x0: &x0, in1: &in1 };
                let [terms, ..] = terms_of(harness, &table, None, &data, None);
                let batch =
                    Batch { timesteps: &timesteps, elements: 1, prediction: &p, learned: &l, x0: &x0, in1: &in1 };
                let exact = VlbTerms::reference(&table, None, &batch, Reduction::Sum).samples[0];
                let mut comparison = Comparison::new(Storage::F32);
                comparison.add(terms[0] as f32, Expected { magnitude: VlbTerms::ROUNDINGS * exact.magnitude, ..exact });
                let what = format!("row {sample}, p {}, learned {}", p[0], l[0]);
                assert!(comparison.passes(), "{what}: {exact:?}, found {terms:?}: {comparison}");
            }
        }
    }
}

/// At a clean sample of 1, an outward error of 2e-8 is beyond the clip, although it rounds away in an f32 sum: it costs nothing, where
/// it would cost two deviations. An inward error costs them.
fn an_error_beyond_the_clip_that_rounds_away(harness: &Harness) {
    let row = VlbRow {
        prediction: 1.0,
        inputs: [0.0; 2],
        inverse_deviation: 1e8,
        log_ratio: [0.0; 2],
        weight: 1.0,
        term: Term::Divergence,
    };
    let table = Table::new(vec![row]);
    for (x0, error, expected) in [(1.0, 2e-8, 0.0), (-1.0, -2e-8, 0.0), (1.0, -2e-8, 2.0), (-1.0, 2e-8, 2.0)] {
        let (p, l, x0, in1) = (vec![error], vec![0.0], vec![x0], vec![0.0]);
        let data = Data { timesteps: &[0], prediction: &p, learned: &l, x0: &x0, in1: &in1 };
        let [terms, ..] = terms_of(harness, &table, Some(1.0), &data, None);
        assert!((terms[0] - expected).abs() < 1e-5, "{x0:?} {error}: {terms:?}");
        let batch = Batch { timesteps: &[0], elements: 1, prediction: &p, learned: &l, x0: &x0, in1: &in1 };
        let exact = VlbTerms::reference(&table, Some(1.0), &batch, Reduction::Sum).samples[0];
        assert!((exact.value - expected).abs() < 1e-5, "{x0:?} {error}: {exact:?}");
    }
}

/// The comparison notices each wrong number of a row.
fn a_wrong_coefficient_fails(harness: &Harness) {
    type Break = (&'static str, usize, fn(&mut VlbRow));
    let breaks: [Break; 8] = [
        ("prediction", 1, |row| row.prediction *= 1.0001),
        ("x0", 1, |row| row.inputs[0] *= 1.0001),
        ("in1", 0, |row| row.inputs[1] *= 1.0001),
        ("inverse deviation", 4, |row| row.inverse_deviation *= 1.0001),
        ("log ratio", 2, |row| row.log_ratio[0] *= 1.0001),
        ("of learned", 0, |row| row.log_ratio[1] *= 1.001),
        ("weight", 3, |row| row.weight *= 1.0001),
        ("term", 0, |row| row.term = Term::Divergence),
    ];
    for gradients in [[Some(Layout::plain(Storage::F32)); 2], [None; 2]] {
        let case = Case { gradients, ..Case::new(12, 200, Storage::F32) };
        assert_passes(harness, &case, 81);
        for (name, index, change) in breaks {
            let (agrees, _) = check_with(harness, &case, 81, |table| {
                let mut rows: Vec<VlbRow> = table.rows().iter().map(|row| row.expect("no holes")).collect();
                change(&mut rows[index]);
                Table::new(rows)
            });
            assert!(!agrees, "{name} was not noticed");
        }
    }
}

fn errors_name_what_was_found(harness: &Harness) {
    let tensors = [(); 4].map(|()| harness.gpu.buffer("tensor", 32));
    let [p, l, x0, results] = &tensors;
    let table = Table::new(rows());
    let (none, far) = (Table::new([]), table.map(|row| VlbRow { inverse_deviation: 1e40, ..*row }));
    let inputs = VlbInputs {
        table: &table,
        clip: Some(1.0),
        shape: Shape::new(2, 4),
        prediction: Tensor::f32(p),
        learned: Some(Tensor::f32(l)),
        x0: Tensor::f32(x0),
        in1: Noise::Tensor(Tensor::f32(x0)),
    };
    let good = VlbTerms {
        inputs,
        timesteps: Timesteps::Batch,
        terms: (results, 0),
        mean: Some((results, 8)),
        gradient: Some(Tensor::f32(p)),
        learned_gradient: Some(Tensor::f32(l)),
        reduction: Reduction::Mean,
        scale: GradientScale::ONE,
    };
    let fails = |bound: VlbTerms<'_>| bound.plan(&harness.context).map(|_| ()).expect_err("no plan");
    let with = |inputs| fails(VlbTerms { inputs, ..good });
    assert_eq!(with(VlbInputs { in1: Noise::None, ..inputs }), PlanError::Missing { what: "in1", row: 0 });
    let learned = [None, Some(Tensor::f32(l).at(2))].map(|learned| with(VlbInputs { learned, ..inputs }));
    assert_eq!(learned[0], PlanError::Missing { what: "learned", row: 0 });
    assert_eq!(learned[1], PlanError::Offset { tensor: "learned", storage: Storage::F32, expected: 4, found: 2 });
    for found in [0.0, -1.0, f64::INFINITY, 1e-40] {
        let error = with(VlbInputs { clip: Some(found), ..inputs });
        assert_eq!(error, PlanError::Rule { what: "clip range", expected: "finite and above 0", found });
    }
    assert_eq!(with(VlbInputs { table: &none, ..inputs }), PlanError::EmptyTable);
    assert!(matches!(with(VlbInputs { table: &far, ..inputs }), PlanError::Table(_)));
    let empty = with(VlbInputs { shape: Shape::new(0, 4), ..inputs });
    assert_eq!(empty, PlanError::EmptyShape { batch: 0, elements: 4 });
    let overlap = |output, other| PlanError::Overlap { output, other };
    assert_eq!(fails(VlbTerms { mean: Some((results, 4)), ..good }), overlap("mean", "terms"));
    assert_eq!(fails(VlbTerms { terms: (x0, 0), ..good }), overlap("terms", "x0"));
    assert_eq!(
        fails(VlbTerms { gradient: Some(Tensor::f32(l)), ..good }),
        overlap("gradient", "learned_gradient"),
        "both gradients in one place"
    );
    let fixed = table.map(|row| VlbRow { log_ratio: [row.log_ratio[0], 0.0], inputs: [row.inputs[0], 0.0], ..*row });
    let few = VlbInputs { table: &fixed, learned: None, in1: Noise::None, ..inputs };
    let plan = VlbTerms { inputs: few, learned_gradient: None, ..good }.plan(&harness.context).expect("plan");
    assert_eq!(plan.dispatches(), 3, "the tensors, the samples' sums, their mean");
    harness.run(&plan, Recording::timestep(0));
}
