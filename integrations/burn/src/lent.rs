//! A Burn tensor as tweedie sees it.

use crate::Error;
use burn::backend::Wgpu;
use burn::tensor::{DType, Device, Int, Tensor};
use burn_cubecl::cubecl::wgpu::{AutoCompiler, WgpuResource, WgpuServer};
use burn_cubecl::tensor::CubeTensor;
use tweedie::{Shape, Storage, wgpu};

/// The memory of a Burn tensor, held until this is dropped: keep it until the work that reads or writes the tensor is submitted.
///
/// Making one lets Burn record and submit everything that the tensor depends on, so that it is computed before whatever is
/// submitted to the same queue afterwards. There is no copy, unless the tensor is not contiguous, such as a transposed one, which
/// Burn copies first.
#[derive(Debug)]
pub struct Lent {
    /// Keeps the memory from being handed out again, or moved.
    _held: Box<dyn std::fmt::Debug + Send>,
    buffer: wgpu::Buffer,
    offset: u64,
    storage: Storage,
    shape: Shape,
}

/// The purpose of a loan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To be read: a copy is allowed.
    Read,
    /// To be written: in place, or not at all.
    Written,
}

impl Lent {
    /// The tensor for plans of tweedie. The batch is its first dimension, whatever the others are.
    #[must_use]
    pub const fn tensor(&self) -> tweedie::Tensor<'_> {
        tweedie::Tensor::new(&self.buffer, self.storage).at(self.offset)
    }

    /// The number of samples, and of the elements of each.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The buffer, which may hold other tensors too.
    #[must_use]
    pub const fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    /// The bytes of the buffer before the tensor.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Lends a tensor of floats.
    pub(crate) fn float<const D: usize>(
        role: &'static str,
        on: &Device,
        tensor: &Tensor<D>,
        access: Access,
    ) -> Result<Self, Error> {
        let storage = match tensor.dtype() {
            DType::F32 => Storage::F32,
            DType::F16 => Storage::F16,
            DType::BF16 => Storage::Bf16,
            found => return Err(Error::Elements { tensor: role, expected: "f32, f16 or bf16", found }),
        };
        let tensor = tensor.clone().without_autodiff();
        check_device(role, on, &tensor.device())?;
        let dims = tensor.dims();
        let primitive = tensor.try_into_primitive::<Wgpu>().map_err(|error| backend(role, format!("{error:?}")))?;
        #[cfg(feature = "fusion")]
        let primitive = primitive.client.clone().resolve_tensor_float::<burn_cubecl::CubeBackend>(primitive);
        Self::of(role, primitive, storage, &dims, access)
    }

    /// Lends 32-bit integers: timesteps.
    pub(crate) fn words(
        role: &'static str,
        on: &Device,
        tensor: &Tensor<1, Int>,
        access: Access,
    ) -> Result<Self, Error> {
        if let found @ (DType::I64 | DType::I16 | DType::I8 | DType::U64 | DType::U16 | DType::U8) = tensor.dtype() {
            return Err(Error::Elements { tensor: role, expected: "i32 or u32", found });
        }
        let tensor = tensor.clone().without_autodiff();
        check_device(role, on, &tensor.device())?;
        let dims = tensor.dims();
        let primitive = tensor.try_into_primitive::<Wgpu>().map_err(|error| backend(role, format!("{error:?}")))?;
        #[cfg(feature = "fusion")]
        let primitive = primitive.client.clone().resolve_tensor_int::<burn_cubecl::CubeBackend>(primitive);
        Self::of(role, primitive, Storage::F32, &dims, access)
    }

    fn of(
        role: &'static str,
        tensor: CubeTensor,
        storage: Storage,
        dims: &[usize],
        access: Access,
    ) -> Result<Self, Error> {
        let shape = shape_of(role, dims)?;
        if access == Access::Written && !tensor.is_contiguous() {
            return Err(Error::Gaps { tensor: role });
        }
        let tensor = burn_cubecl::kernel::into_contiguous(tensor);
        let held = tensor.client.get_resource::<WgpuServer<AutoCompiler>>(tensor.handle.clone());
        let held = held.map_err(|error| Error::Server { tensor: role, reason: error.to_string() })?;
        let WgpuResource { buffer, offset, .. } = held.resource().clone();
        Ok(Self { _held: Box::new((held, tensor)), buffer, offset, storage, shape })
    }
}

fn backend(tensor: &'static str, found: String) -> Error {
    Error::Backend { tensor, found }
}

fn check_device(tensor: &'static str, expected: &Device, found: &Device) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Device { tensor, expected: format!("{expected:?}"), found: format!("{found:?}") })
}

/// The first dimension, and the product of the others.
pub(crate) fn shape_of(tensor: &'static str, dims: &[usize]) -> Result<Shape, Error> {
    let count = |dims: &[usize]| {
        let count = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim))?;
        u32::try_from(count).ok().filter(|&count| count > 0)
    };
    let split = dims.split_at_checked(1).and_then(|(batch, rest)| Some(Shape::new(count(batch)?, count(rest)?)));
    split.ok_or_else(|| Error::Extent { tensor, found: dims.to_vec() })
}
