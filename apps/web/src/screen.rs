//! Integrates tweedie into a web page. This file is all that it takes.
//!
//! The page's canvas makes a surface, WebGPU a device for it, and tweedie is given that device. A frame is one encoder and
//! one submit: tweedie's kernels write storage buffers, a render pass draws from them onto the canvas. The library's code is the
//! same as outside a browser, and nothing blocks: the device is `await`ed, and what is read back has arrived or not.

use crate::dom::{Outcome, failure};
use crate::weights;
use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};
use scenes::Renderer;
use scenes::renderer::{Piece, Request};
use std::rc::Rc;
use tweedie::headless::Gpu;
use web_sys::HtmlCanvasElement;

/// Colour of the canvas between the pictures: the background of `style.css`.
const BACKGROUND: wgpu::Color = wgpu::Color { r: 19.0 / 255.0, g: 21.0 / 255.0, b: 29.0 / 255.0, a: 1.0 };

/// A canvas with a device that draws on it.
pub struct Screen {
    /// The device.
    pub gpu: Rc<Gpu>,
    /// What is drawn with it.
    pub renderer: Renderer,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
}

impl Screen {
    /// Asks the browser for a device. The receiver gets the reason when the device is lost.
    pub async fn open(canvas: HtmlCanvasElement) -> Outcome<(Self, OneshotReceiver<String>)> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::BROWSER_WEBGPU,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let size = [canvas.width().max(1), canvas.height().max(1)];
        let surface = surface(&instance, canvas)?;
        let options = wgpu::RequestAdapterOptions {
            compatible_surface: Some(&surface),
            ..wgpu::RequestAdapterOptions::default()
        };
        let adapter = instance.request_adapter(&options).await.map_err(failure)?;
        let gpu = Gpu::with_limits(&adapter, adapter.limits()).await.map_err(failure)?;
        let (sender, lost) = oneshot_channel();
        gpu.device.set_device_lost_callback(move |reason, text| {
            let _ = sender.send(if text.is_empty() { format!("{reason:?}") } else { text });
        });
        let config = surface.get_default_config(&adapter, size[0], size[1]);
        let config = config.ok_or_else(|| failure("expected an adapter that can draw on a canvas"))?;
        surface.configure(&gpu.device, &config);
        let renderer = Renderer::new(&gpu.device, &gpu.queue, config.format, weights::source);
        Ok((Self { gpu: Rc::new(gpu), renderer, surface, config }, lost))
    }

    /// The adapter's name; most browsers do not tell it.
    pub fn name(&self) -> &str {
        let name = self.gpu.info.name.trim();
        if name.is_empty() { "WebGPU, adapter not named" } else { name }
    }

    /// The largest side that a canvas may have.
    pub fn most(&self) -> u32 {
        self.gpu.device.limits().max_texture_dimension_2d
    }

    /// Draws a frame on a canvas of this size in pixels, and returns whether another one is needed.
    pub fn draw(&mut self, size: [u32; 2], request: Option<&Request>, pieces: &[Piece]) -> bool {
        if [self.config.width, self.config.height] != size {
            [self.config.width, self.config.height] = size;
            self.surface.configure(&self.gpu.device, &self.config);
        }
        use wgpu::CurrentSurfaceTexture::{Suboptimal, Success};
        let (Success(target) | Suboptimal(target)) = self.surface.get_current_texture() else { return true };
        let view = target.texture.create_view(&wgpu::TextureViewDescriptor::default());
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let news = request.is_some_and(|request| self.renderer.record(&mut encoder, request));
        self.renderer.place(pieces);
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("web::pass"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(BACKGROUND), store: wgpu::StoreOp::Store },
            })],
            ..wgpu::RenderPassDescriptor::default()
        });
        self.renderer.draw(&mut pass);
        drop(pass);
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.queue.present(target);
        news
    }
}

#[cfg(target_family = "wasm")]
fn surface(instance: &wgpu::Instance, canvas: HtmlCanvasElement) -> Outcome<wgpu::Surface<'static>> {
    instance.create_surface(wgpu::SurfaceTarget::Canvas(canvas)).map_err(failure)
}

/// Elsewhere this crate is only compiled, for the lints.
#[cfg(not(target_family = "wasm"))]
fn surface(_: &wgpu::Instance, _: HtmlCanvasElement) -> Outcome<wgpu::Surface<'static>> {
    Err(failure("expected a browser"))
}
