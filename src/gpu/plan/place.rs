//! The places of a plan's tensors: the buffers in its bind groups, and the check of tensors that replace them.
//!
//! A plan depends on the storage, stride and alignment of its tensors, and on which of them share a buffer. Tensors that agree in
//! these need new bind groups and nothing else.

use crate::gpu::error::PlanError;
use crate::gpu::plan::check::check_tensor;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::role::{ROLES, Role};
use crate::gpu::plan::words::WordRange;
use crate::gpu::storage::Storage;
use crate::gpu::tensor::{Shape, Tensor};

/// The place of a tensor, or of words, in the caller's memory.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    buffer: wgpu::Buffer,
    offset: u64,
    /// The offset that the plan was made with, to which the offsets of its entries belong.
    origin: u64,
    name: &'static str,
    kind: Kind,
    writes: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Tensor { storage: Storage, stride: u32, shape: Shape },
    Words { count: u64 },
}

/// The places of a plan, by their roles.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    places: Box<[Option<Place>; ROLES]>,
}

impl Places {
    /// The places of a plan that has only these words, which a dispatch writes.
    pub fn of_results(name: &'static str, words: &WordRange<'_>) -> Self {
        let mut places = Self { places: Default::default() };
        places.add_results(name, words);
        places
    }

    /// The places of a job's tensors, and of the words that it reads for each sample.
    pub fn new(job: &Job<'_>) -> Self {
        let mut places = Self { places: Default::default() };
        for (slot, tensor) in job.tensors() {
            let (shape, stride) = (job.shape_of(slot), tensor.stride_in(job.shape) as u32);
            let kind = Kind::Tensor { storage: tensor.storage, stride, shape };
            let writes = !job.op.slots()[slot].is_input();
            places.add(slot, job.name(slot), (tensor.buffer, tensor.offset), kind, writes);
        }
        job.sample_words().for_each(|words| places.add_read(words.name, &words.of_batch(job.shape.batch)));
        job.scaler.iter().for_each(|words| places.add_results("scale", words));
        places
    }

    /// Adds words that the plan writes.
    pub fn add_results(&mut self, name: &'static str, words: &WordRange<'_>) {
        if let Some(role) = words.role {
            self.add(role, name, (words.buffer, words.offset), Kind::Words { count: words.count }, true);
        }
    }

    /// Adds words that the plan reads.
    pub fn add_read(&mut self, name: &'static str, words: &WordRange<'_>) {
        if let Some(role) = words.role {
            self.add(role, name, (words.buffer, words.offset), Kind::Words { count: words.count }, false);
        }
    }

    fn add(&mut self, role: Role, name: &'static str, at: (&wgpu::Buffer, u64), kind: Kind, writes: bool) {
        let (buffer, offset) = (at.0.clone(), at.1);
        self.places[role] = Some(Place { buffer, offset, origin: offset, name, kind, writes });
    }

    /// The current buffer of a role, and the offset of its memory when the plan was made and its current offset.
    pub fn at(&self, role: Role) -> Option<(&wgpu::Buffer, [u64; 2])> {
        self.get(role).map(|place| (&place.buffer, [place.origin, place.offset]))
    }

    fn get(&self, role: Role) -> Option<&Place> {
        self.places[role].as_ref()
    }

    /// The places with these tensors instead, which must be laid out as the tensors before; `alignment` is that of bindings.
    pub fn moved(&self, tensors: &[(&str, Tensor<'_>)], alignment: u64) -> Result<Self, PlanError> {
        let mut moved = self.clone();
        let mut given = [false; ROLES];
        for (name, tensor) in tensors {
            let role = self.role(name)?;
            let Some(place) = &mut moved.places[role] else { continue };
            place.check(tensor, alignment)?;
            place.buffer = tensor.buffer.clone();
            place.offset = tensor.offset;
            given[role] = true;
        }
        moved.check_sharing(self, &given)?;
        Ok(moved)
    }

    /// The names of all roles.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.places.iter().flatten().map(|place| place.name)
    }

    fn role(&self, name: &str) -> Result<Role, PlanError> {
        let is_named = |place: &Option<Place>| place.as_ref().is_some_and(|place| place.name == name);
        self.places.iter().position(is_named).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            PlanError::Role { expected: names.join(", "), found: name.to_owned() }
        })
    }

    /// Checks that places share buffers exactly where they did before, which decides whether bindings are writable.
    fn check_sharing(&self, before: &Self, given: &[bool; ROLES]) -> Result<(), PlanError> {
        for first in (0..ROLES).filter(|&role| given[role]) {
            for second in (0..ROLES).filter(|&second| second != first) {
                let old = before.pair(first, second);
                if let (Some(old), Some(new)) = (old, self.pair(first, second)) {
                    check_pair(old, new)?;
                }
            }
        }
        Ok(())
    }

    fn pair(&self, first: Role, second: Role) -> Option<(&Place, &Place)> {
        self.get(first).zip(self.get(second))
    }
}

/// Checks two places against the two before. Two that are only read may lie anywhere.
fn check_pair(old: (&Place, &Place), (first, second): (&Place, &Place)) -> Result<(), PlanError> {
    if !first.writes && !second.writes {
        return Ok(());
    }
    let (shared, shares) = (old.0.buffer == old.1.buffer, first.buffer == second.buffer);
    let differs = |expected: &str, found: &str| {
        let text = |place: &str| format!("{place} {}", second.name);
        Err(first.differs("place", text(expected), text(found)))
    };
    match (shared, shares) {
        (false, false) => Ok(()),
        (true, false) => differs("in the buffer of", "another buffer than that of"),
        (false, true) => differs("in another buffer than", "the buffer of"),
        (true, true) if old.0.same(old.1) => {
            if first.same(second) {
                Ok(())
            } else {
                differs("the very same elements as", "other elements than")
            }
        }
        (true, true) if first.overlaps(second) => Err(PlanError::Overlap { output: first.name, other: second.name }),
        (true, true) => Ok(()),
    }
}

impl Place {
    /// Checks that a tensor is laid out as the one at this place.
    fn check(&self, found: &Tensor<'_>, alignment: u64) -> Result<(), PlanError> {
        match self.kind {
            Kind::Tensor { storage, stride, shape } => {
                let found_stride = found.stride_in(shape);
                self.check_same("storage", storage, found.storage)?;
                self.check_same("stride", u64::from(stride), found_stride)?;
                check_tensor(self.name, found, shape, !self.writes)?;
            }
            Kind::Words { count } => {
                self.check_same("storage", Storage::F32, found.storage)?;
                self.check_same("stride", 1, found.stride.unwrap_or(1))?;
                WordRange { buffer: found.buffer, offset: found.offset, count, role: None }.check(self.name)?;
            }
        }
        let rest = |offset: u64| format!("{} bytes beyond a multiple of {alignment}", offset % alignment);
        if self.offset % alignment == found.offset % alignment {
            Ok(())
        } else {
            Err(self.differs("offset", rest(self.offset), rest(found.offset)))
        }
    }

    fn check_same<T: PartialEq + ToString>(&self, what: &'static str, expected: T, found: T) -> Result<(), PlanError> {
        if expected == found { Ok(()) } else { Err(self.differs(what, expected.to_string(), found.to_string())) }
    }

    fn differs(&self, what: &'static str, expected: String, found: String) -> PlanError {
        PlanError::Moved { tensor: self.name, what, expected, found }
    }

    /// The tensor of this place; `None` for words.
    fn tensor(&self) -> Option<Tensor<'_>> {
        match self.kind {
            Kind::Tensor { storage, stride, .. } => {
                Some(Tensor { buffer: &self.buffer, storage, offset: self.offset, stride: Some(stride) })
            }
            Kind::Words { .. } => None,
        }
    }

    /// The bytes that it touches, in whole words.
    fn bytes(&self) -> std::ops::Range<u64> {
        match (self.kind, self.tensor()) {
            (Kind::Tensor { shape, .. }, Some(tensor)) => tensor.bytes(shape),
            (Kind::Words { count }, _) => self.offset..self.offset + 4 * count,
            (Kind::Tensor { .. }, None) => 0..0,
        }
    }

    /// Returns `true` if both are the very same elements of a tensor in one buffer.
    fn same(&self, other: &Self) -> bool {
        match (self.kind, other.kind) {
            (
                Kind::Tensor { storage, stride, shape },
                Kind::Tensor { storage: other_storage, stride: other_stride, shape: other_shape },
            ) => (storage, stride, shape, self.offset) == (other_storage, other_stride, other_shape, other.offset),
            _ => false,
        }
    }

    /// Returns `true` if any word belongs to both, which lie in one buffer.
    fn overlaps(&self, other: &Self) -> bool {
        if let (Kind::Tensor { shape, .. }, Kind::Tensor { shape: other_shape, .. }) = (self.kind, other.kind)
            && let (Some(tensor), Some(other)) = (self.tensor(), other.tensor())
            && shape == other_shape
        {
            return tensor.overlaps(&other, shape);
        }
        let (a, b) = (self.bytes(), other.bytes());
        a.start < b.end && b.start < a.end
    }
}
