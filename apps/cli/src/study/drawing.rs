//! The four panels of a study.

use super::measure::Moment;
use super::results::Results;
use super::storage_loss::{HALVES, LOST, Part};
use super::{CHOICES, WEIGHTS};
use anyhow::Result;
use plots::Scale;
use plots::curves::{self, Panel, Series};
use tweedie::Quantity;
use tweedie::math::Weight;

/// The text of the SVG file.
pub fn draw(results: &Results<'_>) -> Result<String> {
    let title = format!("What to predict: {}, {} timesteps", results.data.name, results.schedule.len());
    curves::draw(
        &title,
        "timestep",
        Scale::Linear,
        &[variances(results), errors(results), weights(results), halves(results)],
    )
}

fn curve(results: &Results<'_>, name: &str, value: impl Fn(&Moment) -> Option<f64>) -> Series {
    let points = results.moments.iter().map(|moment| (moment.t as f64, value(moment).unwrap_or(f64::NAN)));
    (name.to_owned(), points.collect())
}

fn panel(title: &str, y_label: &str, log_y: bool, series: Vec<Series>) -> Panel {
    Panel::new(title, y_label, if log_y { Scale::Decades } else { Scale::Linear }, series)
}

/// Logarithmic only where a linear axis would flatten something.
fn variances(results: &Results<'_>) -> Panel {
    let of = |quantity: Quantity| curve(results, quantity.name(), move |it| it.of(quantity)?.variance.value());
    let variance = results.data.variance();
    panel("variance of what is predicted", "variance", !(0.02..=50.0).contains(&variance), CHOICES.map(of).to_vec())
}

/// Skips the conversion of a prediction to itself.
fn errors(results: &Results<'_>) -> Panel {
    let into_x0 = |of: Quantity| curve(results, &format!("{of} into x0"), move |it| it.of(of)?.into_x0.value());
    let into_epsilon =
        |of: Quantity| curve(results, &format!("{of} into epsilon"), move |it| it.of(of)?.into_epsilon.value());
    let (epsilon, x0, v) = (Quantity::Epsilon, Quantity::X0, Quantity::V);
    let series = vec![into_x0(epsilon), into_epsilon(x0), into_x0(v), into_epsilon(v)];
    panel("how an error of the prediction grows", "amplification", true, series)
}

fn weights(results: &Results<'_>) -> Panel {
    let plain = |on: Quantity| curve(results, &format!("plain loss on {on}"), move |it| it.plain_weight(on));
    let named = |(name, weight): (&str, Weight)| curve(results, name, move |it| results.weight(it, &weight));
    let series = CHOICES.map(plain).into_iter().chain(WEIGHTS.map(named)).collect();
    panel("how a loss weighs squared errors of x0", "weight", true, series)
}

fn halves(results: &Results<'_>) -> Panel {
    let times = || results.moments.iter().map(|moment| moment.t as f64);
    let mut series = Vec::new();
    for (storage, recovered) in HALVES.iter().zip(&results.halves) {
        for part in Part::ALL {
            series.push((
                format!("{} in {storage}", part.name()),
                times().zip(recovered.iter().map(|it| it.of(part))).collect(),
            ));
        }
    }
    series.push((format!("{:.0}%: lost", LOST * 100.0), times().map(|t| (t, LOST)).collect()));
    panel("what 16 bits lose of the noisy sample", "relative error", true, series)
}
