//! The entries of a dispatch's bind group, kept so that the group can be made again for other tensors.

use crate::gpu::plan::role::Role;
use std::num::NonZero;
use wgpu::{BindingResource, BufferBinding};

/// A part of a buffer that is to be bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub buffer: &'a wgpu::Buffer,
    pub offset: u64,
    pub size: u64,
    /// The role of the caller's memory that it is part of; `None` for the plan's own.
    pub role: Option<Role>,
}

impl<'a> Part<'a> {
    /// A part of a buffer of the plan's own.
    pub fn own(buffer: &'a wgpu::Buffer, offset: u64, size: u64) -> Self {
        Self { buffer, offset, size, role: None }
    }

    /// A whole buffer of the plan's own.
    pub fn whole(buffer: &'a wgpu::Buffer) -> Self {
        Self::own(buffer, 0, buffer.size())
    }

    /// Its binding resource.
    pub fn resource(self) -> BindingResource<'a> {
        let (buffer, offset, size) = (self.buffer, self.offset, NonZero::new(self.size));
        BindingResource::Buffer(BufferBinding { buffer, offset, size })
    }

    /// Its entry at a binding number.
    pub fn entry(self, binding: u32) -> Entry {
        let source = match self.role {
            Some(role) => Source::Place(role),
            None => Source::Own(self.buffer.clone()),
        };
        Entry { binding, source, offset: self.offset, size: self.size }
    }
}

/// An entry of a bind group.
#[derive(Debug)]
pub(crate) struct Entry {
    binding: u32,
    source: Source,
    /// Bytes before it in the buffer that the plan was made with.
    offset: u64,
    size: u64,
}

/// The buffer of an entry. Buffers of the caller are not kept here, so that a moved plan does not keep the old ones alive.
#[derive(Debug)]
enum Source {
    Own(wgpu::Buffer),
    Place(Role),
}

impl Entry {
    /// The binding number and the resource. `place` gives the current buffer of a role, and the offset of its memory when the
    /// plan was made and its current offset.
    pub fn bound<'a>(
        &'a self,
        place: impl Fn(Role) -> Option<(&'a wgpu::Buffer, [u64; 2])>,
    ) -> Option<(u32, BindingResource<'a>)> {
        let part = match &self.source {
            Source::Own(buffer) => Part::own(buffer, self.offset, self.size),
            Source::Place(role) => {
                let (buffer, [origin, now]) = place(*role)?;
                // An entry may begin before its tensor, at an aligned byte.
                Part::own(buffer, (self.offset + now).saturating_sub(origin), self.size)
            }
        };
        Some((self.binding, part.resource()))
    }

    /// The same entry with a fixed buffer: that of a role is the one that the plan was made with.
    pub fn fixed<'a>(&self, place: impl Fn(Role) -> Option<&'a wgpu::Buffer>) -> Option<Self> {
        let buffer = match &self.source {
            Source::Own(buffer) => buffer,
            Source::Place(role) => place(*role)?,
        };
        let (binding, source) = (self.binding, Source::Own(buffer.clone()));
        Some(Self { binding, source, offset: self.offset, size: self.size })
    }
}
