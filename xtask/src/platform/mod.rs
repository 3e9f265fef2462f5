//! `cargo platform`: checks of a platform as named steps. Each writes a result file in `docs/platforms`, and the table in
//! `docs/platforms.md` is made from those files.

mod output;
mod record;
mod run;
mod steps;
mod table;

use std::path::{Path, PathBuf};

use record::Verdict;
use steps::{STEPS, Step};

pub const USAGE: &str = "\
       cargo platform NAME...                      run the checks of platforms, and keep their results
       cargo platform --list                       list the names, and what each checks
       cargo platform --table                      write docs/platforms.md again from the results";

/// Failure to run a step or to keep its result.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    #[error("expected a step from [{}], found `{found}`", STEPS.iter().map(|step| step.name).collect::<Vec<_>>().join(", "))]
    UnknownStep { found: String },
    #[error("`{0}` has no command yet: it has to be checked by hand, on a machine of that kind")]
    ByHand(&'static str),
    #[error("{path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("{path}: {error}")]
    Record { path: PathBuf, error: serde_json::Error },
}

/// Runs `cargo platform` with these arguments. An error is an exit code, as everywhere here.
pub fn platform(words: &[String]) -> crate::Step {
    let done = match words {
        [] => {
            eprintln!("usage:\n{USAGE}");
            return Err(2);
        }
        [word] if word == "--list" => {
            list();
            Ok(true)
        }
        [word] if word == "--table" => table::write(root()).map(|()| true),
        names => run_all(names),
    };
    match done {
        Ok(true) => Ok(()),
        Ok(false) => Err(1),
        Err(error) => {
            eprintln!("error: {error}");
            Err(2)
        }
    }
}

/// Runs steps and returns whether all passed. A failed step does not stop the others; a wrong name stops all.
fn run_all(names: &[String]) -> Result<bool, PlatformError> {
    let steps = names.iter().map(|name| steps::named(name)).collect::<Result<Vec<&Step>, _>>()?;
    let mut all = true;
    for step in steps {
        println!("==> {}: {}", step.name, step.about);
        let record = run::run(root(), step)?;
        record.save(root())?;
        table::write(root())?;
        println!("==> {}: {} in {} s: {}", step.name, record.result, record.seconds, record.ran);
        if let Some(reason) = &record.reason {
            println!("==> {}: {reason}", step.name);
        }
        all &= record.result == Verdict::Passed;
    }
    Ok(all)
}

fn list() {
    let width = STEPS.iter().map(|step| step.name.len()).max().unwrap_or(0);
    for step in &STEPS {
        println!("{:width$}  {}", step.name, step.about);
    }
}

/// The folder of the workspace, wherever this was started.
fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}
