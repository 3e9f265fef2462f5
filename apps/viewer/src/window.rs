//! The window, and what happens when its device is lost: another window opens, with its own device and the same choices.
//!
//! A lost device takes eframe's renderer with it, which cannot be given another device, and drivers promise little to a process
//! that has lost one. So a window that finds its device lost draws nothing more and closes, and [`restart`](crate::restart)
//! opens the next one in a process of its own.

use crate::app::{Command, Viewer};
use crate::embed;
use crate::restart::Restart;
use crate::state::State;
use crate::test_log::{Account, TestLog};
use eframe::egui::{self, IconData, Rect, ViewportBuilder, ViewportCommand};
use eframe::egui_wgpu::{RenderState, SurfaceErrorAction, WgpuSetup, WgpuSetupCreateNew};
use files::{Picture, picture};
use pictures::test_card::test_card;
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tweedie::headless::Gpu;
use tweedie::wgpu;

/// Options of a window.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The adapter: a part of its name.
    pub adapter: Option<String>,
    /// File for the record of each frame, for tests.
    pub trace: Option<PathBuf>,
    /// Place of the window before this one.
    pub place: Option<Rect>,
    /// Number of devices in a row before this one that were lost soon after their windows had opened.
    pub brief: u32,
    /// When a device is to be lost, lose it within a frame instead of before one, for tests.
    pub lose_midway: bool,
}

/// A device that is lost within this time of the window's opening counts towards [`MOST_BRIEF`].
const BRIEF: Duration = Duration::from_secs(3);

/// So many devices in a row that are lost that soon end the program.
const MOST_BRIEF: u32 = 3;

/// Time that a closed window waits for the last work of its device.
const LAST_WORK: Duration = Duration::from_secs(5);

/// A message from another thread, taken once.
#[derive(Clone, Debug, Default)]
struct Notice(Arc<Mutex<Option<String>>>);

/// What is left of a window when it has closed: its place, its device, and why that was lost, if it was.
#[derive(Debug, Default)]
struct Remains {
    place: Option<Rect>,
    /// With its queue, without which a device does not say that it is lost.
    device: Option<(wgpu::Device, wgpu::Queue)>,
    lost: Notice,
}

impl Notice {
    fn put(&self, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_there(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Opens the window and returns when the user has closed it.
///
/// # Errors
/// No window or no device is available, or devices are lost again and again.
pub fn run(state: State, options: &Options) -> Result<(), String> {
    let begun = Instant::now();
    let (mut viewer, mut remains) = (Viewer::new(state), Remains { place: options.place, ..Remains::default() });
    // If the device is lost within a frame, egui's renderer panics.
    let outcome = catch_unwind(AssertUnwindSafe(|| open(&mut viewer, &mut remains, options)));
    if let Some((device, _)) = &remains.device {
        // A lost device reports it now at the latest: once its last work has ended.
        let _ = device.poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(LAST_WORK) });
    }
    let Some(reason) = remains.lost.take() else {
        return outcome.unwrap_or_else(|panic| resume_unwind(panic));
    };
    let brief = if begun.elapsed() < BRIEF { options.brief + 1 } else { 0 };
    if brief >= MOST_BRIEF {
        return Err(format!("the GPU device keeps being lost: {reason}"));
    }
    viewer.state.alarm(format!("The GPU device was lost ({reason}). The window continues with another one."));
    Restart { state: viewer.state, place: remains.place, brief }.go_on(options)
}

fn open(viewer: &mut Viewer, remains: &mut Remains, options: &Options) -> Result<(), String> {
    let mut native = eframe::NativeOptions {
        viewport: viewport(remains.place),
        dithering: false, // it hides the steps of gradients, and only pictures have gradients here
        ..eframe::NativeOptions::default()
    };
    native.wgpu_options.wgpu_setup = setup(options.adapter.clone());
    let (usual, lost) = (Arc::clone(&native.wgpu_options.on_surface_status), remains.lost.clone());
    native.wgpu_options.on_surface_status = Arc::new(move |status| {
        // The surface of a lost device cannot be recovered.
        if lost.is_there() { SurfaceErrorAction::SkipFrame } else { usual(status) }
    });
    let create: eframe::AppCreator<'_> = Box::new(|creation| {
        let window = creation.wgpu_render_state.as_ref().ok_or("eframe has made no device")?;
        Ok(Box::new(Session::new(viewer, remains, creation, window, options)))
    });
    eframe::run_native("tweedie", native, create).map_err(|error| error.to_string())
}

fn viewport(place: Option<Rect>) -> ViewportBuilder {
    let icon = test_card(64, 64).to_rgb();
    let rgba = icon.pixels().flat_map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2], 255]).collect();
    let builder = ViewportBuilder::default()
        .with_title("tweedie")
        .with_app_id("tweedie-viewer")
        .with_icon(IconData { rgba, width: 64, height: 64 })
        .with_min_inner_size([720.0, 480.0])
        .with_drag_and_drop(true);
    match place {
        Some(place) => builder.with_position(place.min).with_inner_size(place.size()),
        None => builder.with_inner_size([1280.0, 860.0]),
    }
}

fn setup(wanted: Option<String>) -> WgpuSetup {
    let mut setup = WgpuSetupCreateNew::without_display_handle(); // eframe fills it in
    setup.device_descriptor = Arc::new(embed::device_descriptor);
    if let Some(wanted) = wanted {
        setup.native_adapter_selector = Some(Arc::new(move |adapters, surface| choose(adapters, surface, &wanted)));
    }
    setup.into()
}

/// Returns the first adapter with this in its name, among those that can draw the window and compute.
fn choose(
    adapters: &[wgpu::Adapter],
    surface: Option<&wgpu::Surface<'_>>,
    wanted: &str,
) -> Result<wgpu::Adapter, String> {
    let able = |adapter: &&wgpu::Adapter| {
        let computes = adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
        computes && surface.is_none_or(|surface| adapter.is_surface_supported(surface))
    };
    let able: Vec<&wgpu::Adapter> = adapters.iter().filter(able).collect();
    let name = |adapter: &&&wgpu::Adapter| Gpu::describe(&adapter.get_info());
    let found = able.iter().find(|adapter| name(adapter).to_lowercase().contains(&wanted.to_lowercase()));
    found.map(|&adapter| adapter.clone()).ok_or_else(|| {
        let names: Vec<String> = able.iter().map(|adapter| name(&adapter)).collect();
        format!("expected a part of an adapter's name from [{}], found `{wanted}`", names.join(", "))
    })
}

/// Why a picture is on its way to the host.
#[derive(Debug)]
enum Errand {
    /// It is to be saved here.
    Save(PathBuf),
    /// It is the digit to erase from.
    Take,
}

/// A window while it is open.
struct Session<'a> {
    viewer: &'a mut Viewer,
    remains: &'a mut Remains,
    complaints: Notice,
    errand: Option<Errand>,
    account: Option<Account>,
    lose_midway: bool,
}

impl<'a> Session<'a> {
    fn new(
        viewer: &'a mut Viewer,
        remains: &'a mut Remains,
        creation: &eframe::CreationContext<'_>,
        window: &RenderState,
        options: &Options,
    ) -> Self {
        creation.egui_ctx.set_theme(egui::Theme::Dark);
        let (told, complaints) = (remains.lost.clone(), Notice::default());
        window.device.set_device_lost_callback(move |reason, text| {
            told.put(if text.is_empty() { format!("{reason:?}") } else { text });
        });
        remains.device = Some((window.device.clone(), window.queue.clone()));
        let heard = complaints.clone();
        window.device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| heard.put(error.to_string())));
        embed::install(window);
        viewer.adapter = Gpu::describe(&window.adapter.get_info());
        let account = options.trace.as_ref().map(|path| {
            let account = Account::default();
            creation.egui_ctx.add_plugin(TestLog::new(path.clone(), Arc::clone(&account)));
            account
        });
        let lose_midway = options.lose_midway;
        Self { viewer, remains, complaints, errand: None, account, lose_midway }
    }

    fn exchange(&mut self, window: &RenderState) {
        let viewer = &mut *self.viewer;
        viewer.status = embed::with_renderer(window, |renderer| renderer.look()).unwrap_or_default();
        if let Some(complaint) = self.complaints.take() {
            viewer.state.alarm(complaint);
        }
        let Some(errand) = self.errand.take() else { return };
        let Some(picture) = embed::with_renderer(window, |renderer| renderer.wanted()).flatten() else {
            self.errand = Some(errand); // not here yet
            return;
        };
        match (errand, picture) {
            (Errand::Save(path), picture) => match picture.and_then(|picture| save(&picture, &path)) {
                Ok(()) => viewer.state.say(format!("Saved {}", path.display())),
                Err(error) => viewer.state.alarm(error),
            },
            (Errand::Take, picture) => viewer.state.take_digit(picture),
        }
    }

    fn run_errands(&mut self, window: &RenderState) {
        for command in self.viewer.commands() {
            let (what, errand) = match command {
                Command::LoseDevice => {
                    window.device.destroy();
                    continue;
                }
                command if self.errand.is_some() => {
                    self.viewer.postpone(command);
                    continue;
                }
                Command::Save(what, path) => (what, Errand::Save(path)),
                Command::Take(what) => (what, Errand::Take),
            };
            embed::with_renderer(window, |renderer| renderer.want(what));
            self.errand = Some(errand);
        }
    }

    fn tell(&self) {
        let Some(account) = &self.account else { return };
        let Viewer { state, status, .. } = &*self.viewer;
        *account.lock().unwrap_or_else(PoisonError::into_inner) = json!({
            "view": format!("{:?}", state.view),
            "picture": state.name,
            "timestep": state.timestep,
            "schedule": state.schedule.recipe().name,
            "zero_terminal_snr": state.schedule.zero_terminal_snr,
            "error": state.error,
            "seed": state.seed,
            "playing": state.playing,
            "selected": format!("{:?}", state.selected),
            "solver": state.sampling.solver.name(),
            "steps": state.sampling.steps,
            "call": state.sampling.call,
            "digits": {
                "class": state.digits.class,
                "count": state.digits.count,
                "guidance": state.digits.guidance,
                "predicts": state.digits.predicts.name(),
                "solver": state.digits.solver.name(),
                "steps": state.digits.steps,
                "call": state.digits.call,
                "erased": state.digits.region.as_ref().map(|region| region.erased().count()),
                "done": status.written,
                "pace": self.viewer.pace.calls(),
            },
            "errors": status.errors,
            "determined": status.determined,
            "done": status.done,
            "dispatches": status.dispatches,
            "pending": status.pending,
            "frame_ms": self.viewer.playback.frame_seconds * 1e3,
            "message": state.message.as_ref().map(|message| &message.text),
            "trouble": status.trouble,
            "adapter": self.viewer.adapter,
        });
    }
}

impl eframe::App for Session<'_> {
    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        let Some(window) = frame.wgpu_render_state().cloned() else { return };
        if !self.lose_midway {
            self.run_errands(&window);
        }
        // This never waits; it runs the callbacks of readbacks that have arrived and of a device that was lost.
        let _ = window.device.poll(wgpu::PollType::Poll);
        if self.remains.lost.is_there() {
            ui.ctx().send_viewport_cmd(ViewportCommand::Close);
            return; // with nothing to draw, egui's renderer does not touch the device
        }
        self.remains.place = ui.input(|input| {
            let viewport = input.viewport();
            let (outer, inner) = (viewport.outer_rect?, viewport.inner_rect?);
            Some(Rect::from_min_size(outer.min, inner.size()))
        });
        self.exchange(&window);
        self.viewer.ui(ui);
        if self.lose_midway {
            self.run_errands(&window);
        }
        self.tell();
        if self.errand.is_some() || self.viewer.has_commands() {
            ui.ctx().request_repaint();
        }
    }
}

fn save(picture: &Picture, path: &Path) -> Result<(), String> {
    picture::save_png(&picture.to_rgb(), path).map_err(|error| format!("{error:#}"))
}
