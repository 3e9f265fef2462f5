//! `tweedie verify` in the page: every op on a device of its own in this browser, against the f64 reference.

use crate::app::{Shared, ask};
use crate::dom::{self, Outcome, by_id, document, failure, set, show, write};
use tweedie::gpu::compare::Comparison;
use tweedie::headless::Gpu;
use tweedie::{Context, Storage};
use verify::{Check, checks, usual_schedules};
use wasm_bindgen::JsValue;
use web_sys::{Element, HtmlButtonElement, HtmlInputElement};

/// Results of a run.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// True while checks are made.
    pub running: bool,
    /// Number of all checks.
    pub total: usize,
    /// Checks that were made.
    pub done: usize,
    /// Checks whose error exceeded its bound.
    pub failed: usize,
    /// The elements that were compared.
    pub elements: u64,
    /// The largest error of a check that passed, as a fraction of its bound.
    pub worst: f64,
    /// The time of the run so far, in milliseconds.
    pub time: f64,
    /// Why the run ended early.
    pub trouble: Option<String>,
}

impl Progress {
    fn count(&mut self, comparison: &Comparison) {
        self.done += 1;
        self.elements += comparison.count;
        if comparison.passes() {
            self.worst = self.worst.max(comparison.worst_bound);
        } else {
            self.failed += 1;
        }
    }

    /// The line above the table.
    fn text(&self) -> String {
        let Self { total, done, failed, elements, worst, .. } = self;
        let seconds = self.time / 1e3;
        if let Some(trouble) = &self.trouble {
            format!("stopped after {done} of {total} checks: {trouble}")
        } else if self.running {
            format!("{done} of {total} checks done, {failed} failed, {seconds:.0} s")
        } else if *failed > 0 {
            format!("{failed} of {total} checks failed ({elements} elements, {seconds:.1} s)")
        } else {
            format!("all {total} checks passed ({elements} elements, at most {worst:.3} of the bound, {seconds:.1} s)")
        }
    }
}

/// Runs all checks, and shows each as it is made; the page stays responsive. Does nothing while another run is in progress.
pub async fn run(app: &Shared) -> Outcome {
    if app.borrow().checks.running {
        return Ok(());
    }
    let wrong = by_id::<HtmlInputElement>("wrong")?.checked();
    app.borrow_mut().checks = Progress { running: true, ..Progress::default() };
    by_id::<Element>("findings")?.set_inner_html("");
    let begun = dom::now();
    let outcome = all(app, wrong, begun).await;
    let mut page = app.borrow_mut();
    page.checks.running = false;
    page.checks.time = dom::now() - begun;
    page.checks.trouble = outcome.err().map(|error| String::from(js_sys::Error::from(error).message()));
    drop(page);
    ask(app);
    Ok(())
}

async fn all(app: &Shared, wrong: bool, begun: f64) -> Outcome {
    let gpu = Gpu::open(None).await.map_err(failure)?;
    let context = Context::new(&gpu.device);
    let checks = checks(&usual_schedules().map_err(failure)?, &Storage::ALL).map_err(failure)?;
    app.borrow_mut().checks.total = checks.len();
    for check in &checks {
        let comparison = check.run(&gpu, &context, wrong).await.map_err(failure)?;
        enter(check, &comparison)?;
        let mut page = app.borrow_mut();
        page.checks.count(&comparison);
        page.checks.time = dom::now() - begun;
        drop(page);
        ask(app);
    }
    Ok(())
}

/// Adds a line to the table.
fn enter(check: &Check, comparison: &Comparison) -> Outcome {
    let row = document()?.create_element("tr")?;
    let passed = comparison.passes();
    row.set_class_name(if passed { "" } else { "failed" });
    let cells = [
        check.name.clone(),
        check.storage.name().to_owned(),
        format!("{:.3}", comparison.worst_bound),
        format!("{:.2}", comparison.worst_ulps),
        comparison.count.to_string(),
        if passed { "passed" } else { "FAILED" }.to_owned(),
    ];
    for text in cells {
        let cell = document()?.create_element("td")?;
        cell.set_text_content(Some(&text));
        row.append_child(&cell)?;
    }
    by_id::<Element>("findings")?.append_child(&row).map(|_| ())
}

/// Shows the progress of the run.
pub fn refresh(progress: &Progress) -> Outcome {
    let Progress { running, total, done, failed, .. } = *progress;
    by_id::<HtmlButtonElement>("run")?.set_disabled(running);
    by_id::<HtmlInputElement>("wrong")?.set_disabled(running);
    show("table", done > 0)?;
    let summary: Element = by_id("summary")?;
    let begun = running || total > 0 || progress.trouble.is_some();
    write(&summary, &if begun { progress.text() } else { String::new() });
    let alarm = failed > 0 || progress.trouble.is_some();
    set(
        &summary,
        "class",
        if alarm {
            "alarm"
        } else if !running && total > 0 {
            "good"
        } else {
            ""
        },
    )?;
    let bar: Element = by_id("bar")?;
    set(&bar, "max", &total.max(1).to_string())?;
    set(&bar, "value", &done.to_string())?;
    show("bar", running)
}

/// Returns the results for programs.
pub fn account(progress: &Progress) -> Outcome<js_sys::Object> {
    let object = js_sys::Object::new();
    let Progress { running, total, done, failed, elements, worst, time, trouble } = progress;
    let trouble = trouble.as_ref().map_or(JsValue::NULL, JsValue::from);
    for (name, value) in [
        ("running", JsValue::from(*running)),
        ("total", (*total as f64).into()),
        ("done", (*done as f64).into()),
        ("failed", (*failed as f64).into()),
        ("elements", (*elements as f64).into()),
        ("worst", (*worst).into()),
        ("time", (*time).into()),
        ("trouble", trouble),
    ] {
        js_sys::Reflect::set(&object, &name.into(), &value)?;
    }
    Ok(object)
}
