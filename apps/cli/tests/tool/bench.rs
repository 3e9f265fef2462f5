//! `tweedie bench`: result lines that come back, reports, and input that is refused.

use crate::support::{Folder, objects};
use crate::{Needs, Test};

pub const TESTS: &[Test] = &[
    ("lines_are_written_and_compared", Needs::Adapter, lines),
    ("host_times_are_written_and_compared", Needs::Adapter, host_times),
    ("a_report_of_an_earlier_run", Needs::Nothing, report),
    ("wrong_input_is_refused", Needs::Nothing, refused),
    ("a_shape_beyond_every_buffer_is_skipped", Needs::Adapter, too_large),
];

/// A run that takes only a moment.
const SHORT: &str = "bench --op noise,draw_loss_grad_v --batch 4 --elements 1024 --sets 1 --runs 2";

/// A result line of this workload, as other programs write it too.
fn line(workload: &str) -> String {
    let values = r#""median_ms": 2, "min_bytes": 3072, "gbps": 1.5, "copy_gbps": 3"#;
    format!(
        r#"{{"impl": "a", "device": "cpu", "workload": "{workload}", "op": "noise", "dtype": "f32", "batch": 1, "elements": 256, {values}}}"#
    )
}

fn lines() {
    let folder = Folder::new();
    let text = folder.succeeds(&format!("{SHORT} --json lines.jsonl"));
    assert!(text.contains("draw_loss_grad_v     custom"), "{text}");
    let written = std::fs::read_to_string(folder.path("lines.jsonl")).expect("result lines");
    let lines = objects(&written);
    assert_eq!(lines.len(), 2);
    for (line, op) in lines.iter().zip(["noise", "draw_loss_grad_v"]) {
        assert_eq!((&line["impl"], &line["op"], &line["min_bytes"]), (&"tweedie".into(), &op.into(), &49_152.into()));
        assert!(line["median_ms"].as_f64() > Some(0.0) && line["copy_gbps"].is_f64() && line["record_ns"].is_f64());
    }
    let compared = folder.succeeds(&format!("{SHORT} --compare lines.jsonl"));
    assert_eq!(compared.matches("x  tweedie (").count(), 2, "{compared}");
}

fn host_times() {
    let folder = Folder::new();
    let text = folder.succeeds("bench --host --runs 1 --json host.jsonl");
    assert!(text.contains("by hand") && !text.contains("GB/s"), "{text}");
    let written = std::fs::read_to_string(folder.path("host.jsonl")).expect("result lines");
    let lines = objects(&written);
    let named =
        |op: &str| lines.iter().find(|line| line["op"] == *op).unwrap_or_else(|| panic!("no {op} in {written}"));
    for kind in ["map", "loss", "vlb", "step", "timesteps", "training_step"] {
        let moved = named(&format!("moved_{kind}"));
        assert!(moved["median_ms"].as_f64() > Some(0.0) && moved["by_hand_ms"].as_f64() > Some(0.0));
        assert!(named(&format!("record_{kind}"))["by_hand_ms"].is_null());
    }
    for what in ["plan_map_1", "plan_step_1000", "set_rows_20", "set_key", "first_use_plans", "first_use_warm_up_done"]
    {
        assert_eq!((&named(what)["workload"], &named(what)["runs"]), (&"host".into(), &1.into()));
    }
    // Lines with the same names are compared as the same work.
    let compared = folder.succeeds("bench --with host.jsonl --compare host.jsonl");
    assert_eq!(compared.matches("x  tweedie (").count(), lines.len(), "{compared}");
}

fn report() {
    let folder = Folder::new();
    folder.write("earlier.jsonl", format!("{}\n{}\n", line("latent_sd15"), line("sweep")).as_bytes());
    let text = folder.succeeds("bench --with earlier.jsonl --compare earlier.jsonl --report page");
    assert!(text.contains("1.00x  a (cpu)") && text.contains("index.html"), "{text}");
    let page = std::fs::read_to_string(folder.path("page/index.html")).expect("a page");
    assert_eq!(page.matches("<svg").count(), 3);
    for picture in ["page/fraction.svg", "page/size.svg"] {
        assert!(std::fs::read_to_string(folder.path(picture)).expect("a picture").starts_with("<svg"));
    }
}

fn refused() {
    let folder = Folder::new();
    folder.write("broken.jsonl", b"\n{\"impl\"");
    folder.write("empty.jsonl", b"");
    for (options, words) in [
        ("--with missing.jsonl", "cannot read missing.jsonl"),
        ("--with empty.jsonl", "expected lines of measurements"),
        ("--compare broken.jsonl", "broken.jsonl: line 2"),
        ("--op nose", "expected one of noise, "),
        ("--json missing/lines.jsonl", "missing does not exist"),
        ("--batch 3", "--elements"),
    ] {
        let run = folder.run(&format!("bench {options}"));
        run.assert_one_line_error(options, 2);
        assert!(run.stderr.contains(words), "{options}: {}", run.stderr);
    }
}

fn too_large() {
    let run = Folder::new().run("bench --op noise --batch 4294967295 --elements 4294967295");
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(run.stderr.contains("nothing was measured: custom: a tensor takes"), "{}", run.stderr);
}
