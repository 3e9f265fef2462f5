//! The floors of the library: a file imports from lower floors only.
//!
//! Every `use` of the crate, and every path that is written without one, is an arrow from a file to the file that defines
//! the item; re-exports are followed. Five things are failures:
//!
//! - an arrow to the same floor or a higher one, by the table [`FLOORS`];
//! - a circle of files;
//! - an item that is imported through a file that only re-exports it: `mod.rs` and `lib.rs` re-export for applications, and
//!   the files of the crate name the file that defines an item;
//! - a path into the crate that leads nowhere;
//! - a file without a floor, a floor without a file, and a folder of several files without floors.
//!
//! A `mod.rs` that defines items is an ordinary file for them. The `pub use` lines of `lib.rs` and of a `mod.rs` are the
//! index itself and are not arrows. A test module counts as part of its file.

pub mod resolve;
mod rules;
pub mod sources;

use rules::{Floors, summary, violations};
use std::path::Path;

/// The floors of folders, the lowest first. Files on the same floor do not import each other.
const FLOORS: &[Floors] = &[
    (
        "src",
        &[
            &["few"],
            &["headless", "noise", "table"],
            &["gpu", "math"],
            &["config", "guider_file", "loop_error"],
            &["error", "run_file"],
            &["diffusion", "likelihood", "sampling", "training"],
            &["loops"],
            &["guide", "lib"],
        ],
    ),
    (
        "src/noise",
        &[
            &["counters", "dtype", "mod", "mt19937", "seed_sequence", "threefry", "ziggurat"],
            &["error", "numpy_legacy", "pcg64", "perturb", "torch_cpu"],
            &["brownian_path", "brownian_tree", "comfyui", "slerp", "torch_cuda"],
            &["jax"],
            &["source"],
            &["generator"],
        ],
    ),
    ("src/table", &[&["mod"], &["guide", "loss", "step", "vlb"], &["pyramid"], &["finish"]]),
    (
        "src/math",
        &[
            &["beta_distribution", "double_double", "likelihood", "model_variance", "normal", "schedule_error"],
            &["level"],
            &["edm", "posterior"],
            &["chain", "process", "quantity"],
            &["error", "schedule"],
            &["check", "conversion_tables", "delta_schedule", "timestep_density", "weight"],
            &["flow", "guidance", "importance", "loss", "protein_times", "sampler", "sigmas", "spacing"],
            &["cosine_clock", "placement", "stages"],
            &["model", "vlb"],
            &["model_levels", "model_tables", "own_levels"],
            &["catalog"],
            &["latent"],
            &["recipe", "run"],
            &["mod"],
        ],
    ),
    (
        "src/math/latent",
        &[&["error"], &["format"], &["picture_previews", "statistics", "video_previews"], &["catalogue"], &["mod"]],
    ),
    (
        "src/math/recipe",
        &[
            &["size"],
            &["grid"],
            &["facts"],
            &["make", "run", "words"],
            &["denoisers", "flow_pictures", "flow_videos"],
            &["catalogue"],
            &["mod"],
        ],
    ),
    (
        "src/math/run",
        &[
            &["applied", "compat", "error", "parameterisation", "precision"],
            &["value"],
            &["base"],
            &["model_table"],
            &["model"],
            &["gits", "models", "request", "tables"],
            &["placed", "schedulers", "sigma_nodes", "window"],
            &["named_grids", "scheduler_nodes"],
            &["node_grids"],
            &["grids"],
            &["grid", "solvers"],
            &["run"],
            &["adaptive", "inputs"],
            &["run_loop"],
            &["run_noise"],
            &["host_loop"],
            &["drive"],
            &["mod"],
        ],
    ),
    (
        "src/math/catalog",
        &[
            &["parameter"],
            &["error"],
            &["entry"],
            &["quantities"],
            &["densities", "grids", "guiders", "losses", "noise_sources", "schedules"],
            &["processes", "sampler_options", "sampler_rules"],
            &["sampler_recipe"],
            &["sampler_grid"],
            &["sampler_lists", "sampler_ways"],
            &["sampler_rising", "sampler_warm_up"],
            &["sampler_sigmas"],
            &["sampler_words"],
            &["sampler_build"],
            &["mod", "samplers"],
        ],
    ),
    ("src/math/catalog/samplers", &[&["options"], &["adams_bashforth", "dpm", "flows", "stochastic"], &["mod"]]),
    (
        "src/math/run/solvers",
        &[
            &["course", "polynomial"],
            &["ancestral", "sampler"],
            &[
                "cfg_pp",
                "dpmpp",
                "er_sde",
                "exponential",
                "in_sigma",
                "res_multistep",
                "sa_solver",
                "seeds",
                "slopes",
                "uni_pc",
            ],
            &["published"],
            &["catalogue"],
            &["mod"],
        ],
    ),
    ("src/math/error", &[&["conversion", "draw", "guidance", "loss", "sampler", "vlb"], &["mod"]]),
    ("src/math/schedule", &[&["mod"], &["ratios", "recipes"], &["families"]]),
    (
        "src/math/guidance",
        &[
            &["call", "mixture", "window"],
            &["levels", "pyramid"],
            &["finish", "method"],
            &["apply", "guider"],
            &["mod"],
        ],
    ),
    (
        "src/math/sampler",
        &[
            &["clock"],
            &["grid"],
            &["denoiser", "halfway", "linear", "transition"],
            &["call", "multistep", "slope"],
            &["recorder", "runge_kutta", "solver", "written"],
            &[
                "adams_bashforth",
                "churn",
                "consistency",
                "ddpm",
                "dpm",
                "dpm2",
                "dpm_sde",
                "first_order",
                "heun",
                "langevin",
                "pi_flow",
                "recorded_rows",
                "sa_solver",
                "score_rescaling",
                "tcd",
                "unipc",
            ],
            &["ancestral", "repaint", "singlestep"],
            &["mod"],
        ],
    ),
    ("src/training", &[&["request"], &["step"], &["mod"]]),
    (
        "src/loops",
        &[
            &["host_sampling", "tensors"],
            &["call"],
            &["asked", "source"],
            &["builder"],
            &["answers"],
            &["steps"],
            &["recorded"],
            &["attempts", "sampled"],
            &["adaptive"],
            &["mod"],
        ],
    ),
    (
        "src/run_file",
        &[
            &["error"],
            &["object", "workflow_error"],
            &["png_text", "read", "workflow_nodes"],
            &["workflow_model", "write"],
            &["workflow"],
            &["mod"],
        ],
    ),
    (
        "src/config",
        &[&["error"], &["options"], &["lists", "sine_squared"], &["common", "scheduler"], &["classes"], &["mod"]],
    ),
    (
        "src/config/classes",
        &[
            &["read"],
            &["flow"],
            &[
                "adams_bashforth",
                "consistency",
                "ddpm",
                "edm",
                "flow_families",
                "multistep",
                "score",
                "sigmas",
                "stochastic",
                "timesteps",
            ],
            &["mod"],
        ],
    ),
    (
        "src/gpu",
        &[
            &["storage"],
            &["compare", "error", "record_error", "shader", "tensor"],
            &["inputs", "pipeline"],
            &["warm_up"],
            &["context"],
            &["plan", "standalone_pass", "texture"],
            &[
                "adaptive",
                "counter",
                "differential_mask",
                "draw_timesteps",
                "guide",
                "latent_preview",
                "loss",
                "map",
                "pixels",
                "source_draw",
                "step",
                "vlb",
            ],
            &["guide_pyramid"],
            &["guide_finish"],
            &["mod"],
        ],
    ),
    ("src/gpu/loss", &[&["plan"], &["reference"], &["mod"]]),
    (
        "src/gpu/step",
        &[&["clean_stats", "history", "options"], &["inputs", "scales"], &["plan", "reference"], &["mod"]],
    ),
    ("src/gpu/vlb", &[&["inputs"], &["chain", "plan"], &["reference"], &["mod"]]),
    (
        "src/gpu/plan",
        &[
            &["ends", "role", "rows", "window"],
            &["entry"],
            &["keys", "words"],
            &["job"],
            &["check", "tables", "walk"],
            &["layout", "place"],
            &["plan"],
            &["fold_pass", "four_buffers"],
            &["builder"],
            &["reduce"],
            &["mod", "sums"],
        ],
    ),
    (
        "src/gpu/shader",
        &[
            &["codes", "slots", "template"],
            &["op"],
            &["params", "variant"],
            &["bindings", "fold"],
            &["access", "pixels", "standalone"],
            &["compose"],
            &["catalog"],
            &["every_shader", "mod"],
        ],
    ),
];

fn crate_sources() -> Vec<(String, String)> {
    sources::files_below(Path::new(env!("CARGO_MANIFEST_DIR")), "src")
}

#[test]
fn imports_run_down() {
    let modules = sources::read(&crate_sources());
    println!("{}", summary(&modules, FLOORS));
    let broken = violations(&modules, FLOORS);
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// A small library that keeps all rules.
const CLEAN: &[(&str, &str)] = &[
    ("src/lib.rs", "mod gpu; mod math; mod table; mod front; pub use front::Front; pub use gpu::Map;"),
    (
        "src/front.rs",
        "use crate::gpu::{map::Map, tensor::Tensor as Memory}; pub struct Front(Map, Memory, crate::math::level::Level);",
    ),
    ("src/table.rs", "pub struct Table;"),
    ("src/math/mod.rs", "mod level; pub use level::Level;"),
    ("src/math/level.rs", "use std::fmt::Debug; use crate::table::Table; pub struct Level(Table, Box<dyn Debug>);"),
    ("src/gpu/mod.rs", "pub(crate) mod map; mod tensor; pub use map::Map; pub use tensor::Tensor;"),
    ("src/gpu/tensor.rs", "/// See [`Map`](crate::gpu::map::Map).\npub(in crate::gpu) struct Tensor;"),
    ("src/gpu/map.rs", "use super::tensor::Tensor; pub struct Map(Tensor); #[cfg(test)] mod tests { use super::*; }"),
];

const SMALL_FLOORS: &[Floors] = &[
    ("src", &[&["table"], &["gpu", "math"], &["front"], &["lib"]]),
    ("src/gpu", &[&["tensor"], &["map"], &["mod"]]),
    ("src/math", &[&["level"], &["mod"]]),
];

/// The violations of the clean library with one file added, or put in place of the one of that name.
fn with_file(file: &str, text: &str) -> Vec<String> {
    let kept = CLEAN.iter().filter(|(name, _)| *name != file);
    violations_of(kept.copied().chain([(file, text)]))
}

fn violations_of<'a>(sources: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let sources: Vec<_> = sources.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    violations(&sources::read(&sources), SMALL_FLOORS)
}

/// Checks that a violation names the file, the import and the reason.
fn assert_broken(found: &[String], file: &str, import: &str, how: &str) {
    let is_it = |line: &String| line.starts_with(file) && line.contains(import) && line.contains(how);
    assert!(found.iter().any(is_it), "{file}: {import}: {how} is not in {found:#?}");
}

#[test]
fn a_clean_library_passes() {
    assert_eq!(with_file(CLEAN[0].0, CLEAN[0].1), [""; 0]);
}

#[test]
fn an_upward_import_fails() {
    let found = with_file("src/gpu/tensor.rs", "use super::map::Map; pub struct Tensor(Map);");
    assert_broken(&found, "src/gpu/tensor.rs", "super::map::Map", "map (floor 1) stands above it");
    let found =
        with_file("src/table.rs", "use crate::{math::{level::Level, level as other}}; pub struct Table(Level);");
    assert_broken(&found, "src/table.rs", "crate::math::level::Level", "math (floor 1) stands above it");
    assert_broken(&found, "src/table.rs", "crate::math::level", "runs up");
}

#[test]
fn a_module_that_imports_its_neighbour_fails() {
    let found = with_file("src/math/level.rs", "use crate::gpu::tensor::Tensor; pub struct Level(Tensor);");
    assert_broken(&found, "src/math/level.rs", "crate::gpu::tensor::Tensor", "gpu (floor 1) stands beside it");
}

#[test]
fn a_circle_fails() {
    let found = with_file("src/gpu/tensor.rs", "pub struct Tensor(super::map::Map);");
    let circle = "a circle: src/gpu/map.rs -> src/gpu/tensor.rs -> src/gpu/map.rs";
    assert!(found.iter().any(|line| line == circle), "{found:#?}");
}

#[test]
fn an_import_through_an_index_fails() {
    for path in ["crate::gpu::Tensor", "super::Tensor", "super::{self as up, Tensor}"] {
        let found = with_file("src/gpu/map.rs", &format!("use {path}; pub struct Map(Tensor);"));
        assert_broken(
            &found,
            "src/gpu/map.rs",
            "::Tensor",
            "through src/gpu/mod.rs, it is defined in src/gpu/tensor.rs",
        );
    }
    // A glob takes names from the index itself.
    let found = with_file("src/gpu/map.rs", "use super::*; pub struct Map(Tensor);");
    assert_broken(&found, "src/gpu/map.rs", "super", "mod (floor 2) stands above it");
    let found = with_file("src/math/level.rs", "pub struct Level(crate::Front);");
    assert_broken(&found, "src/math/level.rs", "crate::Front", "through src/lib.rs, it is defined in src/front.rs");
    let found = with_file("src/front.rs", "pub struct Front(crate::gpu::Map);");
    assert_broken(&found, "src/front.rs", "crate::gpu::Map", "through src/gpu/mod.rs, it is defined in src/gpu/map.rs");
    let private = "use super::map::Tensor; pub struct Deep(Tensor);";
    let found = with_file("src/gpu/deep.rs", private);
    assert_broken(&found, "src/gpu/deep.rs", "super::map::Tensor", "through src/gpu/map.rs");
}

#[test]
fn a_folder_without_floors_fails() {
    let found = with_file("src/gpu/deep/file.rs", "pub struct File;");
    assert!(found.iter().any(|line| line == "src/gpu/deep has no floors"), "{found:#?}");
}

#[test]
fn a_path_without_a_use_counts() {
    for text in [
        "pub struct Tensor; fn f() -> crate::gpu::map::Map { todo!() }",
        "pub struct Tensor; fn f() { let _ = crate::gpu::map::Map::new(); }",
        "pub struct Tensor; fn f() { println!(\"{}\", crate::gpu::map::Map); }",
        "pub struct Tensor; impl crate::gpu::map::Map {}",
        "#[error(\"{}\", crate::gpu::map::Map)] pub struct Tensor;",
        "pub struct Tensor; fn f() { use crate::gpu::map; map::Map; }",
    ] {
        let found = with_file("src/gpu/tensor.rs", text);
        assert_broken(&found, "src/gpu/tensor.rs", "crate::gpu::map", "runs up");
    }
}

#[test]
fn a_path_that_leads_nowhere_is_named() {
    let found = with_file("src/gpu/tensor.rs", "use crate::gpu::gone::Gone; pub struct Tensor;");
    assert_broken(&found, "src/gpu/tensor.rs", "crate::gpu::gone::Gone", "nothing is found");
}

#[test]
fn files_and_floors_belong_together() {
    let found = with_file("src/gpu/new.rs", "");
    assert_eq!(found, ["src/gpu/new has no floor"]);
    let found = violations_of(CLEAN.iter().copied().filter(|(name, _)| *name != "src/front.rs"));
    assert_eq!(found, ["src/front has a floor and no file"]);
}
