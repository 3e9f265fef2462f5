//! `cargo web`: builds the page of tweedie and serves it.

use anyhow::Result;
use clap::Parser;
use host::build::{build, folder};
use host::site::Site;
use std::process::ExitCode;

/// Build the page of tweedie and serve it on this machine
///
/// Installs what is missing for that. Open the printed address in a browser with WebGPU; stop with Ctrl-C.
#[derive(Parser)]
#[command(name = "cargo web", bin_name = "cargo web")]
struct Arguments {
    /// Only build it, into target/web: any web server can serve that folder
    #[arg(long)]
    build: bool,

    /// The port on 127.0.0.1 [0: any that is free]
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let bytes = build()?;
    println!("built target/web, a program of {:.2} MB", bytes as f64 / 1e6);
    if !arguments.build {
        let site = Site::open(&folder(), arguments.port)?;
        println!("serving {}", site.address());
        site.serve();
    }
    Ok(())
}
