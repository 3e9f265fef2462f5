//! The shaders of the ops, as wgpu's Vulkan backend hands them to a driver.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use naga::ShaderStage;
use naga::back::{pipeline_constants, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use spv::ZeroInitializeWorkgroupMemoryMode as Clear;
use std::path::{Path, PathBuf};
use std::{env, fs};
use tweedie::gpu::{Context, Drawn, NoiseKey, Plan};
use tweedie::{Shape, Storage};
use tweedie_bench::ops::{self, OPS, Op};
use tweedie_bench::set::Set;

/// Shapes for which the library takes each of its walks; losses have walks of their own.
pub const SHAPES: [(&str, Shape); 5] = [
    ("lanes", Shape::new(4, 16_384)), // whole lanes, long samples: the usual case
    ("short", Shape::new(64, 256)),   // whole lanes, several samples to a workgroup
    ("flat", Shape::new(4, 4099)),    // no gaps, any size; losses: loose chunks
    ("pairs", Shape::new(1024, 2)),   // samples of two elements
    ("words", Shape::new(3, 4099)),   // the rest
];

/// The op that draws noise alone, which is a constructor of a plan and not in the bench's list.
const FILL: &str = "fill";

/// Lines of shaders that lead to branches which the bench never takes, and lines that replace them and never lead there: the terms of
/// a bound at its first timestep, and numbers that 16 bits hold as subnormal ones, as infinity or as NaN.
const COLD: [[&str; 2]; 3] = [
    ["return row.term == f32(term);", "return false;"],
    ["if (max(range.x, range.y) >= RANGE_f16) {", "if (false) {"],
    ["if (max(magnitude.x, magnitude.y) > 0xff000000u) {", "if (false) {"],
];

/// The folder into which composed shaders are written; see `tweedie::guide`.
const DUMP: &str = "TWEEDIE_DUMP_WGSL";

/// The folder of shaders without the branches that the bench never takes: their instructions are counted instead of those of the
/// whole shaders.
pub const HOT: &str = "hot";

/// Writes the shaders of every op, storage and walk into a folder, as `OP.STORAGE.WALK@N.spv`, where `N` are the bindings at dynamic
/// offsets; if a plan has several kernels, their names have the entry point too. With `native` they are those of a device with
/// 64-bit integers and 16-bit numbers.
pub fn write_all(folder: &Path, native: bool) -> Result<()> {
    let dump = PathBuf::from(env::var_os(DUMP).with_context(|| format!("{DUMP} names no folder"))?);
    fs::create_dir_all(folder.join(HOT))?;
    let device = device(native);
    let schedule = ops::schedule()?;
    for storage in Storage::ALL {
        for (walk, shape) in SHAPES {
            for op in &OPS {
                empty(&dump)?;
                let set = Set::empty(&device, op, shape, storage);
                drop(op.plan(&schedule, &Context::new(&device), &set)?);
                take(&dump, folder, &format!("{}.{storage}.{walk}", op.name), "1", shape)?;
            }
            empty(&dump)?;
            let set = Set::empty(&device, Op::named("noise").map_err(anyhow::Error::msg)?, shape, storage);
            let noise = Drawn::new(NoiseKey::seed(1));
            drop(Plan::fill(&Context::new(&device), shape, noise, set.output(0))?);
            take(&dump, folder, &format!("{FILL}.{storage}.{walk}"), "1,2", shape)?;
        }
    }
    Ok(())
}

/// A device that runs nothing, with an adapter's own limits.
fn device(native: bool) -> wgpu::Device {
    let numbers = wgpu::Features::SHADER_INT64 | wgpu::Features::SHADER_F16;
    let required_features = if native { numbers } else { wgpu::Features::empty() };
    let required_limits = wgpu::Limits {
        max_uniform_buffer_binding_size: 65_536,
        max_storage_buffers_per_shader_stage: 16,
        ..wgpu::Limits::default()
    };
    let descriptor = wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
    wgpu::Device::noop(&descriptor).0
}

fn empty(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for file in fs::read_dir(folder)? {
        fs::remove_file(file?.path())?;
    }
    Ok(())
}

/// Compiles the shaders that a plan has left.
fn take(dump: &Path, folder: &Path, name: &str, dynamic: &str, shape: Shape) -> Result<()> {
    let mut found: Vec<PathBuf> = fs::read_dir(dump)?.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    found.sort();
    ensure!(!found.is_empty(), "{name}: no shader was composed");
    let alone = found.len() == 1;
    for path in found {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let entry = stem.rsplit_once('_').map_or("", |(entry, _)| entry);
        let file = if alone { format!("{name}@{dynamic}.spv") } else { format!("{name}.{entry}@{dynamic}.spv") };
        let text = fs::read_to_string(&path)?;
        fs::write(folder.join(&file), spirv(&text, shape).with_context(|| name.to_owned())?)?;
        let hot = COLD.iter().fold(text.clone(), |text, [cold, never]| text.replace(cold, never));
        if hot != text {
            fs::write(folder.join(HOT).join(&file), spirv(&hot, shape).with_context(|| name.to_owned())?)?;
        }
    }
    Ok(())
}

/// The SPIR-V for a driver with robustBufferAccess2: naga adds no checks for buffers, but all others.
fn spirv(text: &str, shape: Shape) -> Result<Vec<u8>> {
    let module = naga::front::wgsl::parse_str(text).map_err(|error| anyhow!("{}", error.emit_to_string(text)))?;
    let capabilities =
        Capabilities::SHADER_INT64 | Capabilities::SHADER_FLOAT16_IN_FLOAT32 | Capabilities::SHADER_FLOAT16;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .map_err(|error| anyhow!("{}", error.emit_to_string(text)))?;
    let Some(entry) = module.entry_points.first().map(|entry| entry.name.clone()) else { bail!("no entry point") };
    let chosen = module.overrides.iter().filter_map(|(_, constant)| constant.name.clone());
    let constants = chosen.map(|name| Ok((name.clone(), constant(&name, shape)?))).collect::<Result<_>>()?;
    let stage = Some((ShaderStage::Compute, &*entry));
    let (module, info) = pipeline_constants::process_overrides(&module, &info, stage, &constants)?;
    // The kernels of reductions write workgroup memory before they read it.
    let clears = !["chunks", "pairs"].contains(&&*entry) && !entry.starts_with("fold");
    let (checked, unchecked) = (BoundsCheckPolicy::Restrict, BoundsCheckPolicy::Unchecked);
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
        fake_missing_bindings: false,
        bounds_check_policies: BoundsCheckPolicies {
            index: checked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        zero_initialize_workgroup_memory: if clears { Clear::Native } else { Clear::None },
        force_loop_bounding: true,
        emit_int_div_checks: true,
        binding_map: module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| variable.binding)
            .map(|it| {
                (it, spv::BindingInfo { descriptor_set: it.group, binding: it.binding, binding_array_size: None })
            })
            .collect(),
        ..Default::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry };
    let words = spv::write_vec(&module, &info, &options, Some(&pipeline))?;
    Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

/// The pipeline constant that the library takes for samples of this size where the dispatch is large.
fn constant(name: &str, shape: Shape) -> Result<f64> {
    let lanes = shape.elements / 4;
    let across = lanes.next_power_of_two().min(256);
    let value = match name {
        "tile_x" => across,
        "tile_y" => 256 / across,
        "lanes_each" => u32::from(lanes >= 1024) * 3 + 1,
        "one_sample" => u32::from(shape.elements > 2048),
        "rows_each" => 1,
        "whole_tiles" => u32::from(lanes.is_multiple_of(1024)),
        "of_two" => u32::from(shape.elements == 2),
        _ => bail!("no value for the pipeline constant {name}"),
    };
    Ok(f64::from(value))
}
