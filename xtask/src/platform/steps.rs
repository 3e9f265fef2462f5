//! The steps by name. Each is a row of the table in `docs/platforms.md`.

use super::PlatformError;

/// A platform, and how it is checked here.
#[derive(Debug)]
pub struct Step {
    /// The name for `cargo platform`; also that of its result file.
    pub name: &'static str,
    /// The first column of the table.
    pub platform: &'static str,
    /// What is checked, in a line.
    pub about: &'static str,
    /// A program and its arguments, from the root of the workspace; empty if no command can run it yet.
    pub command: &'static [&'static str],
    pub environment: &'static [(&'static str, &'static str)],
    pub driver: Driver,
    /// The file in the target folder in which it leaves a list of counts.
    pub counts: Option<&'static str>,
}

/// The driver that a step must have run on, so that its row is true of the platform that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// No GPU is needed.
    None,
    /// An adapter whose description contains this.
    Named(&'static str),
    /// An adapter of this API that is not a software driver.
    Hardware(&'static str),
}

/// Software adapters by what they call themselves.
const SOFTWARE: [&str; 4] = ["llvmpipe", "swiftshader", "basic render driver", "warp"];

impl Driver {
    /// Explains why this adapter is the wrong one, if it is.
    pub fn trouble(self, adapter: Option<&str>) -> Option<String> {
        let wanted = match self {
            Driver::None => return None,
            Driver::Named(name) => format!("an adapter of {name}"),
            Driver::Hardware(api) => format!("a GPU through {api}, not a software driver"),
        };
        let Some(adapter) = adapter else { return Some(format!("expected {wanted}, found no adapter")) };
        let lower = adapter.to_lowercase();
        let right = match self {
            Driver::None => true,
            Driver::Named(name) => lower.contains(&name.to_lowercase()),
            Driver::Hardware(api) => {
                lower.contains(&format!("({api}, ")) && !SOFTWARE.iter().any(|name| lower.contains(name))
            }
        };
        (!right).then(|| format!("expected {wanted}, found {adapter}"))
    }
}

/// The whole suite of the library and the tool, as on any other driver.
const SUITE: &[&str] = &["cargo", "test"];

/// Makes tests that find no adapter fail; without it they are ignored.
const REQUIRED: (&str, &str) = ("TWEEDIE_REQUIRE_ADAPTER", "1");

const fn step(
    name: &'static str,
    platform: &'static str,
    about: &'static str,
    command: &'static [&'static str],
) -> Step {
    Step { name, platform, about, command, environment: &[], driver: Driver::None, counts: None }
}

impl Step {
    const fn on(self, driver: Driver, environment: &'static [(&'static str, &'static str)]) -> Self {
        Self { driver, environment, ..self }
    }

    const fn counting(self, file: &'static str) -> Self {
        Self { counts: Some(file), ..self }
    }
}

pub static STEPS: [Step; 28] = [
    step("lavapipe", "Vulkan, Mesa lavapipe", "the whole suite on Mesa's software Vulkan", &["cargo", "check-all"])
        .on(Driver::Named("(vulkan, llvmpipe"), &[("WGPU_BACKEND", "vulkan"), ("TWEEDIE_ADAPTER", "llvmpipe")]),
    step(
        "swiftshader",
        "Vulkan, Google SwiftShader",
        "the whole suite on SwiftShader, which flushes subnormals and has WebGPU's least limits",
        &["xtask/scripts/swiftshader.sh", "cargo", "test"],
    )
    .on(Driver::Named("(vulkan, swiftshader"), &[REQUIRED]),
    step(
        "gl",
        "OpenGL ES, Mesa llvmpipe",
        "the whole suite on wgpu's OpenGL backend",
        &["xtask/scripts/gl.sh", "cargo", "test"],
    )
    .on(Driver::Named("(gl, "), &[REQUIRED]),
    step(
        "default-limits",
        "WebGPU's default limits, lavapipe",
        "the library's GPU tests on a device with `wgpu::Limits::default()`",
        &["cargo", "test-workspace", "--exclude", "tweedie-digits", "--test", "gpu"],
    )
    .on(
        Driver::Named("(vulkan, llvmpipe"),
        &[("TWEEDIE_LIMITS", "default"), ("TWEEDIE_ADAPTER", "llvmpipe"), REQUIRED],
    ),
    step(
        "least-limits",
        "Four storage buffers, 16 KiB uniforms",
        "the library's GPU tests on a device with `wgpu::Limits::downlevel_defaults()`",
        &["cargo", "test-workspace", "--exclude", "tweedie-digits", "--test", "gpu"],
    )
    .on(
        Driver::Named("(vulkan, llvmpipe"),
        &[("TWEEDIE_LIMITS", "downlevel"), ("TWEEDIE_ADAPTER", "llvmpipe"), REQUIRED],
    ),
    step(
        "shaders",
        "Every shader in SPIR-V, MSL, HLSL",
        "every composed shader as wgpu's backends write it, its SPIR-V through spirv-val",
        &["xtask/scripts/shaders.sh"],
    ),
    step(
        "hlsl",
        "DX12, Microsoft's compilers",
        "every composed shader through FXC (SM 5.1) and DXC (SM 6.2), under Wine",
        &["xtask/scripts/hlsl.sh"],
    ),
    step(
        "isa",
        "AMD cards, RADV without a card",
        "instruction counts of the benchmark's shaders against their budgets; the result has the counts",
        &["xtask/scripts/isa.sh"],
    )
    .counting("isa/counts.json"),
    step(
        "windows",
        "Windows (DX12, Vulkan)",
        "cargo check of all targets for Windows",
        &["xtask/scripts/cross.sh", "x86_64-pc-windows-gnu"],
    ),
    step(
        "macos",
        "macOS (Metal)",
        "cargo check of all targets for macOS",
        &["xtask/scripts/cross.sh", "aarch64-apple-darwin"],
    ),
    step(
        "wasm",
        "Browsers (WebGPU)",
        "cargo check of the library for wasm32",
        &["xtask/scripts/cross.sh", "wasm32-unknown-unknown"],
    ),
    step(
        "browser",
        "WebGPU in Chromium, SwiftShader",
        "the page in a headless Chromium, with real input events, and every check of verify in it",
        &["xtask/scripts/browser.sh"],
    ),
    step(
        "viewer",
        "The viewer, X11 on lavapipe",
        "the viewer's window on a screen of its own, with real mouse and key events",
        &["xtask/scripts/viewer.sh"],
    ),
    step(
        "burn",
        "Burn 0.22, wgpu backend",
        "tweedie's ops on Burn tensors: values, gradients, samplers, several devices, the digits, with fusion and without",
        &["xtask/scripts/burn.sh"],
    ),
    step(
        "onnx",
        "A network off wgpu, rten 0.27",
        "loops on the host around ONNX networks in an engine in pure Rust; its digits against those of the kernels",
        &["xtask/scripts/onnx.sh"],
    ),
    step(
        "mpi",
        "Several processes, Open MPI",
        "data-parallel training over MPI: draws to the bit, sums, killed processes, checkpoints",
        &["xtask/scripts/mpi.sh"],
    ),
    step(
        "soak",
        "A long run",
        "100,000 steps of changing shapes: memory flat, results the same to the bit",
        &["xtask/scripts/soak.sh"],
    ),
    step(
        "fuzz",
        "Arbitrary input",
        "every reader and every builder under libFuzzer, ten minutes each",
        &["xtask/scripts/fuzz.sh", "600"],
    ),
    step(
        "deny",
        "Licences and sources",
        "cargo deny: licences, sources and bans of every dependency",
        &["xtask/scripts/deny.sh"],
    ),
    step("typos", "Spelling", "typos: misspelt words in every file", &["xtask/scripts/typos.sh"]),
    step(
        "msrv",
        "The minimum Rust version",
        "cargo check of the library with its `rust-version`",
        &["xtask/scripts/msrv.sh"],
    ),
    step(
        "package",
        "The package",
        "the library packed, built from the package alone, and the package's size",
        &["xtask/scripts/package.sh"],
    ),
    step("vulkan", "Vulkan, a GPU (NVIDIA, AMD, Intel)", "the whole suite on this machine's GPU through Vulkan", SUITE)
        .on(Driver::Hardware("vulkan"), &[("WGPU_BACKEND", "vulkan"), REQUIRED]),
    step(
        "gpu",
        "Vulkan, a GPU, measured",
        "verify, the benchmark, loops and PyTorch on this machine's GPU, in less than eight minutes",
        &["xtask/scripts/gpu.sh", "", "target/gpu-results"],
    )
    .on(Driver::Hardware("vulkan"), &[]),
    step("metal", "Metal, a GPU", "the whole suite on a Mac's GPU", SUITE)
        .on(Driver::Hardware("metal"), &[("WGPU_BACKEND", "metal"), REQUIRED]),
    step("dx12", "DX12, a GPU", "the whole suite on this machine's GPU through DX12", SUITE)
        .on(Driver::Hardware("dx12"), &[("WGPU_BACKEND", "dx12"), REQUIRED]),
    step("warp", "DX12, Windows' software adapter (WARP)", "the whole suite on a Windows machine without a GPU", SUITE)
        .on(
            Driver::Named("basic render driver (dx12, "),
            &[("WGPU_BACKEND", "dx12"), ("TWEEDIE_ADAPTER", "basic render"), REQUIRED],
        ),
    step("webgpu", "WebGPU in a browser, a GPU", "by hand: nothing here drives a browser on a GPU yet", &[]),
];

/// Finds the step of this name, if it can be run.
pub fn named(name: &str) -> Result<&'static Step, PlatformError> {
    let step = STEPS.iter().find(|step| step.name == name);
    let step = step.ok_or_else(|| PlatformError::UnknownStep { found: name.to_owned() })?;
    if step.command.is_empty() { Err(PlatformError::ByHand(step.name)) } else { Ok(step) }
}

#[cfg(test)]
mod tests {
    use super::{Driver, STEPS, named};

    #[test]
    fn a_row_tells_of_the_driver_that_it_names() {
        let lavapipe = Some("llvmpipe (LLVM 15.0.6, 256 bits) (vulkan, llvmpipe Mesa 22.3.6)");
        let nvidia = Some("NVIDIA H100 (vulkan, NVIDIA 580.65)");
        assert_eq!(Driver::Named("(vulkan, llvmpipe").trouble(lavapipe), None);
        assert_eq!(Driver::Hardware("vulkan").trouble(nvidia), None);
        assert_eq!(Driver::None.trouble(None), None);
        for (driver, adapter) in [
            (Driver::Named("(vulkan, llvmpipe"), nvidia),
            (Driver::Hardware("vulkan"), lavapipe),
            (Driver::Hardware("metal"), nvidia),
            (Driver::Hardware("vulkan"), None),
        ] {
            assert!(driver.trouble(adapter).is_some_and(|trouble| trouble.starts_with("expected ")), "{driver:?}");
        }
    }

    #[test]
    fn names_are_distinct_and_known() {
        for (index, step) in STEPS.iter().enumerate() {
            assert!(STEPS[..index].iter().all(|other| other.name != step.name), "{}", step.name);
            assert_eq!(named(step.name).is_ok(), !step.command.is_empty(), "{}", step.name);
        }
        let error = named("amiga").expect_err("no such step").to_string();
        assert!(error.contains("found `amiga`") && error.contains("lavapipe"), "{error}");
    }
}
