//! Writes the tables of the README from the files in `results`, so that no figure in it is typed by hand.
//!
//! Run `cargo run --example figures` after `shapes` and `side_by_side` with `--out` in that folder, `digits train` with `--out`
//! and `digits samples` with `--results`.

use anyhow::Context as _;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| -> anyhow::Result<Value> {
        let path = root.join("results").join(name);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    };
    let path = root.join("README.md");
    let mut text = std::fs::read_to_string(&path)?;
    text = between(&text, "shapes", &shapes(&read("shapes.json")?))?;
    let reports = [read("side_by_side.json")?, read("side_by_side_unfused.json")?];
    text = between(&text, "side_by_side", &side_by_side(&reports))?;
    text = between(&text, "digits", &digits(&read("digits_samples.json")?, &read("digits.json")?))?;
    Ok(std::fs::write(path, text)?)
}

/// The text with everything between two markers replaced.
fn between(text: &str, name: &str, table: &str) -> anyhow::Result<String> {
    let [open, close] = [format!("<!-- {name}: written by `--example figures` -->\n"), format!("<!-- /{name} -->")];
    let (head, rest) = text.split_once(&open).with_context(|| format!("no marker {open}"))?;
    let (_, tail) = rest.split_once(&close).with_context(|| format!("no marker {close}"))?;
    Ok([head, &open, table, &close, tail].concat())
}

fn number(value: &Value, digits: usize) -> String {
    value.as_f64().map_or_else(|| "?".to_owned(), |number| format!("{number:.digits$}"))
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "?".to_owned(), |share| format!("{:.1}%", 100.0 * share))
}

/// A small number in scientific notation.
fn small(value: &Value) -> String {
    value.as_f64().map_or_else(|| "?".to_owned(), |number| format!("{number:.1e}"))
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn shapes(report: &Value) -> String {
    let mut text = String::new();
    let setting = &report["setting"];
    let fused = if report["fusion"] == true { "on" } else { "off" };
    let _ = writeln!(
        text,
        "{} parameters, {} steps of {} pictures, guidance {}, {} samples of each sampler; fusion {fused}, on {}.\n",
        report["parameters"],
        setting["steps"],
        setting["batch"],
        number(&report["guide"], 1),
        report["samples"],
        word(&report["adapter"]),
    );
    text += "| predicts | sampler | calls | energy distance | class accuracy |\n|---|---|---|---|---|\n";
    let held_out = &report["held_out"];
    let (mean, most) = (number(&held_out[0], 4), number(&held_out[1], 4));
    let right = percent(&report["classifier"]);
    let _ = writeln!(text, "| *as many other held-out pictures* | | | {mean}, at most {most} | {right} |");
    let (noise, right) = (number(&report["noise"], 4), percent(&report["noise_accuracy"]));
    let _ = writeln!(text, "| *noise of their mean and deviation* | | | {noise} | {right} |");
    for row in report["rows"].as_array().into_iter().flatten() {
        let (predicts, sampler, calls) = (word(&row["predicts"]), word(&row["sampler"]), &row["calls"]);
        let (energy, accuracy) = (number(&row["energy"], 4), percent(&row["accuracy"]));
        let _ = writeln!(text, "| {predicts} | {sampler} | {calls} | {energy} | {accuracy} |");
    }
    text + "\n"
}

fn side_by_side(reports: &[Value]) -> String {
    let mut text =
        "| tensors | fusion | way | ms a step | launches a step | MiB |\n|---|---|---|---|---|---|\n".to_owned();
    for report in reports {
        let fused = if report["fusion"] == true { "on" } else { "off" };
        for line in report["lines"].as_array().into_iter().flatten() {
            for (way, key) in [("Burn's operations", "burn"), ("tweedie", "tweedie")] {
                let figures = &line[key];
                let count = |key: &str| figures[key].as_f64().unwrap_or(f64::NAN);
                let launches = count("burn_launches") + count("tweedie_dispatches");
                let _ = writeln!(
                    text,
                    "| {} {} | {fused} | {way} | {} | {launches:.0} | {} |",
                    line["shape"],
                    word(&line["elements"]),
                    number(&figures["milliseconds"], 1),
                    number(&figures["mebibytes"], 0),
                );
            }
        }
    }
    let adapter = reports.first().map_or("?", |report| word(&report["adapter"]));
    let _ = writeln!(text, "\nOn {adapter}.\n");
    text
}

fn digits(samples: &Value, course: &Value) -> String {
    let mut text = format!(
        "A digit of each class in {} calls of DPM-Solver++ 2M, guidance {}, on {}, {}.\n\n",
        samples["calls"],
        number(&samples["guidance"], 1),
        word(&samples["adapter"]),
        word(&samples["date"]),
    );
    text += "| predicts | largest difference of a pixel, of -1 to 1 | seconds by Burn | by WGSL |\n|---|---|---|---|\n";
    for row in samples["networks"].as_array().into_iter().flatten() {
        let (predicts, most) = (word(&row["predicts"]), small(&row["largest_difference"]));
        let [burn, wgsl] = ["burn_seconds", "wgsl_seconds"].map(|key| number(&row[key], 1));
        let _ = writeln!(text, "| {predicts} | {most} | {burn} | {wgsl} |");
    }
    let _ = writeln!(
        text,
        "\nThe network for v, {} parameters, continued for {} steps of {} digits; {} s a step in Burn on {}, {} s in PyTorch {} on \
         the processor, {}.\n",
        course["parameters"],
        course["steps"],
        course["batch"],
        number(&course["burn_step_seconds"], 2),
        word(&course["adapter"]),
        number(&course["torch_step_seconds"], 2),
        word(&course["torch"]),
        word(&course["date"]),
    );
    text += "| relative difference of | in the first step | at most | in step |\n|---|---|---|---|\n";
    for (name, key) in [("loss", "losses"), ("norm of all gradients", "norms")] {
        let curves = &course[key];
        let (first, most) = (small(&curves["first_difference"]), small(&curves["largest_difference"]));
        let _ = writeln!(text, "| {name} | {first} | {most} | {} |", curves["at_step"]);
    }
    text + "\n"
}
