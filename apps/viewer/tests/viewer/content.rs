//! The window's content without a window: keys, menus, files, and what they lead to.

use crate::harness::small;
use eframe::egui::{DroppedFile, Event, Key, Modifiers, PointerButton, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tweedie_viewer::app::{Command, Viewer};
use tweedie_viewer::renderer::ImageId;
use tweedie_viewer::state::{END, State, View};

pub const TESTS: &[(&str, fn())] = &[
    ("content::keys_move_time", keys_move_time),
    ("content::menus_choose", menus_choose),
    ("content::files_are_opened_typed_and_dropped", files_are_opened_typed_and_dropped),
    ("content::what_is_clicked_is_saved", what_is_clicked_is_saved),
    ("content::time_goes_on_by_itself", time_goes_on_by_itself),
    ("content::digits_have_their_choices", digits_have_their_choices),
    ("content::a_brush_erases", a_brush_erases),
    ("content::every_view_is_laid_out_at_every_size", every_view_is_laid_out_at_every_size),
];

/// The choices that a window begins with.
fn usual() -> State {
    State::of(small().picture, "a small one")
}

fn window() -> Harness<'static, Viewer> {
    let builder = Harness::builder().with_size([1280.0, 860.0]);
    builder.build_ui_state(|ui, viewer: &mut Viewer| viewer.ui(ui), Viewer::new(usual()))
}

fn press(window: &mut Harness<'_, Viewer>, key: Key) {
    window.key_press(key);
    window.run_steps(2);
}

fn click(window: &mut Harness<'_, Viewer>, label: &str) {
    window.get_by_label(label).click();
    window.run_steps(3);
}

fn keys_move_time() {
    let mut window = window();
    let start = window.state().state.timestep;
    press(&mut window, Key::ArrowRight);
    assert_eq!(window.state().state.timestep, start + 1);
    window.key_press_modifiers(Modifiers::SHIFT, Key::ArrowLeft);
    window.run_steps(2);
    assert_eq!(window.state().state.timestep, start - 24);
    press(&mut window, Key::End);
    press(&mut window, Key::ArrowRight);
    assert_eq!(window.state().state.timestep, 999);
    press(&mut window, Key::Home);
    assert_eq!(window.state().state.timestep, 0);
    press(&mut window, Key::N);
    assert_eq!(window.state().state.seed, 2);
    press(&mut window, Key::Num2);
    press(&mut window, Key::End);
    let state = &window.state().state;
    assert_eq!((state.view, state.sampling.call, state.timestep), (View::Sampling, 20, 0));
    press(&mut window, Key::R);
    let state = &window.state().state;
    assert_eq!((state.view, state.sampling.call, state.timestep, state.seed), (View::Sampling, 0, start, 1));
}

fn menus_choose() {
    let mut window = window();
    click(&mut window, "schedule: linear");
    click(&mut window, "cosine");
    assert_eq!(window.state().state.schedule.recipe().name, "cosine");
    click(&mut window, "zero terminal SNR");
    assert!(window.state().state.schedule.zero_terminal_snr);
    click(&mut window, "flow");
    assert_eq!(window.state().state.quantities().len(), 4);
    window.get_by_label("flow target eps - x0");
    click(&mut window, "Sampling");
    click(&mut window, "predicts: v");
    click(&mut window, "epsilon");
    // Epsilon says nothing where no signal is left: the window says so, and works on.
    assert!(window.query_by_label_contains("This sampler cannot be used here").is_some());
    click(&mut window, "zero terminal SNR");
    assert!(window.query_by_label_contains("This sampler cannot be used here").is_none());
    click(&mut window, "sampler: ddim");
    click(&mut window, "heun");
    click(&mut window, "crops");
    window.get_by_label_contains("upside down");
    click(&mut window, "To the end");
    assert_eq!(window.state().state.sampling.call, 2 * 20 - 1, "two calls a step, but for the last");
}

/// A file that the window system hands over.
#[derive(Debug)]
struct Dropped(PathBuf);

impl DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

fn files_are_opened_typed_and_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let [good, broken] = ["good.png", "broken.png"].map(|name| folder.path().join(name));
    files::picture::save_png(&pictures::test_card::test_card(100, 50).to_rgb(), &good).expect("saved");
    let bytes = std::fs::read(&good).expect("read");
    std::fs::write(&broken, &bytes[..bytes.len() / 2]).expect("written");

    let mut window = window();
    press(&mut window, Key::O);
    window.event(Event::Text(good.display().to_string()));
    window.run_steps(2);
    press(&mut window, Key::Enter);
    window.run_steps(2);
    assert_eq!(window.state().state.name, "good.png");
    assert_eq!((window.state().state.picture.width, window.state().state.picture.height), (100, 50));

    window.input_mut().dropped_files.push(Arc::new(Dropped(broken)));
    window.run_steps(2);
    assert_eq!(window.state().state.name, "good.png", "the old picture stays");
    window.get_by_label_contains("found a damaged one");
    click(&mut window, "Dismiss");
    assert!(window.state().state.message.is_none());

    window.input_mut().dropped_files.push(Arc::new(Dropped(folder.path().join("none.png"))));
    window.run_steps(2);
    window.get_by_label_contains("no such file");
    window.input_mut().dropped_files.push(Arc::new(Dropped(good)));
    window.run_steps(2);
    assert!(window.state().state.message.is_none(), "what is good clears what was bad");
}

fn what_is_clicked_is_saved() {
    let mut window = window();
    press(&mut window, Key::S);
    assert!(window.query_by_label_contains("Save the picture as").is_none(), "nothing is selected yet");
    click(&mut window, "x_t ");
    assert_eq!(window.state().state.selected, Some(ImageId::Xt));
    press(&mut window, Key::S);
    window.get_by_label("Save the picture as");
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.event(Event::Text("/no/where.png".to_owned()));
    window.run_steps(2);
    press(&mut window, Key::Enter);
    let commands = window.state_mut().commands();
    assert_eq!(commands, [Command::Save(ImageId::Xt, PathBuf::from("/no/where.png"))]);
}

fn time_goes_on_by_itself() {
    let mut window = window();
    let start = window.state().state.timestep;
    press(&mut window, Key::Space);
    window.run_steps(30);
    assert!(window.state().state.timestep > start);
    click(&mut window, "Pause");
    let stopped = window.state().state.timestep;
    window.run_steps(10);
    assert_eq!(window.state().state.timestep, stopped);
    press(&mut window, Key::Num2);
    press(&mut window, Key::Space);
    window.run_steps(400);
    let state = &window.state().state;
    assert_eq!((state.sampling.call, state.playing), (20, false), "it ends at the end");
}

fn digits_have_their_choices() {
    let mut window = window();
    press(&mut window, Key::Num3);
    assert_eq!(window.state().state.view, View::Digits);
    window.get_by_label_contains("cosine, as in the networks' training");
    click(&mut window, "class: 7");
    assert_eq!(window.state().state.digits.class, Some(7));
    click(&mut window, "class: any");
    assert_eq!(window.state().state.digits.class, None);
    assert!(window.get_by_label("guidance: 2").accesskit_node().is_disabled(), "there is nothing to guide to");
    click(&mut window, "predicts: v");
    click(&mut window, "epsilon");
    assert_eq!(window.state().state.digits.predicts.name(), "epsilon");
    click(&mut window, "sampler: dpm++");
    assert!(window.query_by_label("flow-euler").is_none(), "these networks are of another process");
    click(&mut window, "ddim");
    assert_eq!(window.state().state.digits.solver.name(), "ddim");
    for button in ["Take", "Forget"] {
        assert!(window.get_by_label(button).accesskit_node().is_disabled(), "{button}");
    }
    // Time: from the end back, and on by itself.
    window.get_by_label("call: 10");
    press(&mut window, Key::ArrowLeft);
    assert_eq!(window.state().state.digits.call, 9);
    press(&mut window, Key::Home);
    window.get_by_label("call: 0");
    press(&mut window, Key::Space);
    window.run_steps(200);
    assert_eq!((window.state().state.digits.call, window.state().state.playing), (END, false));
    // A click selects the digit of the call that is shown, which can then be taken.
    window.state_mut().status.written = 10;
    window.run_steps(1);
    click(&mut window, "x0 2 call 10");
    assert_eq!(window.state().state.selected, Some(ImageId::CleanDigit(1, 9)));
    window.get_by_label_contains("Erase from x0 2");
    click(&mut window, "Take");
    assert_eq!(window.state_mut().commands(), [Command::Take(ImageId::CleanDigit(1, 9))]);
}

fn a_brush_erases() {
    let mut window = window();
    press(&mut window, Key::Num3);
    window.state_mut().status.written = 10;
    window.run_steps(2);
    let place = window.get_by_label_contains("Erase from x0 1").rect();
    let at = |x: f32, y: f32| place.min + place.size() * vec2(x, y);
    let erased = |window: &Harness<'_, Viewer>| {
        window.state().state.digits.region.as_ref().map_or(0, |region| region.erased().count())
    };
    let button = |pos, pressed| Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    // A mouse that only passes erases nothing; a whole stroke in one slow frame does.
    window.event(Event::PointerMoved(at(0.2, 0.5)));
    window.run_steps(2);
    assert!(window.state_mut().commands().is_empty());
    window.event(button(at(0.25, 0.5), true));
    window.event(Event::PointerMoved(at(0.5, 0.5)));
    window.event(button(at(0.5, 0.5), false));
    window.run_steps(2);
    assert_eq!(window.state_mut().commands(), [Command::Take(ImageId::CleanDigit(0, 9))], "its numbers, once");
    assert!(window.state_mut().state.digits.take(&[1.0; 1024]));
    window.run_steps(1);
    let first = erased(&window);
    assert!((40..90).contains(&first), "eight pixels of five, and two round ends: {first}");
    // Frame by frame, and out of the picture.
    window.event(button(at(0.5, 0.1), true));
    window.run_steps(1);
    for x in [0.7, 0.9, 1.5] {
        window.event(Event::PointerMoved(at(x, 0.1)));
        window.run_steps(1);
    }
    window.event(button(at(1.5, 0.1), false));
    window.run_steps(1);
    let second = erased(&window);
    assert!(second > first + 60, "{second}");
    // A stroke that begins elsewhere does not count, nor does the mouse's path after the button is up.
    window.event(button(at(1.2, 0.7), true));
    window.event(Event::PointerMoved(at(0.5, 0.7)));
    window.event(button(at(0.5, 0.7), false));
    window.event(Event::PointerMoved(at(0.5, 0.9)));
    window.run_steps(2);
    assert_eq!(erased(&window), second);
    window.get_by_label_contains("Erase more");
    click(&mut window, "Forget");
    assert!(window.state().state.digits.region.is_none());
}

fn every_view_is_laid_out_at_every_size() {
    for size in [[720.0, 480.0], [1280.0, 860.0], [2600.0, 700.0], [900.0, 1600.0]] {
        for view in [View::Plane, View::Sampling, View::Digits] {
            let mut viewer = Viewer::new(usual());
            viewer.state.view = view;
            viewer.state.shown = [true; 6];
            let builder = Harness::builder().with_size(size);
            let mut window = builder.build_ui_state(|ui, viewer: &mut Viewer| viewer.ui(ui), viewer);
            window.run_steps(3);
            let pictures = window.query_all_by_role(eframe::egui::accesskit::Role::Image);
            let mut count = 0;
            for picture in pictures {
                let place = picture.rect();
                assert!(place.right() <= size[0] + 0.5 && place.bottom() <= size[1] + 0.5, "{size:?} {place:?}");
                count += 1;
            }
            // Two and a column for each quantity; four samples, four previews and the set, or a digit to erase from.
            let expected = [(View::Plane, 2 + 2 * 6), (View::Sampling, 2 * 4 + 6), (View::Digits, 2 * 4 + 1)];
            assert!(expected.contains(&(view, count)), "{view:?}: {count} pictures");
        }
    }
}
