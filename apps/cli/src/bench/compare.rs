//! Lines of other programs beside ours.

use super::lines::{Line, TWEEDIE};

/// The same work, done by another program and by us.
#[derive(Debug)]
pub struct Pair<'a> {
    pub ours: &'a Line,
    pub theirs: &'a Line,
    /// Who they are: the program, and on what.
    pub name: String,
}

impl Pair<'_> {
    /// Their time over ours: above 1, we are faster.
    pub fn ratio(&self) -> f64 {
        self.theirs.median_ms / self.ours.median_ms
    }
}

/// Pairs of the same workload, op and storage in the order of our lines. Of equal lines of a program the last counts;
/// lines of the same names and other sizes are not the same work.
pub fn join<'a>(ours: &'a [Line], theirs: &'a [Line]) -> Vec<Pair<'a>> {
    let work = |line: &'a Line| (&line.workload, &line.op, &line.dtype, line.batch, line.elements);
    let mut names: Vec<String> = Vec::new();
    for line in theirs {
        let name = name(line);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let pairs = ours.iter().flat_map(|ours| names.iter().map(move |name| (ours, name)));
    let last = |ours: &'a Line, wanted: &String| {
        theirs.iter().rev().find(|theirs| work(theirs) == work(ours) && name(theirs) == *wanted)
    };
    pairs.filter_map(|(ours, name)| Some(Pair { ours, theirs: last(ours, name)?, name: name.clone() })).collect()
}

/// What tells programs apart; two adapters of ours are two.
fn name(line: &Line) -> String {
    match &line.adapter {
        Some(adapter) if line.program == TWEEDIE => format!("{} ({adapter})", line.program),
        _ => format!("{} ({})", line.program, line.device),
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::tests::line;
    use super::*;

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
