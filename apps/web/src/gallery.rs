//! The pictures of a view as figures of the document. CSS lays them out with empty frames, and the canvas behind them draws
//! into those: so the page reflows, scales and reads aloud like any other.

use crate::curves;
use crate::dom::{Outcome, all, by_id, document, set, write};
use scenes::figures::Figure;
use scenes::renderer::{ImageId, Piece};
use web_sys::Element;

/// Figures in the document.
#[derive(Default)]
pub struct Gallery {
    figures: Vec<Figure>,
    /// Number of figures in each row.
    rows: Vec<usize>,
    view: &'static str,
}

impl Gallery {
    /// Shows these rows: makes new figures if their number has changed, else updates the texts that have. Returns whether the
    /// figures, and the curves next to them, are new.
    ///
    /// `aspect` is the width of the pictures of all rows over their height.
    pub fn refresh(
        &mut self,
        view: &'static str,
        rows: &[Vec<Figure>],
        aspect: f64,
        selected: Option<ImageId>,
    ) -> Outcome<bool> {
        let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
        let is_new = (view, &counts) != (self.view, &self.rows);
        if is_new {
            build(view, &counts)?;
            (self.view, self.rows) = (view, counts);
        }
        set(&by_id("hall")?, "style", &format!("--aspect: {aspect}; --columns: {}", self.columns()))?;
        self.figures = rows.concat();
        for (element, figure) in all("#hall figure[data-index]")?.iter().zip(&self.figures) {
            describe(element, figure, selected == Some(figure.what) && !figure.is_canvas)?;
        }
        Ok(is_new)
    }

    /// Number of columns of the larger rows; the last row of the sampling view is one of thumbnails.
    fn columns(&self) -> usize {
        if self.view == "plane" { self.rows.iter().copied().fold(3, usize::max) } else { self.rows[0].max(1) }
    }

    /// Positions of the pictures on a canvas of this size in pixels, of which a CSS pixel has `ratio`.
    pub fn pieces(&self, canvas: &Element, size: [u32; 2], ratio: f64) -> Outcome<Vec<Piece>> {
        let whole = canvas.get_bounding_client_rect();
        let piece = |(frame, figure): (&Element, &Figure)| {
            let place = frame.get_bounding_client_rect();
            let pixel = |at: f64, from: f64| ((at - from) * ratio).round();
            let across = [place.left(), place.right()].map(|x| pixel(x, whole.left()));
            let down = [place.top(), place.bottom()].map(|y| pixel(y, whole.top()));
            let [left, right] = across.map(|x| (x / f64::from(size[0]) * 2.0 - 1.0) as f32);
            let [top, bottom] = down.map(|y| (1.0 - y / f64::from(size[1]) * 2.0) as f32);
            let pixels = [across, down].map(|[from, to]| (to - from) as u32);
            Piece { what: figure.what, corners: [left, top, right, bottom], pixels, gain: figure.gain as f32 }
        };
        let frames = all("#hall figure[data-index] .frame")?;
        let pairs = frames.iter().zip(&self.figures).filter(|(_, figure)| figure.missing.is_none());
        Ok(pairs.map(piece).collect())
    }

    /// The picture that can be erased from.
    pub fn canvas(&self) -> Option<ImageId> {
        self.figures.iter().find(|figure| figure.is_canvas).map(|figure| figure.what)
    }

    /// The picture that was clicked, if one was; the one to draw on cannot be selected.
    pub fn clicked(&self, target: &Element) -> Option<ImageId> {
        let figure = target.closest("figure[data-index]").ok()??;
        let index: usize = figure.get_attribute("data-index")?.parse().ok()?;
        let figure = self.figures.get(index).filter(|figure| figure.missing.is_none() && !figure.is_canvas);
        figure.map(|figure| figure.what)
    }
}

fn build(view: &str, rows: &[usize]) -> Outcome {
    let hall: Element = by_id("hall")?;
    hall.set_inner_html("");
    let mut index = 0;
    // The curves stand where there is room: next to the picture, to what the denoiser knows, or to the digit to erase from.
    let beside = if view == "plane" { 0 } else { rows.len().saturating_sub(1) };
    for (row, &count) in rows.iter().enumerate() {
        let line = document()?.create_element("div")?;
        line.set_class_name(if view == "sampling" && row == beside { "line small" } else { "line" });
        for _ in 0..count {
            let figure = document()?.create_element("figure")?;
            figure.set_attribute("data-index", &index.to_string())?;
            figure.set_attribute("tabindex", "0")?;
            figure.set_inner_html("<figcaption><b></b> <span></span></figcaption><div class=frame role=img></div>");
            line.append_child(&figure)?;
            index += 1;
        }
        if row == beside {
            let curves = curves::element()?;
            line.append_child(&curves)?;
        }
        hall.append_child(&line)?;
    }
    Ok(())
}

fn describe(element: &Element, figure: &Figure, selected: bool) -> Outcome {
    let part = |selector| element.query_selector(selector);
    let alarm = if figure.alarming { "alarm" } else { "" };
    if let (Some(name), Some(remark), Some(frame)) = (part("b")?, part("span")?, part(".frame")?) {
        write(&name, &figure.name);
        write(&remark, &figure.remark);
        set(&remark, "class", alarm)?;
        set(&frame, "aria-label", &format!("{} {}", figure.name, figure.remark))?;
        write(&frame, figure.missing.as_deref().unwrap_or(""));
    }
    let class = match figure {
        _ if selected => "selected",
        Figure { missing: Some(_), .. } => "missing",
        Figure { is_canvas: true, .. } => "canvas",
        _ => "",
    };
    set(element, "class", class)?;
    set(element, "title", &figure.story)
}
