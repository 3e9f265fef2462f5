//! The training of the example: it resumes where it was stopped.

#[path = "../examples/shapes/pictures.rs"]
mod pictures;
#[path = "../examples/shapes/train.rs"]
#[expect(dead_code, reason = "the example reports more of a run")]
mod train;
#[path = "../examples/shapes/unet.rs"]
#[expect(dead_code, reason = "the classifier judges the example's samples")]
mod unet;

use crate::harness::{Harness, download};
use train::{Run, Setting};
use tweedie::Quantity;

pub const TESTS: &[crate::Test] =
    &[("shapes::a_training_goes_on_where_it_stopped", a_training_goes_on_where_it_stopped)];

const SETTING: Setting = Setting { width: 8, batch: 8, steps: 6, rate: 3e-3 };

/// The losses of the second half are the same to the bit, from a checkpoint and without; with other parameters they are not.
fn a_training_goes_on_where_it_stopped(harness: &Harness) {
    let [(_, bridge), _] = &harness.bridges;
    let folder = std::env::temp_dir().join(format!("tweedie-burn-{}", std::process::id()));
    let run = || Run::new(bridge, Quantity::V, SETTING).expect("a run");
    let losses = |run: &mut Run, steps: usize| {
        (0..steps).map(|_| download(&run.step().expect("a step"))[0]).collect::<Vec<f32>>()
    };
    let mut straight = run();
    let expected = losses(&mut straight, 6);

    let mut first = run();
    assert_eq!(losses(&mut first, 3), expected[..3], "two runs of a seed");
    first.save(&folder).expect("a checkpoint");
    let mut second = run();
    assert!(second.resume(&folder).expect("a checkpoint"));
    assert_eq!(second.step, 3);
    assert_eq!(losses(&mut second, 3), expected[3..]);

    // The checkpoint matters: from the network's initial parameters, the same steps have other losses.
    let mut forgetful = run();
    forgetful.step = 3;
    assert_ne!(losses(&mut forgetful, 3), expected[3..]);
    let other = Setting { batch: 4, ..SETTING };
    let error = Run::new(bridge, Quantity::V, other).expect("a run").resume(&folder).expect_err("another setting");
    assert!(error.to_string().contains("expected a run of"), "{error}");
    let mut nothing = run();
    assert!(!nothing.resume(&folder.join("nothing")).expect("no checkpoint is no error"));
    std::fs::remove_dir_all(&folder).expect("the folder of the test");
}
