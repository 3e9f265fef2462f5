//! The rules of [`Placement`] as grids of a run: on the table of its model, with a 0 at the end.

use super::error::RunError;
use super::request::Request;
use crate::math::catalog::error::CatalogError;
use crate::math::level::NoiseLevel;
use crate::math::placement::Placement;
use crate::math::schedule::Schedule;

/// The sigmas of the placement that has the grid's name.
pub(super) fn placed(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let entry = Placement::CATALOGUE.find(request.grid)?;
    let numbers: Vec<(&str, f64)> =
        entry.parameters.iter().map(|parameter| (parameter.name, request.number(parameter.name))).collect();
    let rule = entry.build(&numbers)?;
    let model = request.model()?;
    let levels = model.sigmas().iter().map(|sigma| NoiseLevel::variance_exploding(*sigma));
    let levels = levels.collect::<Result<Vec<_>, _>>().map_err(CatalogError::from)?;
    let schedule = Schedule::from_levels(&levels).map_err(CatalogError::from)?;
    let sigmas = rule.sigmas(&schedule, request.steps, [model.sigma_min(), model.sigma_max()]);
    let sigmas = sigmas.map_err(CatalogError::from)?;
    Ok(sigmas.into_iter().map(|sigma| request.round(sigma)).chain([0.0]).collect())
}
