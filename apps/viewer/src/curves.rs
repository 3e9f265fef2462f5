//! The curves of a schedule, with a mark at the timestep that is shown.

use crate::gallery::DIM;
use eframe::egui::{Color32, Rect, Ui, UiBuilder, vec2};
use egui_plot::{Corner, Legend, Line, Plot, PlotPoints, Points, VLine};
use tweedie::Schedule;

/// Points of a curve: more than one a pixel would be wasted.
const POINTS: usize = 240;

/// Room for the number under the right end of the x axis, and for the numbers of the y axis, in points.
const RIGHT: f32 = 14.0;
const LEFT: f32 = 26.0;

const ALPHA: Color32 = Color32::from_rgb(122, 200, 255);
const SIGMA: Color32 = Color32::from_rgb(255, 158, 100);
const LOG_SNR: Color32 = Color32::from_rgb(142, 224, 150);
const MARKER: Color32 = Color32::from_rgb(240, 240, 250);

/// Draws alpha and sigma, and the log SNR, over the timesteps; `visited` are timesteps and log SNRs of a sampler.
pub fn curves(ui: &mut Ui, area: Rect, schedule: &Schedule, marker: f64, visited: &[[f64; 2]]) {
    let area = Rect::from_min_max(area.min, area.max - vec2(RIGHT, 0.0));
    let half = vec2(area.width(), (area.height() - 4.0) / 2.0);
    let top = Rect::from_min_size(area.min, half);
    let bottom = Rect::from_min_size(area.left_bottom() - vec2(0.0, half.y), half);
    let (levels, log_snr) = (schedule.levels(), schedule.log_snr());
    let curve = |of: &dyn Fn(usize) -> f64| {
        let last = levels.len() - 1;
        let place = |i: usize| i * last / (POINTS - 1);
        let points = (0..POINTS).map(place).map(|t| [t as f64, of(t)]).filter(|[_, y]| y.is_finite());
        PlotPoints::from(points.collect::<Vec<_>>())
    };
    let alpha = Line::new("alpha", curve(&|t| levels[t].alpha())).color(ALPHA);
    let sigma = Line::new("sigma", curve(&|t| levels[t].sigma())).color(SIGMA);
    plot(ui, top, "alpha and sigma", marker, vec![alpha, sigma], &[]);
    plot(ui, bottom, "log SNR", marker, vec![Line::new("log SNR", curve(&|t| log_snr[t])).color(LOG_SNR)], visited);
}

fn plot(ui: &mut Ui, area: Rect, id: &'static str, marker: f64, lines: Vec<Line<'static>>, visited: &[[f64; 2]]) {
    let points: Vec<[f64; 2]> = visited.iter().copied().filter(|[_, y]| y.is_finite()).collect();
    ui.scope_builder(UiBuilder::new().max_rect(area), |ui| {
        Plot::new(id)
            .width(area.width())
            .height(area.height())
            .allow_zoom(false)
            .allow_drag(false)
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .show_background(false)
            .set_margin_fraction(vec2(0.01, 0.06))
            .y_axis_min_width(LEFT)
            .label_formatter(|_| None)
            .legend(Legend::default().position(Corner::RightTop).background_alpha(0.4))
            .show(ui, |plot| {
                plot.vline(VLine::new("", marker).color(MARKER).width(1.0));
                lines.into_iter().for_each(|line| plot.line(line.width(1.8)));
                if !points.is_empty() {
                    plot.points(Points::new("", points).radius(2.5).color(DIM));
                }
            });
    });
}
