//! The digits view: digits are written, and a part of one is erased with the mouse and written again.

use crate::chromium::Outcome;
use crate::page::{Page, Test, ensure};
use std::time::Duration;

pub const TESTS: &[(&str, Test)] = &[
    ("digits::they_are_written", they_are_written),
    ("digits::a_part_is_erased_and_written_again", a_part_is_erased_and_written_again),
];

/// Time limit for ten calls of the network, in software, with its pipelines.
const LONG: Duration = Duration::from_secs(300);

/// All calls of the usual sampler are done, and nothing is on its way.
const WRITTEN: &str =
    "(() => { const a = tweedie.account(); return a.view === 'digits' && a.written === 10 && !a.busy; })()";

fn open(address: &str) -> Outcome<Page> {
    let mut page = Page::open(address)?;
    page.tab.key("3")?;
    page.tab.until("tweedie.account().view === 'digits'", LONG)?;
    // One digit is a quarter of the work.
    page.focus("count")?;
    page.tab.key("Home")?;
    page.tab.until(WRITTEN, LONG)?;
    Ok(page)
}

fn they_are_written(address: &str) -> Outcome {
    let mut page = open(address)?;
    let trouble = page.tab.evaluate("tweedie.account().trouble")?;
    ensure(trouble.is_null(), || format!("the page says {trouble}"))?;
    let digit = page.numbers("digit 0 10")?;
    let part = |is: fn(f32) -> bool| digit.iter().filter(|value| is(**value)).count() as f64 / digit.len() as f64;
    let (decided, ink) = (part(|value| (0.8..1.01).contains(&value.abs())), part(|value| value > 0.5));
    ensure(digit.len() == 1024 && decided > 0.7 && ink > 0.03, || format!("{decided} decided, {ink} ink"))?;
    page.keep("web-digits.png")?;
    // Another class is another digit.
    page.choose_next("class")?;
    page.tab.until("tweedie.account().class === 4", LONG)?;
    page.tab.until(WRITTEN, LONG)?;
    ensure(page.numbers("digit 0 10")? != digit, || "the class changes nothing".into())?;
    let complaints = page.tab.complaints();
    ensure(complaints.is_empty(), || format!("the console says {complaints:?}"))
}

fn a_part_is_erased_and_written_again(address: &str) -> Outcome {
    let mut page = open(address)?;
    let before = page.numbers("clean 0 9")?;
    page.tab.drag("figure.canvas .frame", 0.1, 0.9)?;
    page.tab.until("tweedie.account().erased > 60", LONG)?;
    page.tab.until(WRITTEN, LONG)?;
    page.tab.key("n")?; // other noise, which writes the rest otherwise
    page.tab.until("tweedie.account().seed === 2", LONG)?;
    page.tab.until(WRITTEN, LONG)?;
    let digit = page.numbers("digit 0 10")?;
    let differs = |row: usize| (0..32).any(|x| (digit[32 * row + x] - before[32 * row + x]).abs() > 0.01);
    ensure((0..10).chain(22..32).all(|row| !differs(row)), || "what is known has not stayed".into())?;
    ensure((14..18).any(differs), || "what is erased has not been written again".into())?;
    page.keep("web-erased.png")?;
    page.tab.click("#forget", 0.5)?;
    page.tab.until("tweedie.account().erased === null", LONG)?;
    page.tab.until(WRITTEN, LONG)?;
    ensure(page.numbers("digit 0 10")?[..320] != before[..320], || "it is still known".into())
}
