//! Schedules of arbitrary numbers, and every table that is made from one.

use crate::numbers::{Count, Number, list};
use arbitrary::{Arbitrary, Result, Unstructured};
use tweedie::math::catalog::{CatalogError, Parameter};
use tweedie::math::{
    Density, LossInputs, LossSecondMoment, NoiseLevel, Objective, Quantity, Schedule, SigmaData, TimestepDensity,
    Weight,
};
use tweedie::noise::NoiseKey;
use tweedie::table::{Row, Table};

pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    if let Ok(Ok(schedule)) = schedule(&mut u) {
        let _ = tables(&schedule, &mut u);
    }
}

/// Makes any schedule, from the catalogue or from lists.
pub fn schedule(u: &mut Unstructured<'_>) -> Result<std::result::Result<Schedule, CatalogError>> {
    let n = Count::arbitrary(u)?.0;
    let [a, b, c]: [Number; 3] = u.arbitrary()?;
    let found = match u.int_in_range(0..=15)? {
        0..=9 => {
            let mut numbers = [a.0, b.0, c.0].into_iter().cycle();
            let number = |parameter: &Parameter| match parameter.name {
                "train_timesteps" => n as f64,
                "zero_terminal_snr" => 0.0,
                _ => numbers.next().unwrap_or(0.0),
            };
            return Ok(u.choose(Schedule::CATALOGUE.entries)?.build_unchecked(number));
        }
        10 => Schedule::rectified_flow_times(&list(u, 20)?),
        11 => Schedule::variance_exploding(&list(u, 20)?),
        12 => Schedule::from_betas(&list(u, 20)?),
        13 => Schedule::from_alphas_cumprod(&list(u, 20)?),
        14 => {
            let numbers = list(u, 20)?;
            let levels = numbers.as_chunks::<2>().0.iter().map(|[alpha, sigma]| NoiseLevel::new(*alpha, *sigma));
            levels.collect::<std::result::Result<Vec<_>, _>>().and_then(|levels| Schedule::from_levels(&levels))
        }
        _ => Schedule::edm(n, a.0, b.0, c.0),
    };
    let rescaled = if u.arbitrary()? { found.and_then(|schedule| schedule.zero_terminal_snr()) } else { found };
    Ok(rescaled.map_err(CatalogError::from))
}

fn quantity(u: &mut Unstructured<'_>) -> Result<Quantity> {
    let edm = SigmaData::new(Number::arbitrary(u)?.0).map_or(Quantity::Epsilon, Quantity::Edm);
    let all = [Quantity::ALL.as_slice(), &[edm]].concat();
    Ok(*u.choose(&all)?)
}

fn tables(schedule: &Schedule, u: &mut Unstructured<'_>) -> Result<()> {
    for level in schedule.levels() {
        assert!(level.alpha().is_finite() && level.alpha() >= 0.0, "{level:?}");
        assert!(level.sigma().is_finite() && level.sigma() >= 0.0, "{level:?}");
    }
    let numbers = [schedule.alphas_cumprod(), schedule.one_minus_alphas_cumprod(), schedule.sqrt_alphas_cumprod()];
    assert!(numbers.iter().flatten().all(|abar| !abar.is_nan()));
    let _ = (schedule.snr(), schedule.log_snr(), schedule.lambda(), schedule.timestep_of(1.0));
    if let Ok(variances) = schedule.posterior_variance() {
        assert!(variances.iter().all(|variance| *variance >= 0.0), "{variances:?}");
    }
    let _ = (schedule.posterior_log_variance_clipped(), schedule.posterior_mean_coef1(), schedule.epsilon_mean_coef());
    let (given, wanted, second) = (quantity(u)?, quantity(u)?, quantity(u)?);
    assert_finite(schedule.conversion(given, wanted, Some(second)).ok());
    assert_finite(Some(schedule.conversion_where_defined(given, wanted, Some(second))));
    assert_finite(schedule.rows_of(wanted, Some(second)).ok());
    assert_finite(Some(schedule.posterior_mean_where_defined(given)));
    let objective = Objective { on: wanted, weight: weight(u)?, ..Objective::of(given) };
    assert_finite(schedule.loss(&objective, LossInputs::CleanAndNoise).ok());
    assert_finite(schedule.loss_where_defined(&objective, LossInputs::CleanAndNoise).ok());
    densities(schedule, u)
}

fn weight(u: &mut Unstructured<'_>) -> Result<Weight> {
    let [a, b]: [Number; 2] = u.arbitrary()?;
    let (gamma, k) = (a.0, b.0);
    let entries = Weight::CATALOGUE.entries;
    Ok(match entries.get(u.int_in_range(0..=entries.len())?) {
        Some(entry) => {
            entry.build_unchecked(|it| if it.name == "k" { k } else { gamma }).unwrap_or(Weight::MinSnr { gamma })
        }
        None => Weight::Table(list(u, 20)?),
    })
}

/// Asserts that all numbers of a table are finite in f64. They may exceed f32, which is an error of `rounded`.
fn assert_finite<R: Row>(table: Option<Table<R>>) {
    let Some(table) = table else { return };
    let numbers = table.rows().iter().flatten().flat_map(Row::numbers);
    numbers.for_each(|number| assert!(number.is_finite(), "{number}"));
    if let Ok(rounded) = table.rounded() {
        let mut rows = (0..rounded.len()).filter_map(|index| rounded.row(index));
        assert!(rows.all(|row| row.iter().all(|number| number.is_finite())));
    }
}

fn densities(schedule: &Schedule, u: &mut Unstructured<'_>) -> Result<()> {
    let [a, b]: [Number; 2] = u.arbitrary()?;
    let (mean, deviation) = (a.0, b.0);
    let key = NoiseKey::seed(u.arbitrary()?);
    for entry in Density::CATALOGUE.entries {
        let number = |it: &Parameter| if it.name == "deviation" { deviation } else { mean };
        let Ok(density) = entry.build_unchecked(number) else { continue };
        if let Ok(drawn) = density.draw(key, 3) {
            assert!(drawn.iter().all(|x| !x.is_nan()), "{density:?}: {drawn:?}");
        }
        if let Ok(density) = TimestepDensity::of(schedule, density) {
            assert_density(&density, schedule.len(), key);
        }
    }
    if let Ok(density) = TimestepDensity::from_probabilities(&list(u, 20)?) {
        assert_density(&density, density.len(), key);
    }
    let memory = LossSecondMoment::new(schedule.len().min(20)).and_then(|memory| memory.with(1, mean));
    if let Ok(mut memory) = memory {
        let losses = list(u, 20)?;
        let timesteps: Vec<u32> = (0..losses.len() as u32).collect();
        let _ = memory.update(&timesteps, &losses);
        if let Ok(density) = memory.density() {
            assert_density(&density, density.len(), key);
        }
    }
    Ok(())
}

fn assert_density(density: &TimestepDensity, steps: usize, key: NoiseKey) {
    assert!(density.len() == steps && density.ends().is_sorted() && density.ends().last() == Some(&(1 << 32)));
    let drawn = [density.draw(key, 5), density.draw_stratified(key, 5, 0), density.draw_stratified(key, 5, u32::MAX)];
    for &t in drawn.iter().flatten() {
        assert!((t as usize) < steps && density.probability(t as usize) > 0.0, "{t} of {steps}");
    }
}
