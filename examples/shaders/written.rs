//! A shader in the languages that drivers take, with the options that wgpu 30's backends write it with.
//!
//! Where wgpu's choice depends on the device, the one with the most work for compilers is taken: every index is checked, and
//! uniform blocks are bound as if at dynamic offsets.

use naga::back::{hlsl, msl, pipeline_constants, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ResourceBinding, ShaderStage, StorageAccess};
use std::collections::BTreeMap;
use tweedie::gpu::ComposedShader;

/// A shader in every language.
pub struct Written {
    /// The size of its workgroups.
    pub workgroup: [u32; 3],
    /// The name of its entry point in HLSL.
    pub hlsl_entry_point: String,
    /// Its text or words by language.
    pub languages: Vec<(Language, Vec<u8>)>,
}

/// The folder for the files of one language, and their extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language {
    pub folder: &'static str,
    pub extension: &'static str,
}

const fn language(folder: &'static str, extension: &'static str) -> Language {
    Language { folder, extension }
}

/// For Vulkan: the oldest version that wgpu accepts, and the newest that it knows.
const SPIRV: [(Language, (u8, u8)); 2] =
    [(language("spirv_1_0", "spv"), (1, 0)), (language("spirv_1_6", "spv"), (1, 6))];
/// For Metal: the version of macOS 10.13 and later.
const METAL: (Language, (u8, u8)) = (language("metal_2_0", "metal"), (2, 0));
/// For D3D12: FXC compiles shader model 5.1, which has neither 64-bit integers nor 16-bit numbers, and DXC
/// those from 6.0 on.
const HLSL: [(Language, hlsl::ShaderModel); 2] =
    [(language("hlsl_5_1", "hlsl"), hlsl::ShaderModel::V5_1), (language("hlsl_6_2", "hlsl"), hlsl::ShaderModel::V6_2)];

/// The capabilities that a shader needs beyond naga's core. f16 tensors need `pack2x16float` and `unpack2x16float`, which WebGPU
/// guarantees and which need no native f16; in wgpu they are the downlevel flag `SHADER_F16_IN_F32`. Native f16 and 64-bit integers
/// are allowed only where the shader declares them.
fn capabilities(shader: &ComposedShader) -> Capabilities {
    let f16 = match (shader.f16, shader.text.contains("pack_lane_f16")) {
        (true, _) => Capabilities::SHADER_FLOAT16,
        (false, true) => Capabilities::SHADER_FLOAT16_IN_FLOAT32,
        (false, false) => Capabilities::empty(),
    };
    let int64 = if shader.int64 { Capabilities::SHADER_INT64 } else { Capabilities::empty() };
    f16 | int64
}

/// Reads WGSL and validates it as plain WebGPU with these capabilities.
pub fn validate(shader: &ComposedShader) -> Result<(Module, ModuleInfo), String> {
    let text = &shader.text;
    let module = naga::front::wgsl::parse_str(text).map_err(|error| error.emit_to_string(text))?;
    let mut validator = Validator::new(ValidationFlags::all(), capabilities(shader));
    let info = validator.validate(&module).map_err(|error| error.emit_to_string(text))?;
    Ok((module, info))
}

/// Writes the only entry point, with these values for the overrides that the shader has.
pub fn write(
    module: &Module,
    info: &ModuleInfo,
    overrides: &[(&str, f64)],
    &ComposedShader { clears_workgroup_memory, int64, f16, .. }: &ComposedShader,
) -> Result<Written, String> {
    let [entry] = &module.entry_points[..] else {
        return Err(format!("expected one entry point, found {}", module.entry_points.len()));
    };
    let entry = entry.name.clone();
    // Naming an override that a shader lacks is an error, as it is in wgpu.
    let has = |name: &str| module.overrides.iter().any(|(_, found)| found.name.as_deref() == Some(name));
    let constants =
        overrides.iter().filter(|(name, _)| has(name)).map(|&(name, value)| (name.to_owned(), value)).collect();
    let stage = Some((ShaderStage::Compute, &*entry));
    let (module, info) = pipeline_constants::process_overrides(module, info, stage, &constants)
        .map_err(|error| format!("overrides: {error}"))?;
    let shader = Shader { module: &module, info: &info, entry, clears: clears_workgroup_memory };

    let mut languages = Vec::new();
    for (language, version) in SPIRV {
        let words = shader.spirv(version)?;
        languages.push((language, words.into_iter().flat_map(u32::to_le_bytes).collect()));
    }
    let (language, version) = METAL;
    languages.push((language, shader.metal(version)?.into_bytes()));
    let mut hlsl_entry_point = String::new();
    let needs_dxc = int64 || f16;
    for (language, model) in HLSL.into_iter().filter(|(_, model)| !needs_dxc || *model >= hlsl::ShaderModel::V6_0) {
        let (text, name) = shader.hlsl(model)?;
        languages.push((language, text.into_bytes()));
        hlsl_entry_point = name;
    }
    if let Some((language, _)) = languages.iter().find(|(_, bytes)| bytes.is_empty()) {
        return Err(format!("{}: nothing was written", language.folder));
    }
    Ok(Written { workgroup: module.entry_points[0].workgroup_size, hlsl_entry_point, languages })
}

/// The input of the writers of all languages.
struct Shader<'a> {
    module: &'a Module,
    info: &'a ModuleInfo,
    entry: String,
    /// True if workgroup memory is zeroed first.
    clears: bool,
}

/// The checks that wgpu adds where the device makes none.
const CHECKED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Restrict,
    buffer: BoundsCheckPolicy::Restrict,
    image_load: BoundsCheckPolicy::Restrict,
    binding_array: BoundsCheckPolicy::Unchecked,
};

impl Shader<'_> {
    fn spirv(&self, version: (u8, u8)) -> Result<Vec<u32>, String> {
        use spv::ZeroInitializeWorkgroupMemoryMode as Clear;
        let options = spv::Options {
            lang_version: version,
            flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
            fake_missing_bindings: false,
            binding_map: bindings(self.module)
                .map(|(binding, _)| {
                    let info = spv::BindingInfo {
                        descriptor_set: binding.group,
                        binding: binding.binding,
                        binding_array_size: None,
                    };
                    (binding, info)
                })
                .collect(),
            bounds_check_policies: CHECKED,
            zero_initialize_workgroup_memory: if self.clears { Clear::Polyfill } else { Clear::None },
            ..Default::default()
        };
        let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: self.entry.clone() };
        spv::write_vec(self.module, self.info, &options, Some(&pipeline)).map_err(|error| format!("SPIR-V: {error}"))
    }

    fn metal(&self, version: (u8, u8)) -> Result<String, String> {
        let mut resources = msl::EntryPointResources::default();
        for ((binding, space), slot) in bindings(self.module).zip(0..) {
            let mutable = Register::of(space) == Register::Unordered;
            let is_texture = space == AddressSpace::Handle;
            let slots = if is_texture { (None, Some(0)) } else { (Some(slot), None) };
            let target = msl::BindTarget { buffer: slots.0, texture: slots.1, mutable, ..Default::default() };
            resources.resources.insert(binding, target);
        }
        resources.sizes_buffer = Some(resources.resources.len() as u8);
        let options = msl::Options {
            lang_version: version,
            per_entry_point_map: [(self.entry.clone(), resources)].into(),
            fake_missing_bindings: false,
            bounds_check_policies: CHECKED,
            zero_initialize_workgroup_memory: self.clears,
            ..Default::default()
        };
        let pipeline = msl::PipelineOptions {
            entry_point: Some((ShaderStage::Compute, self.entry.clone())),
            vertex_pulling_transform: true,
            ..Default::default()
        };
        let (text, written) =
            msl::write_string(self.module, self.info, &options, &pipeline).map_err(|error| format!("MSL: {error}"))?;
        only(written.entry_point_names).map_err(|error| format!("MSL: {error}"))?;
        Ok(text)
    }

    fn hlsl(&self, model: hlsl::ShaderModel) -> Result<(String, String), String> {
        let mut registers = BTreeMap::new();
        let binding_map = bindings(self.module)
            .map(|(binding, space)| {
                let kind = Register::of(space);
                let register = registers.entry(kind).or_insert(0);
                let restrict_indexing = kind == Register::Constant;
                let target = hlsl::BindTarget { register: *register, restrict_indexing, ..Default::default() };
                *register += 1;
                (binding, target)
            })
            .collect();
        let options = hlsl::Options {
            shader_model: model,
            binding_map,
            fake_missing_bindings: false,
            zero_initialize_workgroup_memory: self.clears,
            ..Default::default()
        };
        let pipeline = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, self.entry.clone())) };
        let mut text = String::new();
        let written = hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(self.module, self.info, None)
            .map_err(|error| format!("HLSL: {error}"))?;
        let name = only(written.entry_point_names).map_err(|error| format!("HLSL: {error}"))?;
        Ok((text, name))
    }
}

/// The name of the only entry point in another language.
fn only<E: std::fmt::Display>(mut names: Vec<Result<String, E>>) -> Result<String, String> {
    match (names.pop(), names.len()) {
        (Some(name), 0) => name.map_err(|error| error.to_string()),
        (_, others) => Err(format!("expected one entry point, found {others} and the last")),
    }
}

/// D3D12's registers: constant buffers, read-only and unordered views.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Register {
    Constant,
    Read,
    Unordered,
}

impl Register {
    fn of(space: AddressSpace) -> Self {
        match space {
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Register::Unordered,
            AddressSpace::Storage { .. } => Register::Read,
            // Kernels write textures and read none.
            AddressSpace::Handle => Register::Unordered,
            _ => Register::Constant,
        }
    }
}

/// The bindings in the order of their numbers, and their address spaces.
fn bindings(module: &Module) -> impl Iterator<Item = (ResourceBinding, AddressSpace)> {
    let bound = module.global_variables.iter();
    let sorted: BTreeMap<_, _> = bound.filter_map(|(_, found)| Some((found.binding?, found.space))).collect();
    sorted.into_iter()
}
