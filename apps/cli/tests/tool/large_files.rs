//! Files that are processed in windows: samples larger than a window, errors in a later window, memory, and Ctrl-C.

use crate::support::{Folder, OUT};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;

pub const TESTS: &[Test] = &[
    ("a_sample_larger_than_a_window_on_the_cpu", Needs::Nothing, || large_sample("--on cpu")),
    ("a_sample_larger_than_a_window", Needs::Adapter, || large_sample("")),
    ("a_mistake_in_a_later_window", Needs::Nothing, late_mistake),
    #[cfg(target_os = "linux")] // where a process's peak memory can be read
    ("memory_does_not_grow_with_the_file_on_the_cpu", Needs::Nothing, || processes::memory("--on cpu")),
    #[cfg(target_os = "linux")]
    ("memory_does_not_grow_with_the_file", Needs::Adapter, || processes::memory("")),
    #[cfg(target_os = "linux")]
    ("ctrl_c_leaves_nothing_behind", Needs::Nothing, processes::ctrl_c),
];

/// Elements of a window, as in `apps/cli/src/windows.rs`.
const WINDOW: usize = 2 << 20;

/// Numbers that differ from their neighbours.
fn numbers(count: usize, step: u32) -> Vec<f64> {
    let number = |i: usize| f64::from((i as u32).wrapping_mul(step) >> 8) / f64::from(1 << 23) - 1.0;
    (0..count).map(number).collect()
}

/// A sample of five quarters of a window gives what five samples of a quarter give at the same timestep.
fn large_sample(on: &str) {
    const PARTS: usize = 5;
    let elements = WINDOW / 4;
    let [x, y] = [numbers(PARTS * elements, 2_654_435_769), numbers(PARTS * elements, 2_246_822_519)];
    let folder = |batch: usize| {
        let (shape, t) = ([batch, PARTS * elements / batch], vec![300.0; batch]);
        let pair = Tensors::default().with("x_t", Dtype::F32, &shape, &x).with("prediction", Dtype::F32, &shape, &y);
        Folder::with(&pair.with("target", Dtype::F32, &shape, &x).with("t", Dtype::I64, &[batch], &t))
    };
    let [whole, parts] = [folder(1), folder(PARTS)];
    let convert = format!("convert in.safetensors --from v --to x0,epsilon {on} --out {OUT}");
    let [one, many] = [whole.output(&convert), parts.output(&convert)];
    for name in ["x0", "epsilon"] {
        assert_eq!(one.tensor(name).bytes, many.tensor(name).bytes, "{name}");
    }
    for of in ["sum", "mean"] {
        let loss = format!("loss in.safetensors --predicts v --weight min-snr --grad-of {of} {on} --out {OUT}");
        let [one, many] = [whole.output(&loss), parts.output(&loss)];
        let mean = many.values("loss").iter().sum::<f64>() / PARTS as f64;
        for name in ["loss", "mean"] {
            // Sums in f32 of half a million elements, in another order.
            let found = one.values(name)[0];
            assert!((found - mean).abs() <= 1e-6 * mean, "{name} {of}: {found}, expected {mean}");
        }
        // One sample has a mean over five times as many elements; in the mean over the batch, the parts are divided by five too.
        let factor = if of == "sum" { 1.0 / PARTS as f64 } else { 1.0 };
        for (found, part) in one.values("grad").iter().zip(many.values("grad")) {
            let expected = factor * part;
            assert!((found - expected).abs() <= 3e-7 * expected.abs(), "grad {of}: {found}, expected {expected}");
        }
    }
}

/// The error gives the place in the tensor, not in the window, and the output of the earlier windows is removed.
fn late_mistake() {
    let (batch, elements) = (9, WINDOW / 4);
    let mut x0 = numbers(batch * elements, 2_654_435_769);
    x0[8 * elements + 17] = f64::NAN;
    let file = Tensors::default().with("x0", Dtype::F32, &[batch, elements], &x0);
    let folder = Folder::with(&file.with("t", Dtype::I64, &[batch], &[5.0; 9]));
    let flat = 8 * elements + 17;
    let words = format!("tensor `x0` holds NaN at sample 8, element 17 (flat index {flat})");
    folder.refuses(&format!("noise in.safetensors --on cpu --out {OUT}"), &[&words]);
}

#[cfg(target_os = "linux")]
mod processes {
    use super::{Dtype, Folder, OUT, Tensors, WINDOW, numbers};
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    /// Memory that a larger file may take beyond a smaller one: two windows of doubles.
    const ALLOWED: u64 = 32 << 20;

    /// The same on the CPU, where numbers are f64. Memory that was freed and not given back has been 40 MiB on a busy machine; a
    /// copy of one tensor of doubles would be 144 MiB more.
    const ALLOWED_ON_THE_CPU: u64 = 64 << 20;

    /// Three and twelve windows of noise, target and drawn noise. A copy of one f32 tensor alone would be 72 MiB more.
    pub fn memory(on: &str) {
        let [small, large] = [3, 12].map(|windows| peak(&folder(windows), on));
        let allowed = if on.contains("cpu") { ALLOWED_ON_THE_CPU } else { ALLOWED };
        assert!(large < small + allowed, "{small} bytes for a small file, {large} for a large one");
    }

    pub fn ctrl_c() {
        let folder = folder(12);
        let before = folder.names();
        let mut tool = start(&folder, "--on cpu");
        let unfinished = || folder.names().iter().any(|name| name.starts_with(".tweedie-"));
        while tool.try_wait().expect("a process").is_none() && !unfinished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let sent = Command::new("kill").args(["-INT", &tool.id().to_string()]).status().expect("kill");
        assert!(sent.success(), "the tool had ended before it was asked to");
        assert_eq!(tool.wait().expect("a process").code(), Some(130));
        assert_eq!(folder.names(), before);
    }

    fn folder(windows: usize) -> Folder {
        let samples = 4 * windows;
        let x0 = numbers(samples * WINDOW / 4, 2_654_435_769);
        let file = Tensors::default().with("x0", Dtype::F32, &[samples, WINDOW / 4], &x0);
        Folder::with(&file.with("t", Dtype::I64, &[samples], &vec![300.0; samples]))
    }

    fn start(folder: &Folder, on: &str) -> Child {
        let line = format!("noise in.safetensors --target v {on} --out {OUT}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tweedie"));
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir()).current_dir(folder.path("."));
        command.args(line.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the tool starts")
    }

    /// The peak memory of the tool, read again and again until it ends.
    fn peak(folder: &Folder, on: &str) -> u64 {
        let mut tool = start(folder, on);
        let mut most = 0;
        let code = loop {
            if let Some(status) = tool.try_wait().expect("a process") {
                break status.code();
            }
            most = most.max(high_water(&tool).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(2));
        };
        assert_eq!(code, Some(0));
        assert!(most > 0);
        most
    }

    /// `VmHWM` of a running process, in bytes.
    fn high_water(tool: &Child) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", tool.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    }
}
