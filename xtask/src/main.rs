//! The commands behind the cargo aliases.
//!
//! `cargo demo`, `cargo viewer`, `cargo burn` and `cargo check-all` build a program, ask it for a device, install a software
//! driver if there is none, run the program, and return its exit code. `cargo platform` runs the checks of a platform by name.
#![deny(unsafe_code)]

mod driver;
mod platform;
mod process;

use std::process::ExitCode;

use process::cargo;

const USAGE: &str = "\
usage: cargo demo [arguments of `tweedie demo`]    build the tool, and show the diffusion algebra on a picture
       cargo viewer [arguments of `tweedie-viewer`] build the viewer, and open its window
       cargo burn [arguments of its example `shapes`] train with Burn, sample, and judge the samples
       cargo burn digits [arguments of its example `digits`] generate the digits in Burn, and continue their training
       cargo check-all [arguments of `cargo test`] install a GPU driver if there is none, and run all tests";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let job = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let code = match job.as_deref() {
        Some("demo") => launch(&TOOL, &DEVICES, &["demo"], &rest),
        Some("viewer") => launch(&VIEWER, &["--adapters"], &[], &rest),
        Some("burn") => burn(&rest),
        Some("test") => test(&rest),
        Some("platform") => platform::platform(&rest),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}\n{}", platform::USAGE);
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}\n{}", platform::USAGE);
            Err(2)
        }
    };
    code.map_or_else(ExitCode::from, |()| ExitCode::SUCCESS)
}

/// The arguments with which the tool finds a Vulkan device or fails.
const DEVICES: [&str; 3] = ["devices", "--backend", "vulkan"];

/// The outcome of a command: success, or an exit code as the error.
type Step = Result<(), u8>;

/// Cargo's arguments for the tool and for the viewer.
const TOOL: [&str; 3] = ["--release", "--package", "tweedie-cli"];
const VIEWER: [&str; 3] = ["--release", "--package", "tweedie-viewer"];

/// Cargo's arguments for the workspace of Burn, which has a target folder of its own. It trains in the profile of its tests: the
/// GPU does the work, and compiling Burn a second time takes longer than it saves.
const BURN: [&str; 5] = ["--manifest-path", "integrations/burn/Cargo.toml", "--target-dir", "target/burn", "--example"];

/// Runs the example `digits` where that is the first argument, else `shapes`.
fn burn(arguments: &[String]) -> Step {
    let (example, arguments) = match arguments {
        [first, rest @ ..] if first == "digits" => ("digits", rest),
        all => ("shapes", all),
    };
    launch(&[&BURN[..], &[example]].concat(), &["--adapter"], &[], arguments)
}

/// Builds a program, asks it for a device, and runs it.
fn launch(program: &[&str], question: &[&str], command: &[&str], arguments: &[String]) -> Step {
    let run = [&["run", "--quiet"], program, &["--"]].concat();
    process::run(cargo().arg("build").args(program))?;
    driver::ensure(cargo().args(&run).args(question))?;
    process::run(cargo().args(run).args(command).args(arguments))
}

/// Builds all tests, and with them the tool, which then looks for a device; runs the tests. A build of the tool alone would have other
/// features, and compile wgpu and the library once more. `cargo platform viewer browser` runs the tests of the viewer and the page.
///
/// `TWEEDIE_REQUIRE_ADAPTER` makes the tests that need a GPU fail, instead of being ignored, if none is found.
fn test(arguments: &[String]) -> Step {
    process::run(cargo().args(["test-workspace", "--no-run"]))?;
    driver::ensure(process::built("tweedie").args(DEVICES))?;
    process::run(cargo().arg("test-workspace").args(arguments).env("TWEEDIE_REQUIRE_ADAPTER", "1"))
}
