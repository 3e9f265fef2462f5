//! Compares textbook statements about the three parameterizations with the measurements.

use super::format::short;
use super::measure::{Moment, Reading};
use super::results::{At, Results};
use super::storage_loss::{HALVES, Part};
use serde::Serialize;
use tweedie::{Quantity, Storage};

/// A statement, whether these data and this schedule confirm it, and the numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    pub claim: &'static str,
    pub confirmed: bool,
    pub found: String,
}

/// Factor within which a variance counts as near.
const NEAR: f64 = 1.5;

/// The amplification from which a conversion counts as ill-conditioned: a prediction that is 10% off says nothing then.
const ILL: f64 = 10.0;

/// Allowance for rounding in an amplification of one.
const ROUNDING: f64 = 1e-3;

/// All claims, in the order in which they are printed.
pub fn claims(results: &Results<'_>) -> Vec<Claim> {
    let (epsilon, x0) = (Quantity::Epsilon, Quantity::X0);
    let all = [
        unit_epsilon(results),
        x0_by_the_data(results),
        v_near_one(results),
        v_never_amplifies(results),
        ill_conditioned(results, "epsilon is ill-conditioned at high noise", [epsilon, x0], INTO_X0),
        ill_conditioned(results, "x0 is ill-conditioned at low noise", [x0, epsilon], INTO_EPSILON),
        half_precision(results),
    ];
    all.into_iter().flatten().collect()
}

const INTO_X0: Reading = |target| target.into_x0;
const INTO_EPSILON: Reading = |target| target.into_epsilon;

fn extremes(results: &Results<'_>, of: Quantity, pick: Reading) -> Option<[At; 2]> {
    results.extremes(|moment: &Moment| pick(moment.of(of)?).value())
}

fn range([low, high]: [At; 2]) -> String {
    format!("{} (t = {}) to {} (t = {})", short(low.value), low.t, short(high.value), high.t)
}

fn unit_epsilon(results: &Results<'_>) -> Option<Claim> {
    let found = extremes(results, Quantity::Epsilon, |target| target.variance)?;
    let mut measured = results.moments.iter().filter_map(|moment| Some(moment.of(Quantity::Epsilon)?.variance));
    let confirmed = measured.all(|variance| (variance.measured - 1.0).abs() <= variance.tolerance);
    let why = if confirmed { "as far as the sampling of the noise can tell" } else { "more than sampling explains" };
    let found = format!("{}, {why}", range(found));
    Some(Claim { claim: "epsilon has unit variance at every t", confirmed, found })
}

fn x0_by_the_data(results: &Results<'_>) -> Option<Claim> {
    let [low, high] = extremes(results, Quantity::X0, |target| target.variance)?;
    let confirmed = high.value <= low.value * (1.0 + ROUNDING);
    let found = match confirmed {
        true => format!("{} at every t, whatever the schedule", short(high.value)),
        false => range([low, high]),
    };
    Some(Claim { claim: "x0's variance is that of the data", confirmed, found })
}

fn v_near_one(results: &Results<'_>) -> Option<Claim> {
    let found = extremes(results, Quantity::V, |target| target.variance)?;
    let [low, high] = found.map(|at| at.value);
    let confirmed = low >= 1.0 / NEAR && high <= NEAR;
    let data = results.data.variance();
    let why = match (confirmed, NEAR.recip() <= data && data <= NEAR) {
        (true, true) => "like that of the data".to_owned(),
        (true, false) => {
            format!("although that of the data is {}: there is little noise at these timesteps", short(data))
        }
        (false, _) => format!("since that of the data is {}, which it approaches as noise grows", short(data)),
    };
    Some(Claim { claim: "v's variance is near one at every t", confirmed, found: format!("{}, {why}", range(found)) })
}

fn v_never_amplifies(results: &Results<'_>) -> Option<Claim> {
    let [x0, epsilon] = [INTO_X0, INTO_EPSILON].map(|into| extremes(results, Quantity::V, into));
    let ([_, x0], [_, epsilon]) = (x0?, epsilon?);
    let confirmed = x0.value.max(epsilon.value) <= 1.0 + ROUNDING;
    let worst = |at: At, into: &str| format!("{} into {into} (t = {})", short(at.value), at.t);
    let found = format!("at most {} and {}", worst(x0, "x0"), worst(epsilon, "epsilon"));
    Some(Claim { claim: "v's conversions never amplify an error", confirmed, found })
}

/// Confirmed where the largest amplification is large, or the value does not exist.
fn ill_conditioned(
    results: &Results<'_>,
    claim: &'static str,
    [of, wanted]: [Quantity; 2],
    into: Reading,
) -> Option<Claim> {
    let [_, worst] = extremes(results, of, into)?;
    let hole = results.moments.iter().find(|it| it.of(of).is_some_and(|target| into(target).value().is_none()));
    let mut found = format!("an error grows {}-fold into {wanted} at t = {}", short(worst.value), worst.t);
    if let Some(hole) = hole {
        found += &format!(", and at t = {} it determines nothing", hole.t);
    }
    Some(Claim { claim, confirmed: worst.value >= ILL || hole.is_some(), found })
}

fn half_precision(results: &Results<'_>) -> Option<Claim> {
    let lost: Vec<String> = HALVES.into_iter().filter_map(|storage| losses(results, storage)).collect();
    let confirmed = lost.is_empty();
    let found = if confirmed { "f16 and bf16 keep both to 10% everywhere".to_owned() } else { lost.join("; ") };
    Some(Claim { claim: "16 bits hold the noisy sample", confirmed, found })
}

/// Names the parts that a storage loses more than 10% of, and the timesteps.
pub fn losses(results: &Results<'_>, storage: Storage) -> Option<String> {
    let told = Part::ALL.into_iter().filter_map(|part| {
        let times = results.lost(storage, part);
        Some(format!("the {} at {}", part.name(), span(*times.first()?, *times.last()?)))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| format!("{storage} loses more than 10% of {}", told.join(" and of ")))
}

fn span(first: usize, last: usize) -> String {
    if first == last { format!("t = {first}") } else { format!("t = {first} to {last}") }
}
