//! Burn's tensors lent to tweedie.

use crate::harness::{ELEMENTS, Harness, download, upload, upload_words, values};
use burn::tensor::{DType, Int, Tensor};
use tweedie::gpu::{Drawn, NoiseKey, Plan, Recording};
use tweedie::{Shape, Storage};
use tweedie_burn::{Error, Goal, Training};

pub const TESTS: &[crate::Test] = &[
    ("bridge::a_lent_tensor_is_the_memory_that_burn_reads", a_lent_tensor_is_the_memory_that_burn_reads),
    ("bridge::small_tensors_share_a_page", small_tensors_share_a_page),
    ("bridge::what_burn_has_queued_comes_first", what_burn_has_queued_comes_first),
    ("bridge::what_does_not_fit_is_an_error", what_does_not_fit_is_an_error),
];

/// tweedie writes to the memory that Burn reads, without a copy.
fn a_lent_tensor_is_the_memory_that_burn_reads(harness: &Harness) {
    let key = NoiseKey::seed(5);
    for (name, bridge) in &harness.bridges {
        let tensor: Tensor<3> = bridge.empty("noise", [3, 5, 7], DType::F32).expect("a tensor");
        let lent = bridge.lend_out("noise", &tensor).expect("its memory");
        assert_eq!(lent.shape(), Shape::new(3, 35));
        let plan = Plan::fill(bridge.context(), lent.shape(), Drawn::new(key), lent.tensor()).expect("a plan");
        let before = bridge.dispatches();
        bridge.submit(plan.dispatches(), |pass| plan.record(pass, Recording::timestep(0))).expect("a recording");
        assert_eq!(bridge.dispatches() - before, 1);
        let again = bridge.lend("noise", &tensor).expect("its memory");
        assert_eq!((again.buffer(), again.offset()), (lent.buffer(), lent.offset()), "{name}");
        for (found, expected) in download(&tensor).into_iter().zip(key.reference(3, 35)) {
            assert!((f64::from(found) - expected).abs() < tweedie::NoiseKey::TOLERANCE, "{name}");
        }
    }
}

/// Tensors that share a buffer, for which kernels are compiled with all of it writable, are the usual case with Burn.
fn small_tensors_share_a_page(harness: &Harness) {
    for (name, bridge) in &harness.bridges {
        let tensors: Vec<Tensor<2>> =
            (0..4).map(|_| bridge.empty("x", [4, 64], DType::F32).expect("a tensor")).collect();
        let lent: Vec<_> = tensors.iter().map(|tensor| bridge.lend("x", tensor).expect("memory")).collect();
        assert!(lent.iter().all(|other| other.buffer() == lent[0].buffer()), "{name}");
        let mut offsets: Vec<u64> = lent.iter().map(|lent| lent.offset()).collect();
        offsets.sort_unstable();
        offsets.dedup();
        assert_eq!(offsets.len(), lent.len(), "{name}");
    }
}

/// A tensor that Burn has not computed yet, one that is not contiguous, and one that begins within another.
fn what_burn_has_queued_comes_first(harness: &Harness) {
    for (name, bridge) in &harness.bridges {
        for (dtype, storage) in ELEMENTS {
            let data = values(1, 6 * 4 * 8, storage);
            let plain = upload(bridge, &data, [6, 4, 8], dtype);
            let copy = |tensor: &Tensor<3>| {
                let [x_t, _] = one_step(bridge).noise_and_target(tensor, &zeros(bridge, tensor), KEY).expect("x_t");
                (download(&x_t), download(tensor))
            };
            // The only timestep of this schedule has no noise, so the output equals the input.
            let queued = plain.clone().mul_scalar(2.0).add_scalar(1.0);
            let turned = plain.clone().swap_dims(1, 2);
            let part = plain.clone().slice([2..5, 0..4, 0..8]);
            for tensor in [plain, queued, turned, part] {
                let (found, expected) = copy(&tensor);
                assert_eq!(found, expected, "{name}, {dtype:?}, {:?}", tensor.dims());
                assert!(found.iter().any(|x| *x != 0.0));
            }
        }
    }
}

const KEY: NoiseKey = NoiseKey::seed(3);

/// A schedule whose noisy sample is the clean one.
fn one_step(bridge: &tweedie_burn::Bridge) -> Training {
    let clean = tweedie::Schedule::from_levels(&[tweedie::math::NoiseLevel::CLEAN]).expect("a schedule");
    let goal = Goal::new(tweedie::math::Objective::of(tweedie::Quantity::V), 1).expect("a goal");
    Training::new(bridge, &clean, goal).expect("a training")
}

fn zeros(bridge: &tweedie_burn::Bridge, tensor: &Tensor<3>) -> Tensor<1, Int> {
    upload_words(bridge, &vec![0; tensor.dims()[0]])
}

fn what_does_not_fit_is_an_error(harness: &Harness) {
    let [(_, own), (_, host)] = &harness.bridges;
    let training = one_step(own);
    let data = values(1, 12, Storage::F32);
    let x0 = upload(own, &data, [3, 4], DType::F32);
    let elsewhere = upload(host, &data, [3, 4], DType::F32);
    let t = upload_words(own, &[0, 0, 0]);

    let error = training.noise(elsewhere, KEY).expect_err("another device");
    assert!(matches!(error, Error::Device { tensor: "x0", .. }), "{error}");
    let error = training.noise_at(x0.clone(), upload_words(own, &[0, 0]), KEY).expect_err("two timesteps");
    assert_eq!(error.to_string(), "timesteps: expected the shape [3], found [2]");
    let error = own.lend_out("x0", &x0.clone().swap_dims(0, 1)).expect_err("columns");
    assert_eq!(error, Error::Gaps { tensor: "x0" });
    let error = own.empty::<2>("x", [0, 3], DType::F32).expect_err("nothing");
    assert!(matches!(error, Error::Extent { .. }), "{error}");
    let wide: Tensor<1, Int> = t.clone().cast(DType::I64);
    let error = training.noise_at(x0.clone(), wide, KEY).expect_err("64 bits");
    assert_eq!(error, Error::Elements { tensor: "timesteps", expected: "i32 or u32", found: DType::I64 });

    let noisy = training.noise_at(x0.clone(), t, KEY).expect("and it goes on");
    let error = training.loss(&noisy, x0.clone().reshape([4, 3])).expect_err("another shape");
    assert_eq!(error.to_string(), "prediction: expected the shape [3, 4], found [4, 3]");
    let error = training.loss(&noisy, Tensor::<2>::zeros([3, 4], host.device())).expect_err("device");
    assert!(matches!(error, Error::Device { tensor: "prediction", .. }), "{error}");
    training.loss(&noisy, x0).expect("and it goes on");
}
