//! The names of the samplers, ours and everybody else's.

use std::fmt;

/// A sampler that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplerName {
    Ddpm,
    Ddim,
    DdimInverse,
    Euler,
    EulerAncestral,
    Heun,
    Dpm,
    DpmSde,
    UniPc,
    Lcm,
    FlowEuler,
    FlowHeun,
}

use SamplerName as Name;

/// Our name first, then the synonyms.
const NAMES: [(Name, &[&str]); 12] = [
    (Name::Ddpm, &["ddpm", "ancestral"]),
    (Name::Ddim, &["ddim"]),
    (Name::DdimInverse, &["ddim-inverse", "ddim-reverse"]),
    (Name::Euler, &["euler"]),
    (Name::EulerAncestral, &["euler-ancestral", "euler-a"]),
    (Name::Heun, &["heun"]),
    (Name::Dpm, &["dpm++", "dpmpp", "dpmsolver++"]),
    (Name::DpmSde, &["dpm++-sde", "dpmpp-sde", "sde-dpmsolver++"]),
    (Name::UniPc, &["unipc"]),
    (Name::Lcm, &["lcm"]),
    (Name::FlowEuler, &["flow-euler", "flow-match-euler"]),
    (Name::FlowHeun, &["flow-heun", "flow-match-heun"]),
];

impl SamplerName {
    /// Upper or lower case, `-` or `_`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |name: &str| name.trim().to_lowercase().replace('_', "-");
        let wanted = plain(text);
        let known = NAMES.iter().find(|(_, names)| names.contains(&wanted.as_str()));
        let ours: Vec<&str> = NAMES.iter().filter_map(|(_, names)| names.first().copied()).collect();
        known.map(|(sampler, _)| *sampler).ok_or_else(|| format!("expected {}", ours.join(", ")))
    }

    /// DPM-Solver++ and UniPC, which have an order and never visit timestep 0.
    pub fn is_multistep(self) -> bool {
        matches!(self, Name::Dpm | Name::DpmSde | Name::UniPc)
    }

    /// Those that are defined on timesteps alone.
    pub fn is_discrete(self) -> bool {
        matches!(self, Name::Ddpm | Name::Ddim | Name::DdimInverse | Name::Lcm)
    }

    /// DDIM, in either direction.
    pub fn is_ddim(self) -> bool {
        matches!(self, Name::Ddim | Name::DdimInverse)
    }

    /// Those of rectified flow.
    pub fn is_flow(self) -> bool {
        matches!(self, Name::FlowEuler | Name::FlowHeun)
    }
}

impl fmt::Display for SamplerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().find(|(sampler, _)| sampler == self).map_or(&[][..], |(_, names)| names);
        f.write_str(names.first().copied().unwrap_or("unnamed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_in_every_spelling() {
        for (sampler, names) in NAMES {
            for name in names {
                for spelling in [name.to_string(), name.to_uppercase(), name.replace('-', "_")] {
                    assert_eq!(SamplerName::parse(&spelling), Ok(sampler), "{spelling}");
                }
            }
            assert_eq!(SamplerName::parse(&sampler.to_string()), Ok(sampler));
        }
        assert!(SamplerName::parse("plms").unwrap_err().contains("ddim, ddim-inverse, euler"));
    }
}
