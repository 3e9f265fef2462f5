//! Every target: libFuzzer's bytes go to the one of this program's name.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tweedie_fuzz::run(env!("CARGO_BIN_NAME"), data));
