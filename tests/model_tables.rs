//! Tables of models: the network's output in place of what it predicts.

use crate::support::assert_within;
use tweedie::math::catalog::{Entry, Make};
use tweedie::math::{LossInputs, Model, NoiseLevel, Objective, Posterior, Quantity, Schedule, solve};

/// The largest error of a round trip, relative to the terms that it sums.
const EXACT: f64 = 1e-11;

const FACTOR: f64 = -0.5;

/// A clean sample and noise.
const PAIR: [f64; 2] = [0.375, -1.25];

/// Every model, as it is and with a factor on its output.
fn models() -> Vec<(&'static str, Model)> {
    let entries = Model::PROCESSES.entries.iter().chain(Model::CATALOGUE.entries);
    let both = |entry: &'static Entry<Make<Model>>| {
        let model = entry.build(&[]).unwrap();
        [model.clone(), model.with_output_factor(FACTOR).unwrap()].map(|model| (entry.name, model))
    };
    entries.flat_map(both).collect()
}

/// Levels of a model that have both signal and noise, from the cleanest on.
fn levels(model: &Model) -> Schedule {
    let inner = |level: &NoiseLevel| level.alpha() > 1e-2 && level.sigma() > 1e-2;
    let all: Vec<NoiseLevel> = model.schedule().levels().iter().copied().filter(inner).step_by(40).collect();
    model.schedule_of(&all).unwrap()
}

fn apply(row: [f64; 2], [a, b]: [f64; 2]) -> f64 {
    row[0] * a + row[1] * b
}

#[test]
fn what_a_network_puts_out() {
    for (name, model) in models() {
        let schedule = levels(&model);
        let (noising, factor) = (model.noising(&schedule).unwrap(), model.output_factor());
        let back = model.conversion(&schedule, Quantity::X0, Some(Quantity::Epsilon)).unwrap();
        let means = model.posterior_mean(&schedule).unwrap();
        for (t, &level) in schedule.levels().iter().enumerate() {
            let [of_x, of_output] = noising.row(t).unwrap();
            let (x_t, output) = (apply(*of_x, PAIR), apply(*of_output, PAIR));
            assert_within(
                name,
                output * factor,
                apply(model.prediction().row(level).unwrap(), PAIR),
                EXACT * output.abs(),
            );
            let [x0, epsilon] = back.row(t).unwrap().map(|row| {
                assert!(row.iter().all(|coefficient| coefficient.is_finite()));
                (apply(row, [x_t, output]), (row[0] * x_t).abs() + (row[1] * output).abs())
            });
            assert_within(name, x0.0, PAIR[0], EXACT * x0.1);
            assert_within(name, epsilon.0, PAIR[1], EXACT * epsilon.1);
            if t == 0 {
                continue;
            }
            let posterior = Posterior::between(level, schedule.levels()[t - 1]).unwrap();
            let expected = posterior.coef_x0 * PAIR[0] + posterior.coef_xt * x_t;
            let [mean, clean] = means.row(t).unwrap().map(|row| apply(row, [x_t, output]));
            assert_within(name, mean, expected, EXACT * x0.1.max(x_t.abs()));
            assert_within(name, clean, PAIR[0], EXACT * x0.1);
        }
        assert_eq!(model.conversion_where_defined(&schedule, Quantity::X0, Some(Quantity::Epsilon)), back, "{name}");
        assert_eq!(model.posterior_mean_where_defined(&schedule), means, "{name}");
    }
}

/// The loss of an output is that of the prediction that it becomes; a target that is given as a tensor is in units of the output.
#[test]
fn what_an_output_costs() {
    for (name, model) in models() {
        let (schedule, factor) = (levels(&model), model.output_factor());
        let plain = Objective::of(model.prediction());
        for on in [model.prediction(), Quantity::X0] {
            let [ours, plain] = [model.objective(), plain.clone()]
                .map(|objective| schedule.loss(&objective.on(on), LossInputs::CleanAndNoise).unwrap());
            for (ours, plain) in ours.rows().iter().flatten().zip(plain.rows().iter().flatten()) {
                assert_eq!((ours.prediction, ours.inputs), (plain.prediction * factor, plain.inputs), "{name}");
            }
        }
        let rows = schedule.loss(&model.objective(), LossInputs::NoisyAndTarget).unwrap();
        assert!(rows.rows().iter().flatten().all(|row| (row.prediction, row.inputs[1]) == (1.0, -1.0)), "{name}");
    }
}

#[test]
fn another_prediction_has_no_factor() {
    let model = Model::named("flux").unwrap().with_output_factor(FACTOR).unwrap().predicting(Quantity::X0);
    assert_eq!((model.prediction(), model.output_factor()), (Quantity::X0, 1.0));
    let schedule = model.schedule_of_times(&[0.3]).unwrap();
    let row = model.conversion(&schedule, Quantity::Epsilon, None).unwrap();
    assert_eq!(row.row(0).unwrap()[0], solve(schedule.levels()[0], Quantity::X0, Quantity::Epsilon).unwrap());
    let noiseless = Model::named("sd15").unwrap().predicting(Quantity::Score);
    assert!(noiseless.noising(&Schedule::from_levels(&[NoiseLevel::CLEAN]).unwrap()).is_err());
}
