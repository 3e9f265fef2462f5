//! Every check of `tweedie verify`, in the page.

use crate::chromium::Outcome;
use crate::page::{Page, Test, ensure};
use serde_json::Value;
use std::time::Duration;

pub const TESTS: &[(&str, Test)] =
    &[("checks::all_pass", all_pass), ("checks::with_a_wrong_coefficient_all_fail", with_a_wrong_coefficient_all_fail)];

/// Time limit for all checks, several times what they take in software on few cores.
const PATIENCE: Duration = Duration::from_secs(1800);

fn run(address: &str, wrong: bool) -> Outcome<(Page, Value)> {
    let mut page = Page::open(address)?;
    page.tab.key("4")?;
    page.tab.until("!document.getElementById('verify').hidden", PATIENCE)?;
    if wrong {
        page.tab.click("#wrong", 0.5)?;
    }
    page.tab.click("#run", 0.5)?;
    page.tab.until("tweedie.account().checks.total > 0", PATIENCE)?;
    page.tab.until("!tweedie.account().checks.running", PATIENCE)?;
    let checks = page.tab.evaluate("tweedie.account().checks")?;
    println!("checks in the page{}: {checks}", if wrong { ", spoilt" } else { "" });
    // As many as the tool makes.
    let schedules = verify::usual_schedules().map_err(|error| error.to_string())?;
    let expected = verify::checks(&schedules, &tweedie::Storage::ALL).map_err(|error| error.to_string())?.len();
    let whole = checks["done"] == expected && checks["total"] == expected && checks["trouble"].is_null();
    ensure(whole, || format!("expected {expected} checks, found {checks}"))?;
    let rows = page.tab.evaluate("document.querySelectorAll('#findings tr').length")?;
    ensure(rows == expected, || format!("expected {expected} rows, found {rows}"))?;
    Ok((page, checks))
}

fn all_pass(address: &str) -> Outcome {
    let (mut page, checks) = run(address, false)?;
    let failed = page.tab.evaluate("Array.from(document.querySelectorAll('.failed'), row => row.innerText)")?;
    ensure(checks["failed"] == 0, || format!("out of their bound: {failed}"))?;
    page.keep("web-verify.png")
}

fn with_a_wrong_coefficient_all_fail(address: &str) -> Outcome {
    let (_, checks) = run(address, true)?;
    ensure(checks["failed"] == checks["total"], || format!("some passed: {checks}"))
}
