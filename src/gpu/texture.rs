//! Textures that kernels write, for a window to show.

use crate::gpu::error::PlanError;

/// A format that every device can write, and a window can show without conversion.
const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// Checks the usage, the format and the dimension of a texture, and that it is at least this large.
pub(crate) fn check_texture(view: &wgpu::TextureView, width: u32, height: u32) -> Result<(), PlanError> {
    let texture = view.texture();
    let refuse = |expected: String, found: String| Err(PlanError::Texture { expected, found });
    let usage = texture.usage();
    if !usage.contains(wgpu::TextureUsages::STORAGE_BINDING) {
        return refuse("usage STORAGE_BINDING".to_owned(), format!("{usage:?}"));
    }
    if texture.format() != FORMAT {
        return refuse(format!("format {FORMAT:?}"), format!("{:?}", texture.format()));
    }
    if texture.dimension() != wgpu::TextureDimension::D2 {
        return refuse("a texture of two dimensions".to_owned(), format!("{:?}", texture.dimension()));
    }
    if texture.width() < width || texture.height() < height {
        let found = format!("{} x {}", texture.width(), texture.height());
        return refuse(format!("at least {width} x {height} texels"), found);
    }
    Ok(())
}

/// The entry of such a texture in a bind group layout.
pub(crate) fn texture_entry(binding: u32) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::WriteOnly,
            format: FORMAT,
            view_dimension: wgpu::TextureViewDimension::D2,
        },
        count: None,
    }
}
