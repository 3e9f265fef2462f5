//! The names of the samplers.

use crate::names::named;

named! {
    /// A sampler.
    SamplerName {
        Ddpm: "ddpm" | "ancestral",
        Ddim: "ddim",
        DdimInverse: "ddim-inverse" | "ddim-reverse",
        Euler: "euler",
        EulerAncestral: "euler-ancestral" | "euler-a",
        Heun: "heun",
        Dpm: "dpm++" | "dpmpp" | "dpmsolver++",
        DpmSde: "dpm++-sde" | "dpmpp-sde" | "sde-dpmsolver++",
        UniPc: "unipc",
        Lcm: "lcm",
        FlowEuler: "flow-euler" | "flow-match-euler",
        FlowHeun: "flow-heun" | "flow-match-heun",
    }
}

impl SamplerName {
    /// DPM-Solver++ and UniPC, which have an order and never visit timestep 0.
    pub fn is_multistep(self) -> bool {
        matches!(self, Self::Dpm | Self::DpmSde | Self::UniPc)
    }

    /// Samplers that are defined on timesteps only.
    pub fn is_discrete(self) -> bool {
        matches!(self, Self::Ddpm | Self::Ddim | Self::DdimInverse | Self::Lcm)
    }

    /// DDIM, in either direction.
    pub fn is_ddim(self) -> bool {
        matches!(self, Self::Ddim | Self::DdimInverse)
    }

    /// Samplers of rectified flow.
    pub fn is_flow(self) -> bool {
        matches!(self, Self::FlowEuler | Self::FlowHeun)
    }
}
