//! The pipeline cache, on wgpu's noop backend.

use crate::recording::Scene;
use std::sync::{Arc, Mutex};
use tweedie::Context;

/// Two devices of one instance: those of two instances have no errors in common.
fn two_devices(required_features: wgpu::Features) -> [(wgpu::Device, wgpu::Queue); 2] {
    let noop = wgpu::NoopBackendOptions::enabled();
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::NOOP,
        backend_options: wgpu::BackendOptions { noop, ..Default::default() },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let descriptor = wgpu::DeviceDescriptor { required_features, ..Default::default() };
    [(); 2].map(|()| pollster::block_on(adapter.request_device(&descriptor)).unwrap())
}

/// wgpu reports a cache of another device as an error, which shows that a pipeline was created with the cache.
#[test]
fn pipelines_are_created_with_the_cache() {
    let [(device, _queue), (stranger, _other_queue)] = two_devices(wgpu::Features::PIPELINE_CACHE);
    let descriptor = wgpu::PipelineCacheDescriptor { label: None, data: None, fallback: true };
    #[expect(unsafe_code, reason = "wgpu trusts the data of a cache")]
    // SAFETY: there is no data.
    let [own, strange] = [&device, &stranger].map(|device| unsafe { device.create_pipeline_cache(&descriptor) });
    let errors = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&errors);
    device.on_uncaptured_error(Arc::new(move |error| seen.lock().unwrap().push(error.to_string())));
    let scene = Scene::new(&device);
    // A kernel of an op, and standalone kernels.
    let plans = |cache| {
        let context = Context::with_cache(&device, cache);
        drop((scene.loss(&context), scene.draw(&context)));
        std::mem::take(&mut *errors.lock().unwrap()).len()
    };
    assert_eq!(plans(None), 0);
    assert_eq!(plans(Some(&own)), 0);
    assert_eq!(plans(Some(&strange)), 3, "a loss, the sum of its chunks and samples, and a draw");
}
