//! Options of particular samplers and of particular classes of diffusers.

use tweedie::math::catalog::ClassArguments;
use tweedie::math::sampler::{PiFlow, ScoreRescaling};

/// Options of particular samplers, and arguments of particular classes of diffusers (`--config`).
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of particular samplers and classes")]
pub struct ClassArgs {
    /// pi-flow: the number of velocities in a prediction [default: 10]
    #[arg(long, value_name = "N")]
    n_grid: Option<usize>,

    /// pi-flow: sub-steps per unit of time, as it is before its shift [default: 128]
    #[arg(long, value_name = "N", requires = "n_grid")]
    num_policy_substeps: Option<usize>,

    /// pi-flow: the length of the last step relative to the others [default: 0.5]
    #[arg(long, value_name = "PART", requires = "n_grid")]
    final_step_size_scale: Option<f64>,

    /// proteina: the inverse temperature; 1 is that of the data [default: 1]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    tsr_k: Option<f64>,

    /// proteina: the standard deviation of the data, which sets how soon the temperature is reached [default: 1]
    #[arg(long, value_name = "S", allow_negative_numbers = true, requires = "tsr_k")]
    tsr_sigma: Option<f64>,

    /// SCM: the first angle [default: 1.5708]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    max_timesteps: Option<f64>,

    /// SCM: the second of two angles, or 0 for two equal steps [default: 1.3 with --steps 2]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    intermediate_timesteps: Option<f64>,

    /// Helios: the stage, from 0; each stage is a run of its own
    #[arg(long, value_name = "N")]
    stage_index: Option<usize>,

    /// Helios, distilled: take twice as many steps
    #[arg(long)]
    is_amplify_first_chunk: bool,

    /// Proteins: the time from which a run starts, 0 to 1
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    start_time: Option<f64>,

    /// ScoreSdeVe: the last time that the network is given [default: that of the file]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    sampling_eps: Option<f64>,
}

impl ClassArgs {
    /// The policy of pi-Flow.
    pub fn pi_flow(&self) -> Option<PiFlow> {
        let usual = PiFlow::default();
        Some(PiFlow {
            slices: self.n_grid?,
            substeps: self.num_policy_substeps.unwrap_or(usual.substeps),
            last_step: self.final_step_size_scale.unwrap_or(usual.last_step),
            ..usual
        })
    }

    /// The temperature of a protein's flow.
    pub fn score_rescaling(&self) -> Option<ScoreRescaling> {
        let usual = ScoreRescaling::default();
        let deviation = self.tsr_sigma.unwrap_or(usual.deviation);
        Some(ScoreRescaling { inverse_temperature: self.tsr_k?, deviation, ..usual })
    }

    /// The arguments of a class.
    pub const fn arguments(&self) -> ClassArguments {
        ClassArguments {
            max_timesteps: self.max_timesteps,
            intermediate_timesteps: self.intermediate_timesteps,
            stage_index: self.stage_index,
            amplify_first_chunk: self.is_amplify_first_chunk,
            start_time: self.start_time,
            sampling_eps: self.sampling_eps,
        }
    }
}
