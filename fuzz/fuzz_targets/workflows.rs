#![cfg_attr(fuzzing, no_main)]

tweedie_fuzz::program!();
