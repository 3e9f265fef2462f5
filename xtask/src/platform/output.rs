//! Reads the output of a step: the adapter or tools, the number of tests, failures. These come from nowhere else.

/// What begins a line that names what a step ran with: tests name their adapter, scripts their tools.
const WITH: [&str; 2] = ["adapter: ", "tools: "];

/// The names of at most this many failed tests are kept.
const NAMED: usize = 3;

#[derive(Debug, Default)]
pub struct Output {
    with: Option<String>,
    tests: Option<Tests>,
    failed: Vec<String>,
    last: String,
}

/// The sum of all `test result` lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tests {
    passed: u64,
    failed: u64,
    ignored: u64,
    filtered: u64,
}

impl Output {
    /// Takes note of a line.
    pub fn read(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        line.trim().clone_into(&mut self.last);
        if let Some(with) = WITH.iter().find_map(|start| line.strip_prefix(start)) {
            self.with.get_or_insert_with(|| with.trim().to_owned());
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.tests.get_or_insert_default().add(counts);
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix("FAILED")) {
            self.failed.push(name.trim_end_matches([' ', '.']).to_owned());
        }
    }

    pub fn with(&self) -> Option<&str> {
        self.with.as_deref()
    }

    /// A summary of the run: the numbers of tests, or else the last line.
    pub fn ran(&self) -> String {
        match &self.tests {
            Some(tests) => tests.to_string(),
            None => self.last.clone(),
        }
    }

    /// Why a step with this exit code has not passed.
    pub fn trouble(&self, code: u8) -> Option<String> {
        match self.tests {
            _ if !self.failed.is_empty() => {
                let names = self.failed.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = if self.failed.len() > NAMED { ", ..." } else { "" };
                Some(format!("{} failed: {names}{more}", self.failed.len()))
            }
            _ if code != 0 => Some(format!("exit code {code}: {}", self.last)),
            Some(Tests { passed: 0, .. }) => Some("no test was run".to_owned()),
            _ if self.last.is_empty() => Some("the step printed nothing".to_owned()),
            _ => None,
        }
    }
}

impl Tests {
    /// Adds `ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.1s`.
    fn add(&mut self, counts: &str) {
        let counts = counts.split_once(". ").map_or(counts, |(_, counts)| counts);
        for part in counts.split("; ") {
            let Some((Ok(count), what)) = part.split_once(' ').map(|(count, what)| (count.parse::<u64>(), what)) else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                "filtered out" => self.filtered += count,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Tests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tests { passed, failed, ignored, filtered } = self;
        write!(f, "{passed} tests passed, {failed} failed, {ignored} ignored")?;
        if *filtered > 0 { write!(f, ", {filtered} skipped") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::Output;

    fn output(text: &str) -> Output {
        let mut output = Output::default();
        text.lines().for_each(|line| output.read(line));
        output
    }

    #[test]
    fn tests_are_added_up_and_the_adapter_is_kept() {
        let output = output(
            "adapter: llvmpipe (vulkan)\ntest a ... ok\n\
             test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s\n\
             test result: ok. 30 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.00s\n\n",
        );
        assert_eq!(output.ran(), "42 tests passed, 0 failed, 1 ignored, 3 skipped");
        assert_eq!(output.with(), Some("llvmpipe (vulkan)"));
        assert_eq!(output.trouble(0), None);
        assert!(output.trouble(101).is_some());
    }

    #[test]
    fn a_script_speaks_for_itself() {
        let output = output("tools: spirv-val 2023.1\nnoise\n12 shaders\n");
        assert_eq!((output.ran(), output.with()), ("12 shaders".to_owned(), Some("spirv-val 2023.1")));
        assert_eq!(output.trouble(0), None);
        assert_eq!(output.trouble(1).as_deref(), Some("exit code 1: 12 shaders"));
    }

    #[test]
    fn what_failed_is_named_and_nothing_is_no_success() {
        let failed = output(
            "test maps::one                   ... FAILED\ntest maps::two ... FAILED\n\
             test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\nerror: test failed\n",
        );
        assert_eq!(failed.trouble(101).as_deref(), Some("2 failed: maps::one, maps::two"));
        assert_eq!(failed.ran(), "1 tests passed, 2 failed, 0 ignored");
        let none = output("test result: ok. 0 passed; 0 failed; 9 ignored; 0 measured; 0 filtered out\n");
        assert_eq!(none.trouble(0).as_deref(), Some("no test was run"));
        assert!(output("").trouble(0).is_some());
    }
}
