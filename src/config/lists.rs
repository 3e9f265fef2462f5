//! The arguments of `set_timesteps` as a class reads them, turned into plain numbers of steps, timesteps, sigmas and times.

use super::error::ConfigError;
use super::options::refused;
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::sampler_options::{ClassArguments, SamplerOptions};
use crate::math::error::sampler::SamplerError;
use crate::math::flow;
use crate::math::placement::Placement;
use crate::math::protein_times::ProteinTimes;
use crate::math::sampler::solver::Compat;
use crate::math::schedule::MAX_STEPS;
use crate::math::stages::Stages;

/// The meaning of a class's arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Lists {
    /// They mean what their names say.
    #[default]
    Named,
    /// In diffusers, a number of steps given along with lists is their length.
    Counted,
    /// The same; in diffusers, a list of timesteps is one of sigmas times this number.
    Units(f64),
    /// In diffusers a list of timesteps is one of sigmas.
    Sigmas,
    /// Steps count points, of which the clean sample is one.
    Points,
    /// In diffusers sigmas are places in `0..=1` between these ends.
    Ramp { placement: Placement, ends: [f64; 2] },
    /// Angles of SCM.
    Angles,
    /// Sigmas in equal steps of the logarithm between these ends, and the last time that is passed to the network.
    Exploding { ends: [f64; 2], least: f64 },
    /// Times of a protein's flow.
    Protein(ProteinTimes),
    /// The grid of one of several stages.
    Staged(Staging),
}

/// The grids of a staged class.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Staging {
    /// The stages; a single one has the times of an ordinary flow.
    pub(super) stages: Stages,
    /// The factor of the shift of a single stage.
    pub(super) shift: f64,
    /// Each step noises the clean sample again, and the grid is that of one more step without its last level.
    pub(super) distilled: bool,
    /// If the shift follows from the argument `mu`: true if `mu` is its logarithm, false if it is the shift itself.
    pub(super) dynamic: Option<bool>,
    pub(super) timesteps: usize,
}

impl Lists {
    /// The options of a run in which these arguments have become levels.
    pub(super) fn carried_out(&self, run: &SamplerOptions) -> Result<SamplerOptions, ConfigError> {
        let diffusers = run.compat == Compat::Diffusers;
        let plain = SamplerOptions { class: ClassArguments::default(), ..run.clone() };
        match self {
            Self::Named => Ok(plain),
            Self::Counted if diffusers => counted(plain),
            Self::Units(all) if diffusers => {
                let mut run = counted(plain)?;
                let sigmas = run.timesteps.take().map(|list| list.iter().map(|t| t / all).collect());
                Ok(SamplerOptions { sigma_list: run.sigma_list.take().or(sigmas), ..run })
            }
            Self::Sigmas if diffusers => {
                let listed = run.sigma_list.clone().or_else(|| run.timesteps.clone());
                let steps = run.steps.filter(|_| listed.is_none());
                Ok(SamplerOptions { steps, sigma_list: listed, timesteps: None, ..plain })
            }
            Self::Points => points(plain),
            Self::Ramp { placement, ends } if diffusers => ramp(plain, *placement, *ends),
            Self::Counted | Self::Units(_) | Self::Sigmas | Self::Ramp { .. } => Ok(plain),
            Self::Angles => angles(run, plain),
            Self::Exploding { ends, least } => exploding(run, plain, *ends, *least),
            Self::Protein(rule) => protein(run, plain, rule),
            Self::Staged(staging) => staging.carried_out(run, plain),
        }
    }
}

/// Checks a number of steps that is given along with lists.
fn counted(run: SamplerOptions) -> Result<SamplerOptions, ConfigError> {
    let Some(steps) = run.steps else { return Ok(run) };
    let lengths = [&run.timesteps, &run.sigma_list].map(|list| list.as_ref().map(Vec::len));
    match lengths.into_iter().flatten().find(|length| *length != steps) {
        Some(length) => Err(refused("steps", format!("{length}, the length of the list"), steps)),
        None if lengths == [None; 2] => Ok(run),
        None => Ok(SamplerOptions { steps: None, ..run }),
    }
}

fn points(run: SamplerOptions) -> Result<SamplerOptions, ConfigError> {
    let diffusers = run.compat == Compat::Diffusers;
    match (run.steps, &run.sigma_list) {
        (_, Some(list)) if diffusers && (list.len() < 2 || list.last() != Some(&0.0)) => {
            Err(refused("sigmas", "a list that ends with 0", format!("{list:?}")))
        }
        (_, Some(_)) if diffusers => Ok(SamplerOptions { steps: None, ..run }),
        (_, Some(_)) | (None, None) => Ok(run),
        (Some(points @ 0..=1), None) => {
            Err(refused("steps", "at least 2 points, one of which is the clean sample", points))
        }
        (Some(points), None) => Ok(SamplerOptions { steps: Some(points - 1), ..run }),
    }
}

/// Sigmas at places between 0, the largest sigma, and 1, the least. For equal steps of the logarithm only their number counts.
fn ramp(run: SamplerOptions, placement: Placement, [least, most]: [f64; 2]) -> Result<SamplerOptions, ConfigError> {
    let Some(list) = run.sigma_list else { return Ok(run) };
    let Placement::Karras { rho } = placement else {
        return Ok(SamplerOptions { steps: Some(list.len()), sigma_list: None, ..run });
    };
    let [first, last] = [most, least].map(|sigma| sigma.powf(1.0 / rho));
    let sigma = |place: &f64| match *place {
        0.0 => most,
        1.0 => least,
        place => (first + place * (last - first)).powf(rho),
    };
    let sigmas = Some(list.iter().map(sigma).collect());
    Ok(SamplerOptions { steps: None, sigma_list: sigmas, ..run })
}

/// The first angle of SANA-Sprint and its second of two (Chen et al. 2025, arXiv 2503.09641).
#[expect(clippy::approx_constant, reason = "the published value, which the network is told")]
const SPRINT: [f64; 2] = [1.5708, 1.3];

/// The angles of SCM: the default two, or equal steps from the first to 0.
fn angles(run: &SamplerOptions, plain: SamplerOptions) -> Result<SamplerOptions, ConfigError> {
    let ClassArguments { max_timesteps, intermediate_timesteps, .. } = run.class;
    let given = [("max_timesteps", max_timesteps), ("intermediate_timesteps", intermediate_timesteps)];
    let given = given.into_iter().find(|(_, value)| value.is_some()).map(|(name, _)| name);
    let counts = |list: &[f64]| match run.steps {
        None => true,
        Some(steps) => run.compat == Compat::Diffusers && list.len() == steps.saturating_add(1),
    };
    match (run.steps, &run.timesteps, &run.times) {
        (_, Some(list), None) if counts(list) => match given {
            Some(second) => {
                let (first, because) = ("timesteps", "places the levels");
                Err(CatalogError::Contradiction { first, second, because }.into())
            }
            None => Ok(SamplerOptions { steps: None, timesteps: None, times: Some(list.clone()), ..plain }),
        },
        (Some(steps @ 1..=MAX_STEPS), None, None) => {
            let first = max_timesteps.unwrap_or(SPRINT[0]);
            let second = match intermediate_timesteps {
                Some(found) if found != 0.0 && steps != 2 => {
                    return Err(refused("intermediate_timesteps", "none, unless there are 2 steps", found));
                }
                Some(second) => Some(second).filter(|second| *second != 0.0),
                None => (steps == 2).then_some(SPRINT[1]),
            };
            let even = |i: usize| first * (1.0 - i as f64 / steps as f64);
            let times = second.map_or_else(|| (0..steps).map(even).collect(), |second| vec![first, second]);
            Ok(SamplerOptions { steps: None, times: Some(times), ..plain })
        }
        // Two lists, or none: the grid reports it.
        _ => idle(run, plain),
    }
}

/// The run as it is, unless it has an argument of the class, which would have no effect.
fn idle(run: &SamplerOptions, plain: SamplerOptions) -> Result<SamplerOptions, ConfigError> {
    let class = SamplerOptions { class: run.class, ..SamplerOptions::default() };
    match class.given().next() {
        Some(first) => {
            let (second, because) = ("steps", "is not given alone");
            Err(CatalogError::Contradiction { first, second, because }.into())
        }
        None => Ok(plain),
    }
}

/// Sigmas at equal steps of the network's time. The network is given the sigma of that time, in diffusers the time itself. diffusers
/// begins a run of one step at the least sigma.
fn exploding(
    run: &SamplerOptions,
    plain: SamplerOptions,
    [least, most]: [f64; 2],
    last: f64,
) -> Result<SamplerOptions, ConfigError> {
    let last = run.class.sampling_eps.unwrap_or(last);
    let listed = run.timesteps.is_some() || run.sigma_list.is_some() || run.placement.is_some();
    let ends = run.sigma_min.is_some() || run.sigma_max.is_some();
    let Some(steps @ 1..=MAX_STEPS) = run.steps.filter(|_| !listed && !ends) else { return idle(run, plain) };
    let diffusers = run.compat == Compat::Diffusers;
    let between = (steps - 1).max(1) as f64;
    let time = |i: usize| 1.0 + i as f64 * ((last - 1.0) / between);
    let sigma = |part: f64| (least.ln() + part * (most / least).ln()).exp();
    let place = |i: usize| match (steps - 1 - i, diffusers) {
        (0, false) if steps == 1 => most,
        (0, _) => least,
        (place, _) if place == steps - 1 => most,
        (place, _) => sigma(place as f64 / between),
    };
    let told = |i: usize| if diffusers { time(i) } else { sigma(time(i)) };
    let [sigmas, told] = [(0..steps).map(place).collect(), (0..steps).map(told).collect()];
    Ok(SamplerOptions { steps: None, sigma_list: Some(sigmas), timesteps: Some(told), ..plain })
}

fn protein(run: &SamplerOptions, plain: SamplerOptions, rule: &ProteinTimes) -> Result<SamplerOptions, ConfigError> {
    let listed = run.sigma_list.is_some() || run.times.is_some() || run.placement.is_some();
    let shifted = run.shift.is_some() || run.mu.is_some() || run.tokens.is_some();
    let Some(steps) = run.steps.filter(|_| !listed && !shifted) else { return idle(run, plain) };
    let times = match run.class.start_time {
        Some(start) => rule.times_from(steps, start)?,
        None => rule.times(steps)?,
    };
    Ok(SamplerOptions { steps: None, times: Some(times), ..plain })
}

impl Staging {
    fn carried_out(&self, run: &SamplerOptions, plain: SamplerOptions) -> Result<SamplerOptions, ConfigError> {
        let placed = run.times.is_some() || run.timesteps.is_some() || run.placement.is_some();
        let own = run.sigma_list.is_none() || run.compat == Compat::Diffusers && self.stages.len() == 1;
        if placed || !own {
            return idle(run, plain);
        }
        let steps = run.steps.or(run.sigma_list.as_ref().map(Vec::len)).ok_or(SamplerError::NoSteps)?;
        let twice = if run.class.amplify_first_chunk { 2 } else { 1 };
        let points = steps.saturating_mul(twice).saturating_add(usize::from(self.distilled));
        let [mut sigmas, mut told] = self.grid(run, points)?;
        if self.distilled {
            sigmas.pop();
            told.pop();
        }
        if let Some(logarithm) = self.dynamic {
            let mu = run.mu.ok_or(CatalogError::NoSize)?;
            let shift = if logarithm { mu.exp() } else { mu };
            sigmas = sigmas.iter().map(|&time| flow::shifted(time, shift)).collect::<Result<_, SamplerError>>()?;
            let [most, least] = self.ends(run)?;
            told = sigmas.iter().map(|sigma| least + sigma * (most - least)).collect();
        }
        let (sigma_list, timesteps) = (Some(sigmas), Some(told));
        Ok(SamplerOptions { steps: None, mu: None, sigma_list, timesteps, ..plain })
    }

    fn stage(&self, run: &SamplerOptions) -> Result<usize, ConfigError> {
        let last = self.stages.len() - 1;
        match run.class.stage_index {
            Some(stage) if stage <= last => Ok(stage),
            Some(stage) => Err(refused("stage_index", format!("0 to {last}"), stage)),
            None if last == 0 => Ok(0),
            None => Err(refused("stage_index", format!("0 to {last}, since each stage is a run of its own"), "none")),
        }
    }

    /// The ends of the timesteps that are passed to the network in a stage.
    fn ends(&self, run: &SamplerOptions) -> Result<[f64; 2], ConfigError> {
        match self.stages.len() {
            1 => Ok([self.timesteps as f64, 0.0]),
            _ => Ok(self.stages.told(self.stage(run)?)?),
        }
    }

    fn grid(&self, run: &SamplerOptions, points: usize) -> Result<[Vec<f64>; 2], ConfigError> {
        let stage = self.stage(run)?;
        if self.stages.len() > 1 {
            return Ok(self.stages.grid(stage, points)?);
        }
        let least = 1.0 / self.timesteps as f64;
        let sigmas = match &run.sigma_list {
            Some(list) => list.clone(),
            None => {
                let mut even = flow::times(points.saturating_add(1), 1.0, least)?;
                even.pop();
                even.into_iter()
                    .map(|time| flow::shifted(time, self.shift))
                    .collect::<Result<Vec<_>, SamplerError>>()?
            }
        };
        let told = sigmas.iter().map(|sigma| sigma * self.timesteps as f64).collect();
        Ok([sigmas, told])
    }
}
