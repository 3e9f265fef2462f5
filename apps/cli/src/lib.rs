//! The command line tool of tweedie: [`run`] is the whole program.
//!
//! ```text
//! commands/                                   a file for each command
//! schedule_args  model_args  sampler_args  class_args  loss_args
//!                                             options, and what they build
//! names                                       names of catalogue entries as values of options
//! sampler_build  sigmas_arg                   from the options of a sampler to the sampler
//! run_arg                                     run files and workflows
//! noise_draws                                 the draws of `randn`
//! levels                                      the noise level of each sample of a file
//! windows  output                             a batch in windows, and the file that they are written to
//! engine  maps  losses  batch  replay_engine  guide_engine
//!                                             the computation of a job, on an adapter or in f64 on the CPU
//! demo_engine  digit_sheet                    the work of `demo`
//! finite                                      the check that results are finite
//! recorded_run  known_region  token_levels  run_tape  guide_run
//!                                             the input of `replay` and of `guide`
//! run_replay  run_replay_gpu                  a run of a run file over what was recorded
//! study/  sample/                             the parts of the two largest commands
//! accuracy  wall                              the parts of `samplers`
//! filmstrip  text                             drawing
//! report  progress  interrupt                 output, errors and exit codes, progress bars, Ctrl-C
//! ```

mod accuracy;
mod batch;
mod class_args;
mod commands;
mod demo_engine;
mod digit_sheet;
mod engine;
mod filmstrip;
mod finite;
mod guide_engine;
mod guide_run;
mod interrupt;
mod known_region;
mod levels;
mod loss_args;
mod losses;
mod maps;
mod model_args;
mod names;
mod noise_draws;
mod output;
mod progress;
mod recorded_run;
mod replay_engine;
mod report;
mod run_arg;
mod run_replay;
mod run_replay_gpu;
mod run_tape;
mod sample;
mod sampler_args;
mod sampler_build;
mod schedule_args;
mod sigmas_arg;
pub mod study;
mod text;
mod token_levels;
mod wall;
mod windows;

use clap::{Parser, Subcommand};
use commands::bench::Json;
use std::process::ExitCode;

/// The mathematics around a diffusion network, on the GPU
///
/// Noising, training targets, losses, conversions between what networks predict, posteriors and sampler steps, as compute
/// shaders on any Vulkan, Metal, DX12 or OpenGL adapter, checked against an f64 reference. Start with `tweedie demo`.
///
/// Exit codes: 0 success, 1 a check failed or a result overflowed, 2 wrong usage or a file that cannot be used, 3 no adapter
/// or a GPU error, 130 Ctrl-C.
#[derive(Parser)]
#[command(name = "tweedie", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print JSON for programs, errors included
    #[arg(long, global = true, action = clap::ArgAction::SetTrue, value_parser = Json::flag)]
    json: Json,
}

#[derive(Subcommand)]
enum Command {
    Devices(commands::devices::Devices),
    List(commands::list::List),
    Schedule(commands::schedule::ScheduleCommand),
    Grid(commands::grid::GridCommand),
    Noise(commands::noise::Noise),
    Randn(Box<commands::randn::Randn>),
    Convert(commands::convert::Convert),
    Posterior(commands::posterior::Posterior),
    Preview(commands::preview::Preview),
    Replay(Box<commands::replay::Replay>),
    Guide(commands::guide::Guide),
    Loss(commands::loss::Loss),
    Verify(commands::verify::Verify),
    Demo(commands::demo::Demo),
    Sample(Box<commands::sample::Sample>),
    Samplers(commands::samplers::Samplers),
    Study(commands::study::Study),
    Bench(commands::bench::Bench),
}

/// Runs the command line of this process and returns its exit code.
pub fn run() -> ExitCode {
    let Cli { command, json } = match report::parse::<Cli>() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    // With `bench --json FILE` the JSON goes to the file, so errors are printed for people.
    let json = json == Json::Stdout;
    let result = match command {
        Command::Devices(command) => command.run(json),
        Command::List(command) => command.run(json),
        Command::Schedule(command) => command.run(json),
        Command::Grid(command) => command.run(json),
        Command::Noise(command) => command.run(json),
        Command::Randn(command) => command.run(json),
        Command::Convert(command) => command.run(json),
        Command::Posterior(command) => command.run(json),
        Command::Preview(command) => command.run(json),
        Command::Replay(command) => command.run(json),
        Command::Guide(command) => command.run(json),
        Command::Loss(command) => command.run(json),
        Command::Verify(command) => command.run(json),
        Command::Demo(command) => command.run(json),
        Command::Sample(command) => command.run(json),
        Command::Samplers(command) => command.run(json),
        Command::Study(command) => command.run(json),
        Command::Bench(command) => match command.run() {
            Ok(Some(interrupted)) => return interrupted,
            result => result.map(drop),
        },
    };
    report::finish(result, json)
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    /// A heading of clap applies to all options after it, also to those that have nothing to do with it.
    #[test]
    fn general_options_are_under_no_particular_heading() {
        let mut seen = 0;
        for command in Cli::command().get_subcommands() {
            for id in ["force", "adapter", "on", "out", "json"] {
                let Some(option) = command.get_arguments().find(|option| option.get_id() == id) else { continue };
                let heading = option.get_help_heading();
                assert!(
                    matches!(heading, None | Some("Where and how to compute")),
                    "{} {id}: {heading:?}",
                    command.get_name()
                );
                seen += 1;
            }
        }
        assert!(seen > 30, "{seen}");
    }
}
