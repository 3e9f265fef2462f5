//! The window's content without a window: keys, menus, files, and what they lead to.

use crate::harness::small;
use eframe::egui::{DroppedFile, Event, Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tweedie_viewer::app::{Command, Viewer};
use tweedie_viewer::renderer::ImageId;
use tweedie_viewer::state::{State, View};

pub const TESTS: &[(&str, fn())] = &[
    ("content::keys_move_time", keys_move_time),
    ("content::menus_choose", menus_choose),
    ("content::files_are_opened_typed_and_dropped", files_are_opened_typed_and_dropped),
    ("content::what_is_clicked_is_saved", what_is_clicked_is_saved),
    ("content::time_goes_on_by_itself", time_goes_on_by_itself),
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
    // Epsilon says nothing where no signal is left: the window says so, and lives on.
    assert!(window.query_by_label_contains("There is no such sampler").is_some());
    click(&mut window, "zero terminal SNR");
    assert!(window.query_by_label_contains("There is no such sampler").is_none());
    click(&mut window, "sampler: ddim");
    click(&mut window, "heun");
    click(&mut window, "cuttings");
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

fn every_view_is_laid_out_at_every_size() {
    for size in [[720.0, 480.0], [1280.0, 860.0], [2600.0, 700.0], [900.0, 1600.0]] {
        for view in [View::Plane, View::Sampling] {
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
            // Two and a column for each quantity; four samples, four previews and the set.
            let expected = [(View::Plane, 2 + 2 * 6), (View::Sampling, 2 * 4 + 6)];
            assert!(expected.contains(&(view, count)), "{view:?}: {count} pictures");
        }
    }
}
