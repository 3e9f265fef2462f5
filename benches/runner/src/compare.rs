//! Pairs of lines of two runs.

use crate::lines::{Line, TWEEDIE};
use plots::distinct;

/// The same work, done by another program and by us.
#[derive(Debug)]
pub struct Pair<'a> {
    /// The line of this run.
    pub ours: &'a Line,
    /// The line of the other run.
    pub theirs: &'a Line,
    /// The name of the other program, and of the device it ran on.
    pub name: String,
}

impl Pair<'_> {
    /// Their time over ours. Above 1, ours is faster.
    pub fn ratio(&self) -> f64 {
        self.theirs.median_ms / self.ours.median_ms
    }
}

/// Pairs lines of the same workload, op and storage, in the order of our lines. If a program has several lines of the same
/// work, the last counts. Lines of the same names but of different sizes are not the same work.
pub fn join<'a>(ours: &'a [Line], theirs: &'a [Line]) -> Vec<Pair<'a>> {
    let work = |line: &'a Line| (&line.workload, &line.op, &line.dtype, line.batch, line.elements);
    let named: Vec<String> = theirs.iter().map(name).collect();
    let names = distinct(named.iter().map(String::as_str));
    let pair = |ours: &'a Line, name: &str| {
        let of_name = theirs.iter().zip(&named).rev().filter(|(_, it)| *it == name);
        let theirs = of_name.map(|(theirs, _)| theirs).find(|theirs| work(theirs) == work(ours))?;
        Some(Pair { ours, theirs, name: name.to_owned() })
    };
    ours.iter().flat_map(|ours| names.iter().filter_map(move |name| pair(ours, name))).collect()
}

/// The name by which programs are told apart. Ours has another one on each adapter.
fn name(line: &Line) -> String {
    match &line.adapter {
        Some(adapter) if line.program == TWEEDIE => format!("{} ({adapter})", line.program),
        _ => format!("{} ({})", line.program, line.device),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::tests::line;

    #[test]
    fn programs_are_joined_by_work() {
        let ours = [line("tweedie", "noise", 1.0), line("tweedie", "eps_to_x0", 2.0), line("tweedie", "other", 1.0)];
        let theirs = [
            line("torch-eager", "noise", 9.0),
            line("torch-eager", "eps_to_x0", 5.0),
            line("torch-compile", "noise", 1.5),
            line("torch-eager", "noise", 3.0),
            line("torch-eager", "missing", 1.0),
        ];
        let found: Vec<_> =
            join(&ours, &theirs).iter().map(|it| (it.ours.op.clone(), it.name.clone(), it.ratio())).collect();
        let expected = [
            ("noise", "torch-eager (cuda)", 3.0),
            ("noise", "torch-compile (cuda)", 1.5),
            ("eps_to_x0", "torch-eager (cuda)", 2.5),
        ];
        assert_eq!(found, expected.map(|(op, name, ratio)| (op.to_owned(), name.to_owned(), ratio)));
    }

    #[test]
    fn another_size_is_other_work() {
        let ours = [line("tweedie", "noise", 1.0)];
        let theirs = [Line { batch: 65, ..line("torch-eager", "noise", 1.0) }];
        assert!(join(&ours, &theirs).is_empty());
    }

    #[test]
    fn adapters_of_ours_are_told_apart() {
        let on = |adapter: &str| Line { adapter: Some(adapter.into()), ..line("tweedie", "noise", 1.0) };
        let names: Vec<String> = join(&[on("A")], &[on("B"), on("C")]).into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["tweedie (B)", "tweedie (C)"]);
    }
}
