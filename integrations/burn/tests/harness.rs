//! The devices that tests run on, and their data.

use burn::tensor::wgpu::WgpuSetup;
use burn::tensor::{DType, Device, Int, Tensor, TensorCreationOptions, TensorData};
use std::sync::{Arc, Mutex};
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::{Storage, wgpu};
use tweedie_burn::Bridge;

pub struct Harness {
    pub adapter: String,
    /// A bridge on a device that Burn made, and one on a device that the application made.
    pub bridges: [(&'static str, Bridge); 2],
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Harness {
    pub fn open() -> Result<Self, String> {
        let own = Device::wgpu_options().init_with_setup().map_err(|error| error.to_string())?;
        let complaints = Arc::default();
        let own = bridge(own, &complaints);
        let host = bridge(pollster::block_on(host())?, &complaints);
        let adapter = tweedie::headless::Gpu::describe(&host.context().device().adapter_info());
        Ok(Self { adapter, bridges: [("Burn's device", own), ("the application's device", host)], complaints })
    }

    /// Opens one more device of the application's own.
    pub fn another(&self) -> Bridge {
        bridge(pollster::block_on(host()).expect("one more device"), &self.complaints)
    }

    /// Fails if wgpu has reported a validation error.
    pub fn check(&self) {
        let complaints = std::mem::take(&mut *self.complaints.lock().expect("complaints"));
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

/// Makes a bridge, and then sets the error callback: Burn replaces the device's callbacks.
fn bridge((device, setup): (Device, WgpuSetup), complaints: &Arc<Mutex<Vec<String>>>) -> Bridge {
    let complaints = Arc::clone(complaints);
    setup.device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        complaints.lock().expect("complaints").push(error.to_string());
    }));
    Bridge::new(&device, &setup)
}

/// An application's device, given to Burn.
async fn host() -> Result<(Device, WgpuSetup), String> {
    let instance = wgpu::Instance::default();
    let options = wgpu::RequestAdapterOptions::default();
    let adapter = instance.request_adapter(&options).await.map_err(|error| error.to_string())?;
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("the application's"),
        // Burn looks at the features of the adapter.
        required_features: adapter.features() - wgpu::Features::all_experimental_mask(),
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| error.to_string())?;
    let backend = adapter.get_info().backend;
    let setup = WgpuSetup { instance, adapter, device, queue, backend };
    let device = Device::wgpu_options().setup(setup.clone()).init().map_err(|error| error.to_string())?;
    Ok((device, setup))
}

/// The element types that are tested.
pub const ELEMENTS: [(DType, Storage); 2] = [(DType::F32, Storage::F32), (DType::F16, Storage::F16)];

/// Reproducible normally distributed data, rounded to the storage.
pub fn values(seed: u64, count: usize, storage: Storage) -> Vec<f64> {
    tweedie::NoiseKey::normals(seed, 99, 0, count).into_iter().map(|x| storage.round(x)).collect()
}

pub fn upload<const D: usize>(bridge: &Bridge, values: &[f64], shape: [usize; D], dtype: DType) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    let options = TensorCreationOptions::new(bridge.device().clone()).with_dtype(DType::F32);
    Tensor::<D>::from_data(TensorData::new(values, shape), options).cast(dtype)
}

pub fn upload_words(bridge: &Bridge, words: &[u32]) -> Tensor<1, Int> {
    let words: Vec<i32> = words.iter().map(|&word| word as i32).collect();
    let options = TensorCreationOptions::new(bridge.device().clone()).with_dtype(DType::I32);
    let count = words.len();
    Tensor::from_data(TensorData::new(words, [count]), options)
}

pub fn download<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().without_autodiff().cast(DType::F32).into_data().try_to_vec().expect("floats")
}

pub fn download_words(tensor: &Tensor<1, Int>) -> Vec<u32> {
    let words: Vec<i32> = tensor.clone().without_autodiff().into_data().try_to_vec().expect("words");
    words.into_iter().map(|word| word as u32).collect()
}

/// Compares a tensor with its reference.
pub fn compare<const D: usize>(found: &Tensor<D>, exact: &[Expected], noise: f64) -> Comparison {
    let storage = ELEMENTS.iter().find(|(dtype, _)| *dtype == found.dtype()).expect("a storage").1;
    let mut comparison = Comparison::new(storage).with_noise(noise);
    comparison.add_all(&download(found), exact);
    comparison
}
