//! The command line tool of tweedie.

fn main() -> std::process::ExitCode {
    tweedie_cli::run()
}
