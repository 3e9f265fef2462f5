//! Run files, and workflows of ComfyUI as JSON and in PNG files.

use tweedie::math::run::{Run, RunModel};

/// Reads the bytes as the text of a run file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Run::from_json(text) {
        Ok(run) => check(&run),
        Err(error) => assert!(error.to_string().len() < 4000 + text.len(), "an endless message"),
    }
}

/// Reads the bytes as a PNG, or as the text of a workflow. Its checkpoint is given as one of Stable Diffusion 1.5.
pub fn workflow(data: &[u8]) {
    let Ok(model) = RunModel::named("sd15") else { return };
    let given = Some(("sd15", &model));
    let found = match std::str::from_utf8(data) {
        Ok(text) if !text.starts_with('\u{89}') => Run::from_comfyui(text, given, None),
        _ => Run::from_comfyui_png(data, given, None),
    };
    match found {
        Ok(run) => check(&run),
        Err(error) => assert!(error.to_string().len() < 4000 + data.len(), "an endless message"),
    }
}

/// The most sigmas of a loop whose rows are planned here: a fuzzer needs many inputs a second.
const MOST_PLANNED: usize = 100;

/// Checks that every sigma is finite and at least 0, that the parts of a run agree, and that it is read back as it was written.
fn check(run: &Run) {
    let sigmas = run.sigmas();
    let sound = |sigma: &f64| sigma.is_finite() && *sigma >= 0.0;
    assert!(sigmas.as_ref().map_or(true, |sigmas| sigmas.iter().all(sound)), "{sigmas:?}");
    if sigmas.as_ref().is_ok_and(|sigmas| sigmas.len() <= MOST_PLANNED)
        && let Ok(planned) = run.plan()
    {
        assert_eq!(planned.rows().len(), planned.asks().len());
    }
    if let Ok(timesteps) = run.timesteps() {
        assert_eq!(sigmas.map(|sigmas| sigmas.len().saturating_sub(1)), Ok(timesteps.len()));
    }
    assert_eq!(Run::from_json(&run.to_json()).as_ref(), Ok(run));
}
