//! The kinds of plans in the benchmarks: their hand-written roles and numbers of dispatches are those of the plans.

use crate::harness::Harness;
use tweedie::Schedule;
use tweedie_bench::kinds::{KINDS, Kind, Made};

pub const TESTS: &[crate::Test] = &[("bench_kinds::kinds_are_their_plans", kinds_are_their_plans)];

fn kinds_are_their_plans(harness: &Harness) {
    let schedule = Schedule::linear(1000, 1e-4, 0.02).expect("a schedule");
    let set = Kind::set(&harness.gpu, &harness.context, 1).expect("tensors");
    for kind in &KINDS {
        let made = kind.plan(&schedule, &harness.context, &set).expect("a plan");
        let roles = kind.roles(&set);
        assert!(made.moved(&harness.context, &roles).is_ok(), "{}", kind.name);
        // A training step has no list of its roles; its plans are of the other kinds.
        let Made::Plan(plan) = made else { continue };
        assert_eq!(plan.dispatches(), kind.dispatches.len(), "{}", kind.name);
        let mut given: Vec<&str> = roles.iter().map(|(role, _)| *role).collect();
        let mut expected: Vec<&str> = plan.roles().collect();
        given.sort_unstable();
        expected.sort_unstable();
        assert_eq!(given, expected, "{}", kind.name);
    }
}
