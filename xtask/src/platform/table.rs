//! The README's table of platforms, made of the result files.

use std::path::Path;

use super::PlatformError;
use super::record::{Record, Verdict};
use super::steps::{STEPS, Step};

pub const BEGIN: &str = "<!-- platforms: written by `cargo platform --table` -->";
pub const END: &str = "<!-- /platforms -->";

const HEADER: &str = "\
| platform | `cargo platform` | what was run | with | date | result |
|---|---|---|---|---|---|
";

/// Writes the table between its markers again.
pub fn write(root: &Path) -> Result<(), PlatformError> {
    let path = root.join("README.md");
    let text = std::fs::read_to_string(&path).map_err(|error| PlatformError::File { path: path.clone(), error })?;
    let written = replaced(&text, &table(root)?).ok_or_else(|| PlatformError::NoTable { path: path.clone() })?;
    if written == text {
        return Ok(());
    }
    std::fs::write(&path, written).map_err(|error| PlatformError::File { path, error })
}

fn table(root: &Path) -> Result<String, PlatformError> {
    let mut text = HEADER.to_owned();
    for step in &STEPS {
        text.push_str(&row(step, Record::load(root, step)?.as_ref()));
    }
    Ok(text)
}

/// A platform that nobody has run anything on has an empty row.
fn row(step: &Step, record: Option<&Record>) -> String {
    let Step { name, platform, command, .. } = step;
    let name = if command.is_empty() { String::new() } else { format!("`{name}`") };
    let Some(record) = record else { return format!("| {platform} | {name} | | | | not run |\n") };
    let result = match (record.result, &record.reason) {
        (Verdict::Passed, _) => "passed".to_owned(),
        (Verdict::Failed, reason) => format!("**failed**: {}", cell(reason.as_deref().unwrap_or("no reason kept"))),
    };
    let (ran, with, date) = (cell(&record.ran), cell(&record.with), cell(&record.date));
    format!("| {platform} | {name} | {ran} | {with} | {date} | {result} |\n")
}

/// Text that cannot end its cell or its row.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// The text with another table between the markers; none where they are missing.
fn replaced(text: &str, table: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(format!("{}\n{table}{}", &text[..begin], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, Record, STEPS, Verdict, replaced, row, table};
    use crate::platform::root;

    #[test]
    fn the_readme_says_what_the_result_files_say() {
        let readme = std::fs::read_to_string(root().join("README.md")).expect("a README");
        let table = table(root()).expect("result files that can be read");
        assert_eq!(replaced(&readme, &table).as_ref(), Some(&readme), "run `cargo platform --table`");
    }

    #[test]
    fn no_result_file_is_without_its_step() {
        for entry in std::fs::read_dir(root().join("docs/platforms")).expect("results") {
            let path = entry.expect("an entry").path();
            let step = STEPS.iter().find(|step| path.file_stem().is_some_and(|stem| stem == step.name));
            let step = step.unwrap_or_else(|| panic!("{}: no such step", path.display()));
            let record = Record::load(root(), step).expect("a result").expect("a file");
            assert_eq!(record.step, step.name);
            assert_eq!(record.reason.is_some(), record.result == Verdict::Failed, "{}", step.name);
        }
    }

    #[test]
    fn a_table_is_replaced_whole_and_only_between_its_markers() {
        let text = format!("before\n{BEGIN}\nold\nolder\n{END}\nafter\n");
        assert_eq!(replaced(&text, "new\n"), Some(format!("before\n{BEGIN}\nnew\n{END}\nafter\n")));
        assert_eq!(replaced("no markers", "new\n"), None);
        assert_eq!(replaced(&format!("{END}\n{BEGIN}"), "new\n"), None);
    }

    #[test]
    fn a_row_is_blank_where_nothing_was_run_and_says_what_failed() {
        let step = &STEPS[0];
        assert!(row(step, None).ends_with("| | | | not run |\n"), "{}", row(step, None));
        let record = Record {
            step: step.name.to_owned(),
            result: Verdict::Failed,
            reason: Some("a | b".to_owned()),
            ran: "1 tests".to_owned(),
            with: "a driver".to_owned(),
            on: "x86_64 linux".to_owned(),
            date: "2000-01-01".to_owned(),
            seconds: 1,
            tweedie: "0.0.0".to_owned(),
            commit: "0".to_owned(),
        };
        let row = row(step, Some(&record));
        assert!(row.ends_with("| 1 tests | a driver | 2000-01-01 | **failed**: a \\| b |\n"), "{row}");
    }
}
