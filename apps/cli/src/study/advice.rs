//! Recommends a prediction and a loss weight from the measurements.
//!
//! **Theory.** A network errs by a fraction of its target's deviation. In the conversion to x0 or to epsilon that fraction is
//! multiplied by the amplification and by the ratio of the deviations of what is predicted and what is wanted. A sampler needs
//! both at every timestep that it visits, so the largest such factor is the cost of a parameterization.
//!
//! The weights follow Hang et al. 2023 (arXiv 2303.09556: min-SNR, gamma 5), Salimans & Ho 2022 (arXiv 2202.00512, section
//! 4: truncated SNR for x0), and Karras et al. 2022 (arXiv 2206.00364, table 1: the weight of EDM, which is not 0 where
//! there is no signal).

use super::CHOICES;
use super::format::short;
use super::measure::Moment;
use super::results::{At, Results};
use super::storage_loss::HALVES;
use super::textbook_claims::losses;
use anyhow::Result;
use serde::Serialize;
use tweedie::Quantity;
use tweedie::math::{SigmaData, Weight};

/// Factors within this ratio of the least count as equal; of those, the first in [`PREFERENCE`] is taken.
const ALIKE: f64 = 1.25;

/// The order of preference: v first, since it determines x0 and epsilon at every noise level.
const PREFERENCE: [Quantity; 3] = [Quantity::V, Quantity::Epsilon, Quantity::X0];

const MIN_SNR_GAMMA: f64 = 5.0;
const TRUNCATION: f64 = 1.0;

/// A recommendation.
#[derive(Clone, Debug, Serialize)]
pub struct Advice {
    pub steps: usize,
    pub prediction: &'static str,
    /// As `tweedie loss --weight` takes it.
    pub weight: String,
    /// The largest factor of each choice, null where it determines nothing.
    pub worst: Vec<Worst>,
    pub reasons: Vec<String>,
}

/// The most that a choice costs at the timesteps that are visited.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Worst {
    pub prediction: &'static str,
    /// Relative error of what is wanted, per relative error of the prediction; infinite where it is not determined.
    pub factor: f64,
    pub of: &'static str,
    pub t: usize,
}

/// Recommends a prediction and a weight for these data under this schedule.
pub fn advise(results: &Results<'_>) -> Result<Advice> {
    let costs: Vec<(Quantity, Worst)> = CHOICES.into_iter().filter_map(|it| Some((it, worst(results, it)?))).collect();
    let least = costs.iter().map(|(_, worst)| worst.factor).fold(f64::INFINITY, f64::min);
    let good = |choice: &Quantity| costs.iter().any(|(of, worst)| of == choice && worst.factor <= least * ALIKE);
    let choice = PREFERENCE.into_iter().find(good).unwrap_or(Quantity::V);
    let (weight, options) = weight(results, choice)?;
    let worst: Vec<Worst> = costs.iter().map(|(_, worst)| *worst).collect();
    let precision = HALVES.into_iter().filter_map(|storage| losses(results, storage)).next_back();
    let mut reasons = vec![why_predict(results, choice, &worst), why_weigh(results, choice, &weight)];
    reasons.extend(precision.map(|lost| format!("Keep x_t in f32 there: {lost}.")));
    reasons.extend(results.data.look().remedy.map(|remedy| {
        format!("Take {remedy} for the data x and study them again: what is best depends on their variance.")
    }));
    Ok(Advice { steps: results.visited.len(), prediction: choice.name(), weight: options, worst, reasons })
}

fn worst(results: &Results<'_>, choice: Quantity) -> Option<Worst> {
    let all = results.visits().filter_map(|moment| Some((moment.t, costs(results, moment, choice)?)));
    let all = all.flat_map(|(t, costs)| costs.map(|(of, factor)| Worst { prediction: choice.name(), factor, of, t }));
    all.reduce(|worst, other| if other.factor > worst.factor { other } else { worst })
}

/// The factors into x0 and into epsilon.
fn costs(results: &Results<'_>, moment: &Moment, choice: Quantity) -> Option<[(&'static str, f64); 2]> {
    let target = moment.of(choice)?;
    let deviation = target.variance.value()?.sqrt();
    let into =
        |amplification: Option<f64>, wanted: f64| amplification.map_or(f64::INFINITY, |it| it * deviation / wanted);
    Some([
        (Quantity::X0.name(), into(target.into_x0.value(), results.data.deviation)),
        (Quantity::Epsilon.name(), into(target.into_epsilon.value(), 1.0)),
    ])
}

fn weight(results: &Results<'_>, choice: Quantity) -> Result<(Weight, String)> {
    Ok(if choice == Quantity::X0 {
        (Weight::MaxSnr { gamma: TRUNCATION }, format!("max-snr --gamma {TRUNCATION}"))
    } else if results.ends_in_pure_noise() {
        let deviation = short(results.data.deviation);
        (Weight::Edm(SigmaData::new(results.data.deviation)?), format!("edm --sigma-data {deviation}"))
    } else {
        (Weight::MinSnr { gamma: MIN_SNR_GAMMA }, format!("min-snr --gamma {MIN_SNR_GAMMA}"))
    })
}

fn why_predict(results: &Results<'_>, choice: Quantity, worst: &[Worst]) -> String {
    let way = match results.visited[..] {
        [noisiest, .., cleanest] => format!("On the way from t = {noisiest} to {cleanest}"),
        _ => "In the one step".to_owned(),
    };
    let cost = |it: &Worst| match it.factor.is_finite() {
        true => format!("{}% of {} (t = {})", short(it.factor), it.of, it.t),
        false => format!("no {} at all (t = {})", it.of, it.t),
    };
    let of = |name: &str| worst.iter().find(|it| it.prediction == name).map(cost).unwrap_or_default();
    let others = worst.iter().filter(|it| it.prediction != choice.name());
    let others: Vec<String> = others.map(|it| format!("{} {}", it.prediction, cost(it))).collect();
    format!(
        "{way}, a prediction of {choice} that is 1% off is at worst off by {}; {}.",
        of(choice.name()),
        others.join(", ")
    )
}

fn why_weigh(results: &Results<'_>, choice: Quantity, weight: &Weight) -> String {
    let range = |ends: Option<[At; 2]>| match ends {
        Some([low, high]) => {
            format!("from {} (t = {}) to {} (t = {})", short(low.value), low.t, short(high.value), high.t)
        }
        None => "by weights that f32 cannot resolve".to_owned(),
    };
    let weighted = range(results.extremes(|moment| results.weight(moment, weight)));
    let plain = range(results.extremes(|moment| moment.plain_weight(choice)));
    let of_epsilon = range(results.extremes(|moment| moment.plain_weight_of_epsilon(choice)));
    let name = weight.name();
    match weight {
        Weight::MaxSnr { .. } => format!(
            "A plain loss on {choice} weighs errors of x0 alike, and so those of epsilon {of_epsilon}; {name} weighs errors \
             of x0 {weighted}."
        ),
        Weight::Edm(_) => format!(
            "A plain loss on {choice} weighs errors of x0 {plain}; {name} with the deviation of the data weighs them \
             {weighted}. min-snr would weigh the last timestep, where sampling starts, by 0."
        ),
        _ => format!("A plain loss on {choice} weighs errors of x0 {plain}; {name} weighs them {weighted}."),
    }
}
