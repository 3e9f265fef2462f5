//! Every target. Under cargo-fuzz, libFuzzer's bytes go to the one of this program's name; otherwise those of the files that the
//! command line names, to see a finding again.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tweedie_fuzz::run(env!("CARGO_BIN_NAME"), data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    std::env::args_os().skip(1).try_for_each(|file| {
        tweedie_fuzz::run(env!("CARGO_BIN_NAME"), &std::fs::read(file)?);
        Ok(())
    })
}
