//! Plots as SVG files: the curves of a schedule or a study, the bars and times of a benchmark, and tables of coloured cells.
//!
//! - `canvas`: an SVG, and the shapes and texts that are drawn on it;
//! - `axis`: linear and logarithmic axes, their round ticks and labels, and a frame with grid lines;
//! - [`curves`], [`bars`] and [`cells`]: the kinds of plot.
//!
//! Every value is accepted. A value that no axis can show, such as NaN or an infinity, leaves a gap.

mod axis;
pub mod bars;
mod canvas;
pub mod cells;
pub mod curves;

pub use axis::Scale;

/// Returns each name once, in the order of first appearance.
pub fn distinct<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}
