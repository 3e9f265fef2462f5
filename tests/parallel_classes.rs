//! The parallel classes of diffusers: each row of a batch takes its own timestep, and no noise.

use crate::support::Vectors;
use crate::support::loops::deviation;
use crate::vectors_p::{cases, parts, sampler, tensor};
use tweedie::gpu::Step;
use tweedie::gpu::step::{Sample, StepOptions};
use tweedie::table::StepRow;

#[test]
fn rows_of_each_timestep_are_a_batch() {
    let file = Vectors::load("P");
    let parallel = cases().into_iter().filter(|case| case["source"].as_str().unwrap().contains("Parallel"));
    let mut found = 0;
    for case in parallel {
        let sampler = sampler(&case).unwrap();
        let told = tensor(&file, &case, "timesteps");
        assert_eq!(sampler.timesteps().collect::<Vec<_>>(), told);
        let [samples, outputs, next] = ["samples", "model_outputs", "next"].map(|name| parts(&file, &case, name));
        let bound = case["tolerances"]["float64"].as_f64().unwrap();
        for (k, call) in sampler.calls().iter().enumerate() {
            let rules = StepOptions { clip: sampler.clip(), ..StepOptions::default() };
            let sample = Sample { x: &samples[k], predictions: [&outputs[k], &[]], ..Sample::default() };
            let mean = StepRow { z: 0.0, ..call.row };
            let stepped = Step::reference(&mean, &rules, &sample);
            let stepped: Vec<f64> = stepped.next.iter().map(|exact| exact.value).collect();
            assert!(deviation(&stepped, &next[k]) <= bound, "{}: row {k}", case["id"]);
        }
        found += 1;
    }
    assert_eq!(found, 2);
}
