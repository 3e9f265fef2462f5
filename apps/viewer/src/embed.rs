//! Integrates tweedie into an egui window. This file is all that it takes.
//!
//! eframe opens the window and makes the device; tweedie is given that device and makes none of its own. A frame is one
//! encoder and one submit, both egui's:
//!
//! ```text
//! egui      lays out the window; where pictures go, it leaves a callback       (an Callback)
//! prepare   tweedie's kernels are recorded into egui's encoder                 -> storage buffers
//! paint     a render pipeline of ours, in egui's render pass, reads them       -> the window
//! egui      draws what lies over them, submits, presents
//! ```
//!
//! Nothing is read back, and no texture is needed: the fragment shader reads the tensor itself. wgpu sees in the encoder
//! that the kernels write what the pass reads, and orders them.

use crate::renderer::{Piece, Renderer, Request};
use ::digits::Weights;
use eframe::egui::{Context, PaintCallback, PaintCallbackInfo, Rect};
use eframe::egui_wgpu::{self, CallbackResources, CallbackTrait, RenderState, ScreenDescriptor};
use tweedie::wgpu; // the same wgpu as eframe's: the types must be the same

/// Describes the device. Compute shaders, and storage buffers in the fragment stage, are within WebGPU's default limits;
/// the adapter's own limits allow tensors as large as it can bind.
#[must_use]
pub fn device_descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    wgpu::DeviceDescriptor {
        label: Some("viewer::device"),
        required_limits: adapter.limits(),
        ..wgpu::DeviceDescriptor::default()
    }
}

/// Puts our renderer into egui's, which hands it to each callback. Called once, when the window opens.
pub fn install(window: &RenderState) {
    let renderer = Renderer::new(&window.device, &window.queue, window.target_format, |it| Some(Weights::trained(it)));
    window.renderer.write().callback_resources.insert(renderer);
}

/// Gives access to our renderer between frames; `None` before [`install`].
pub fn with_renderer<T>(window: &RenderState, ask: impl FnOnce(&mut Renderer) -> T) -> Option<T> {
    window.renderer.write().callback_resources.get_mut::<Renderer>().map(ask)
}

/// Returns the shape that shows these pieces, for every frame. Before it is painted, what the request asks for is computed.
#[must_use]
pub fn callback(egui: &Context, rect: Rect, request: Request, pieces: Vec<Piece>) -> PaintCallback {
    egui_wgpu::Callback::new_paint_callback(rect, Callback { egui: egui.clone(), request, pieces })
}

/// Request of a frame: egui calls it back, first to prepare, then to paint.
struct Callback {
    egui: Context,
    request: Request,
    pieces: Vec<Piece>,
}

impl CallbackTrait for Callback {
    fn prepare(
        &self,
        _: &wgpu::Device,
        _: &wgpu::Queue,
        _: &ScreenDescriptor,
        encoder: &mut wgpu::CommandEncoder, // egui's, before its render pass
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(renderer) = resources.get_mut::<Renderer>() {
            if renderer.record(encoder, &self.request) {
                self.egui.request_repaint(); // there is news, or more to do
            }
            renderer.place(&self.pieces);
        }
        Vec::new() // a command buffer of one's own could go here
    }

    fn paint(&self, _: PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, resources: &CallbackResources) {
        if let Some(renderer) = resources.get::<Renderer>() {
            renderer.draw(pass); // egui has set the viewport to our rectangle and clips to it
        }
    }
}
