//! A study as text and as JSON.

use super::advice::Advice;
use super::format::short;
use super::measure::{Moment, Reading};
use super::measurement::Measurement;
use super::results::Results;
use super::storage_loss::{HALVES, Part};
use super::textbook_claims::Claim;
use super::{CHOICES, ERROR, TARGETS, WEIGHTS};
use crate::report::{Outcome, say};
use serde_json::{Value, json};

/// Columns of the text; the file has all timesteps.
const COLUMNS: usize = 8;

/// The largest difference between what was measured and its formula, as a part of what is tolerated.
pub fn disagreement(results: &Results<'_>) -> f64 {
    results.moments.iter().flat_map(Moment::measured).map(Measurement::of_tolerance).fold(0.0, f64::max)
}

/// Counts the numbers that were measured, and those that are off.
pub fn verdict(results: &Results<'_>) -> (usize, usize) {
    let all = || results.moments.iter().flat_map(Moment::measured);
    (all().count(), all().filter(|it| it.of_tolerance() > 1.0).count())
}

/// Describes the data on a line.
pub fn describe(results: &Results<'_>) -> String {
    let data = results.data;
    format!(
        "{}: {} elements, mean {}, deviation {}, from {} to {}; they look like {}",
        data.name,
        data.elements(),
        short(data.mean),
        short(data.deviation),
        short(data.least),
        short(data.most),
        data.look().what
    )
}

/// The table, the claims and the advice.
pub fn print(results: &Results<'_>, claims: &[Claim], advice: &Advice) -> Outcome {
    let table = Table::of(results);
    table.row("t", |moment| Some(moment.t.to_string()))?;
    table.row("snr", |moment| Some(short(moment.level.snr())))?;
    let parts: [(&str, Reading); 3] = [
        ("variance of the target", |target| target.variance),
        ("error amplified into x0", |target| target.into_x0),
        ("error amplified into epsilon", |target| target.into_epsilon),
    ];
    for (title, part) in parts {
        say(title)?;
        for quantity in TARGETS {
            table.row(quantity.name(), |moment| Some(short(part(moment.of(quantity)?).measured)))?;
        }
    }
    say("weight of squared errors of x0, in a plain loss on")?;
    for quantity in CHOICES {
        table.row(quantity.name(), |moment| moment.plain_weight(quantity).map(short))?;
    }
    say("relative error of what can be recovered")?;
    for (storage, recovered) in HALVES.iter().zip(&results.halves) {
        for part in Part::ALL {
            let at = |moment: &Moment| results.moments.iter().position(|it| it.t == moment.t);
            table.row(&format!("{}, {storage}", part.name()), |moment| Some(short(recovered[at(moment)?].of(part))))?;
        }
    }
    say("\nWhat is said, and what these data and this schedule give:")?;
    for Claim { claim, confirmed, found } in claims {
        say(format_args!("  {}  {claim}: {found}", if *confirmed { "confirmed" } else { "corrected" }))?;
    }
    let Advice { steps, prediction, weight, reasons, .. } = advice;
    let plural = if *steps == 1 { "" } else { "s" };
    say(format_args!("\nFor {steps} step{plural}, predict {prediction}, with --weight {weight}."))?;
    reasons.iter().try_for_each(|reason| say(format_args!("  {reason}")))
}

/// The moments that the text shows.
struct Table<'a>(Vec<&'a Moment>);

impl<'a> Table<'a> {
    fn of(results: &'a Results<'_>) -> Self {
        let last = results.moments.len().saturating_sub(1);
        let mut places: Vec<usize> = (0..COLUMNS).map(|column| column * last / (COLUMNS - 1)).collect();
        places.dedup();
        Self(places.into_iter().filter_map(|place| results.moments.get(place)).collect())
    }

    fn row(&self, name: &str, cell: impl Fn(&Moment) -> Option<String>) -> Outcome {
        let cells = self.0.iter().map(|moment| format!("{:>9}", cell(moment).unwrap_or_else(|| "-".into())));
        say(format_args!("  {name:<14}{}", cells.collect::<String>()))
    }
}

/// The head of the file, which is also what `--json` prints.
pub fn summary(results: &Results<'_>, claims: &[Claim], advice: &Advice) -> Value {
    let data = results.data;
    let (measured, off) = verdict(results);
    json!({
        "data": {
            "name": data.name,
            "shape": data.shape,
            "elements": data.elements(),
            "chosen": data.chosen.len(),
            "mean": data.mean,
            "deviation": data.deviation,
            "min": data.least,
            "max": data.most,
            "looks_like": data.look(),
        },
        "timesteps": results.schedule.len(),
        "zero_terminal_snr": results.ends_in_pure_noise(),
        "visited": results.visited,
        "error": ERROR,
        "agreement": { "measured": measured, "off": off, "worst_of_tolerance": disagreement(results) },
        "claims": claims,
        "advice": advice,
    })
}

/// The whole file. JSON has no infinity and no NaN; null stands for them.
pub fn file(results: &Results<'_>, claims: &[Claim], advice: &Advice) -> Value {
    let mut file = summary(results, claims, advice);
    let moments = results.moments.iter().enumerate().map(|(index, moment)| {
        let halves =
            HALVES.iter().zip(&results.halves).map(|(half, found)| (half.name().to_owned(), json!(found[index])));
        let plain = CHOICES.map(|on| (on.name().to_owned(), json!(moment.plain_weight(on))));
        let named = WEIGHTS.map(|(name, weight)| (name.to_owned(), json!(results.weight(moment, &weight))));
        json!({
            "t": moment.t,
            "alpha": moment.level.alpha(),
            "sigma": moment.level.sigma(),
            "snr": moment.level.snr(),
            "visited": results.visited.contains(&moment.t),
            "targets": moment.targets,
            "weight_of_plain_loss": serde_json::Map::from_iter(plain),
            "weight": serde_json::Map::from_iter(named),
            "error_of_recovered": serde_json::Map::from_iter(halves),
        })
    });
    file["moments"] = moments.collect();
    file
}
