//! The page while it is open: what was chosen, what is on the device, and its frames.

use crate::dom::{self, Outcome, all, by_id, set, show, window, write};
use crate::gallery::Gallery;
use crate::screen::Screen;
use crate::verify::{self, Progress};
use crate::{controls, curves, files, notice};
use scenes::digits::Pace;
use scenes::figures::{self, Figures};
use scenes::playback::Playback;
use scenes::renderer::{ImageId, Status};
use scenes::schedules::ScheduleChoice;
use scenes::state::{State, View};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, HtmlCanvasElement};

/// Shared handle to the page: every listener holds one.
pub type Shared = Rc<RefCell<App>>;

/// Why a picture is read back.
#[derive(Clone, Debug)]
pub enum Errand {
    /// It is to be saved as a file of this name.
    Save(String),
    /// It is the digit to erase from.
    Take,
}

/// The page.
#[derive(Default)]
pub struct App {
    /// Choices of the user.
    pub state: State,
    /// Status of the device's side.
    pub status: Status,
    /// Position in time.
    pub playback: Playback,
    /// The figures of the view.
    pub gallery: Gallery,
    /// True if the checks are shown instead of a view.
    pub verifying: bool,
    /// Progress of the checks.
    pub checks: Progress,
    /// The device, while there is one.
    pub screen: Option<Screen>,
    /// Pictures that are to be read back, one at a time.
    pub errands: Vec<(ImageId, Errand)>,
    /// The errand whose picture is on its way.
    errand: Option<Errand>,
    /// The place of the brush on the digit in its pixels, if it is down.
    pub brush: Option<[f32; 2]>,
    /// The number of calls of the digits' network that a frame may record.
    pace: Pace,
    /// When the first frame was drawn, in milliseconds since the page began to load.
    pub first_frame: Option<f64>,
    /// Frames that were drawn.
    pub frames: u64,
    /// True if a frame is on its way.
    pub asked: bool,
    drawn: Option<Curves>,
    /// The time of the last frame, if time played then.
    before: Option<f64>,
    /// The time of the last frame, in milliseconds.
    last: f64,
}

/// What the curves show: a view, a schedule, and the levels that a sampler visits.
type Curves = (View, ScheduleChoice, Vec<[f64; 2]>);

/// Asks the browser for a frame, unless one is on its way.
pub fn ask(app: &Shared) {
    if std::mem::replace(&mut app.borrow_mut().asked, true) {
        return;
    }
    let again = Rc::clone(app);
    let frame = Closure::once_into_js(move |now: f64| {
        let outcome = again.borrow_mut().frame(now);
        match outcome {
            Ok(true) => ask(&again),
            Ok(false) => {}
            Err(error) => dom::log(Err(error)),
        }
    });
    dom::log(window().and_then(|window| window.request_animation_frame(frame.unchecked_ref())).map(|_| ()));
}

impl App {
    /// Makes a frame, and returns whether there is to be another one.
    fn frame(&mut self, now: f64) -> Outcome<bool> {
        self.asked = false;
        self.pass_time(now);
        if let Some(screen) = &mut self.screen {
            self.status = screen.renderer.look();
            if let Err(error) = screen.gpu.check() {
                self.state.alarm(error.to_string());
            }
        }
        self.ask_for_picture();
        let mut more = self.state.playing || self.errand.is_some();
        if !self.verifying {
            let figures = self.figures()?;
            more |= self.draw(figures.as_ref())?;
        }
        self.refresh()?;
        self.take_picture()?;
        Ok(more && self.screen.is_some() && !self.verifying)
    }

    fn pass_time(&mut self, now: f64) {
        let passed = self.before.map_or(0.0, |before| now - before);
        let playing = self.state.playing && !self.verifying;
        self.pace.frame((now - self.last) / 1e3, self.status.written);
        (self.before, self.last) = (playing.then_some(now), now);
        self.playback.frame(playing, &mut self.state, passed / 1e3);
    }

    /// Lays out the figures of the view; returns `None` if the sampler does not exist with these choices.
    fn figures(&mut self) -> Outcome<Option<Figures>> {
        let Some(schedule) = self.playback.schedule(&mut self.state) else { return Ok(None) };
        let figures = match self.state.view {
            View::Plane => figures::plane(&self.state, &schedule, &self.status),
            View::Sampling | View::Digits => match self.playback.course(&self.state) {
                Ok(course) => {
                    self.state.follow_selection(course.calls().len(), self.status.written);
                    match self.state.view {
                        View::Digits => figures::digits(&self.state, &course, &self.status, self.pace.calls()),
                        _ => figures::sampling(&self.state, &course, &self.status),
                    }
                }
                Err(why) => {
                    self.trouble(&format!("This sampler cannot be used here: {why}"))?;
                    return Ok(None);
                }
            },
        };
        self.trouble(self.status.trouble.as_deref().unwrap_or(""))?;
        let [width, height] = match self.state.view {
            View::Plane => self.state.plane().size(),
            View::Sampling | View::Digits => [1, 1],
        };
        let aspect = f64::from(width) / f64::from(height);
        if self.gallery.refresh(self.state.view.name(), &figures.rows, aspect, self.state.selected)? {
            self.drawn = None; // the curves are new, and empty
        }
        let curves = (self.state.view, self.state.schedule, figures.visited.clone());
        if self.drawn.as_ref() != Some(&curves) {
            curves::draw(&schedule, &curves.2)?;
            self.drawn = Some(curves);
        }
        curves::mark(figures.marker, (schedule.len() - 1) as f64)?;
        Ok(Some(figures))
    }

    fn trouble(&self, text: &str) -> Outcome {
        write(&by_id::<Element>("trouble")?, text);
        show("trouble", !text.is_empty())
    }

    /// Draws a frame, if there is a device, and returns whether another one is needed.
    fn draw(&mut self, figures: Option<&Figures>) -> Outcome<bool> {
        let canvas: HtmlCanvasElement = by_id("canvas")?;
        let Some(screen) = &mut self.screen else { return Ok(false) };
        let place = canvas.get_bounding_client_rect();
        let ratio = window()?.device_pixel_ratio();
        let side = |length: f64| ((length * ratio).round() as u32).clamp(1, screen.most());
        let size = [side(place.width()), side(place.height())];
        if [canvas.width(), canvas.height()] != size {
            canvas.set_width(size[0]);
            canvas.set_height(size[1]);
        }
        let pieces = figures.map_or_else(|| Ok(Vec::new()), |_| self.gallery.pieces(&canvas, size, ratio))?;
        let news = screen.draw(size, figures.map(|figures| &figures.request), &pieces);
        self.status = screen.renderer.look(); // what was recorded begins its way to the host
        self.frames += 1;
        self.first_frame.get_or_insert_with(dom::now);
        Ok(news)
    }

    /// Updates everything that is not a picture.
    fn refresh(&mut self) -> Outcome {
        controls::refresh(&self.state, &mut self.playback)?;
        let tab = if self.verifying { "verify" } else { self.state.view.name() };
        for button in all("nav [role=tab]")? {
            let chosen = button.get_attribute("data-do").as_deref() == Some(tab);
            set(&button, "aria-selected", if chosen { "true" } else { "false" })?;
        }
        show("verify", self.verifying)?;
        show("views", !self.verifying)?;
        verify::refresh(&self.checks)?;
        let message = self.state.message.as_ref();
        show("message", message.is_some())?;
        write(&by_id::<Element>("message-text")?, message.map_or("", |message| &message.text));
        set(&by_id("message")?, "class", if message.is_some_and(|message| message.alarming) { "alarm" } else { "" })?;
        write(&by_id::<Element>("picture-name")?, &self.state.name);
        write(&by_id::<Element>("adapter")?, self.screen.as_ref().map_or("", Screen::name));
        write(&by_id::<Element>("work")?, &self.playback.status_line(self.status.dispatches));
        Ok(())
    }

    fn ask_for_picture(&mut self) {
        if let (Some(screen), None, false) = (&mut self.screen, &self.errand, self.errands.is_empty()) {
            let (what, errand) = self.errands.remove(0);
            screen.renderer.want(what);
            self.errand = Some(errand);
        }
    }

    fn take_picture(&mut self) -> Outcome {
        let (Some(screen), Some(errand)) = (&mut self.screen, &self.errand) else { return Ok(()) };
        let Some(picture) = screen.renderer.wanted() else { return Ok(()) };
        match (errand.clone(), picture) {
            (Errand::Save(name), picture) => match picture.and_then(|picture| files::save(&picture, &name)) {
                Ok(()) => self.state.say(format!("Saved {name}")),
                Err(error) => self.state.alarm(error),
            },
            (Errand::Take, picture) => self.state.take_digit(picture),
        }
        self.errand = None;
        Ok(())
    }

    /// Gives up the device, and tells the user why.
    pub fn lose(&mut self, why: &str) -> Outcome {
        self.screen = None;
        (self.errands, self.errand) = (Vec::new(), None);
        self.state.digits.drop_strokes();
        notice::lost(why)
    }
}
