//! The wall of the samplers of a run: what each makes of the same noise, as pictures side by side.
//!
//! The data are two arms of a spiral in the plane, and the network is perfect (crate `networks`). Every run is recorded whole and
//! computed on the adapter. The errors of a sampler are visible: arms that are too thin, blurred, or broken into beads.

use crate::engine::{Adapter, front_failure, gpu_failure};
use crate::filmstrip::{Caption, Filmstrip, Row};
use crate::progress::Progress;
use crate::report::{Failure, Outcome};
use crate::text::{blend, plain};
use anyhow::{Result, anyhow};
use files::Picture;
use image::{Rgb, Rgb32FImage, RgbImage};
use networks::{Ask, Calls, Mixture, Network, Tensors, run_asks};
use std::f32::consts::TAU;
use tweedie::gpu::NoiseKey;
use tweedie::math::run::{RunError, RunInputs, RunLoop};
use tweedie::{Loop, LoopTensors, Shape, Tensor};

/// The points of a picture.
const POINTS: u32 = 8192;
/// The Gaussians of an arm, from the first radius to the last in `TURNS` turns. Each coordinate has a deviation near 1.
const ARM: u32 = 40;
const RADII: [f32; 2] = [0.5, 1.9];
const TURNS: f32 = 0.8;
const DEVIATION: f32 = 0.06;

/// The side of a picture in pixels, and half of it in the plane.
const SIDE: u32 = 160;
const REACH: f32 = 2.3;
/// The height of the curve below it.
const STRIP: u32 = 32;
/// The pictures of a row.
const COLUMNS: usize = 8;

const GROUND: [u8; 3] = [18, 19, 28];
const LINE: [u8; 3] = [255, 190, 120];
/// The colours of few and of many points.
const FEW: [f32; 3] = [0.30, 0.52, 1.0];
const MANY: [f32; 3] = [1.0, 0.96, 0.86];

/// A sampler on the wall: its run, and its distances for each number of calls.
pub struct Card {
    pub name: &'static str,
    pub run: RunLoop,
    pub distances: Vec<Option<f64>>,
}

/// Computes and draws the wall.
pub fn wall(adapter: &Adapter, seed: u64, cards: &[Card], subtitle: String) -> Outcome<RgbImage> {
    let data = spiral();
    let distances = || cards.iter().flat_map(|card| &card.distances).filter_map(|distance| shown(*distance));
    let ends = [distances().fold(f64::INFINITY, f64::min), distances().fold(0.0, f64::max)].map(f64::ln);
    let mut pictures = vec![("the data".to_owned(), picture(&exact(&data, seed), &[], ends))];
    let mut progress = Progress::new("sampling", cards.len() as u64);
    for card in cards {
        let points =
            if card.run.is_adaptive() { on_host(card, &data, seed) } else { on_gpu(adapter, card, &data, seed) };
        pictures.push((card.name.to_owned(), picture(&points?, &card.distances, ends)));
        progress.advance(1);
    }
    Ok(draw(&pictures, subtitle)?)
}

fn spiral() -> Mixture {
    let mean = |k: u32| {
        // Equal steps of the arc length, which grows as the square of the radius.
        let [inner, outer] = RADII.map(|radius| radius * radius);
        let radius = (inner + (outer - inner) * (k / 2) as f32 / (ARM - 1) as f32).sqrt();
        let angle = TAU * (TURNS * (radius - RADII[0]) / (RADII[1] - RADII[0]) + 0.5 * (k % 2) as f32);
        [radius * angle.cos(), radius * angle.sin()]
    };
    let means: Vec<f32> = (0..2 * ARM).flat_map(mean).collect();
    Mixture::new(2, &means, &[1.0; 2 * ARM as usize], DEVIATION)
}

/// The noise that recorded runs of this seed start with.
fn start_noise(seed: u64) -> Vec<f64> {
    let key = NoiseKey::seed(seed);
    key.stream(key.stream.wrapping_sub(1)).reference(POINTS as usize, 2)
}

/// Draws from the data themselves.
fn exact(data: &Mixture, seed: u64) -> Vec<f32> {
    let means = data.means().collect::<Vec<_>>().concat();
    start_noise(seed).iter().zip(means.iter().cycle()).map(|(normal, mean)| mean + DEVIATION * *normal as f32).collect()
}

/// Records a run whole on the adapter, and returns its points.
fn on_gpu(adapter: &Adapter, card: &Card, data: &Mixture, seed: u64) -> Outcome<Vec<f32>> {
    let Adapter { gpu, context, .. } = adapter;
    let shape = Shape::new(POINTS, 2);
    let buffer = |label| gpu.buffer(label, 4 * shape.total());
    let [x, input, prediction] = ["wall::x", "wall::input", "wall::prediction"].map(buffer);
    let network = Network::new(
        &gpu.device,
        data,
        &run_asks(&card.run),
        Tensors { batch: POINTS, x: &input, prediction: &prediction },
        Calls::Recorded,
    );
    let [x_tensor, input, predicted] = [&x, &input, &prediction].map(Tensor::f32);
    // Without guidance the network has one answer.
    let tensors = LoopTensors { unconditional: Some(predicted), ..LoopTensors::new(x_tensor, input, predicted) };
    let recorded = Loop::new(context, &card.run, shape, &tensors, NoiseKey::seed(seed)).map_err(front_failure)?;
    let record = |encoder: &mut wgpu::CommandEncoder| {
        recorded.record(encoder, |encoder, call| {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            network.record(&mut pass, call.index as u32);
            Ok::<(), tweedie::Error>(())
        })
    };
    gpu.submit(record).map_err(gpu_failure)?.map_err(front_failure)?;
    let bytes = pollster::block_on(gpu.download(&x, 0..x.size())).map_err(gpu_failure)?;
    Ok(bytemuck::pod_collect_to_vec(&bytes))
}

/// Computes a run that chooses its own steps on the host, since its calls are not known ahead.
fn on_host(card: &Card, data: &Mixture, seed: u64) -> Outcome<Vec<f32>> {
    let (model, noise) = (card.run.model(), start_noise(seed));
    let inputs = RunInputs { noise: Some(&noise), ..RunInputs::default() };
    let record = card.run.drive::<RunError>(&inputs, |call| {
        let (ask, input) = (Ask::of_model(model, call.sigma), model.input(call.sigma));
        let answer = |x: &[f64]| data.answer(&ask, &[input * x[0], input * x[1]]);
        let output: Vec<f64> = call.x.chunks_exact(2).flat_map(answer).collect();
        Ok([output.clone(), output, Vec::new(), Vec::new()])
    });
    let record = record.map_err(|error| Failure::input(anyhow!("{}: {error}", card.name)))?;
    Ok(record.output.iter().map(|number| *number as f32).collect())
}

fn shown(distance: Option<f64>) -> Option<f64> {
    distance.filter(|distance| distance.is_finite() && *distance > 0.0)
}

/// Draws the points by brightness, and the distances as a curve below.
fn picture(points: &[f32], distances: &[Option<f64>], [least, most]: [f64; 2]) -> Picture {
    let mut image = RgbImage::from_pixel(SIDE, SIDE + STRIP, Rgb(GROUND));
    let scale = SIDE as f32 / (2.0 * REACH);
    let mut counts = vec![0.0f32; (SIDE * SIDE) as usize];
    for point in points.chunks_exact(2) {
        let [x, y] = [point[0], -point[1]].map(|at| ((at + REACH) * scale).floor());
        let inside = |at: f32| (0.0..SIDE as f32).contains(&at); // NaN is not
        if inside(x) && inside(y) {
            counts[(y * SIDE as f32 + x) as usize] += 1.0;
        }
    }
    // Single points are visible, and many do not drown the others.
    let bright = |count: f32| 1.0 - (-0.45 * count).exp();
    for (count, pixel) in counts.iter().zip(image.pixels_mut()) {
        let part = bright(*count);
        for ((value, few), many) in pixel.0.iter_mut().zip(FEW).zip(MANY) {
            let colour = 255.0 * (few + (many - few) * part);
            *value = (f32::from(*value) + (colour - f32::from(*value)) * part).round() as u8;
        }
    }
    let at = |k: usize| 6.0 + (SIDE as f64 - 12.0) * k as f64 / (distances.len().max(2) - 1) as f64;
    let height = |distance: f64| {
        let part = if most > least { (distance.ln() - least) / (most - least) } else { 0.5 };
        f64::from(SIDE + STRIP) - 6.0 - (f64::from(STRIP) - 10.0) * part
    };
    let known: Vec<[f64; 2]> = (0..).zip(distances).filter_map(|(k, it)| Some([at(k), height(shown(*it)?)])).collect();
    known.windows(2).for_each(|pair| segment(&mut image, [pair[0], pair[1]]));
    known.iter().for_each(|place| segment(&mut image, [*place, [place[0] + 0.01, place[1]]]));
    let colours = Rgb32FImage::from_fn(SIDE, SIDE + STRIP, |x, y| {
        Rgb(image.get_pixel(x, y).0.map(|value| f32::from(value) / 255.0))
    });
    Picture::from_colours(&colours)
}

/// Draws a line with soft edges.
fn segment(image: &mut RgbImage, [from, to]: [[f64; 2]; 2]) {
    let along = [to[0] - from[0], to[1] - from[1]];
    let square = along[0].powi(2) + along[1].powi(2);
    for x in (from[0] - 2.0) as i64..=(to[0] + 2.0) as i64 {
        for y in i64::from(SIDE)..i64::from(SIDE + STRIP) {
            let at = [x as f64 + 0.5 - from[0], y as f64 + 0.5 - from[1]];
            let part = ((at[0] * along[0] + at[1] * along[1]) / square).clamp(0.0, 1.0);
            let away = (at[0] - part * along[0]).hypot(at[1] - part * along[1]);
            blend(image, x, y, LINE, (1.6 - away) as f32);
        }
    }
}

/// Draws the table of the pictures, row by row.
fn draw(pictures: &[(String, Picture)], subtitle: String) -> Result<RgbImage> {
    let columns = pictures.len().min(COLUMNS);
    let blank = || (String::new(), picture(&[], &[], [0.0; 2]));
    let row = |(number, of_row): (usize, &[(String, Picture)])| {
        let padded: Vec<(String, Picture)> =
            of_row.iter().cloned().chain(std::iter::repeat_with(blank)).take(columns).collect();
        // The data are not one of the samplers.
        let (first, last) = ((number * columns).max(1), number * columns + of_row.len() - 1);
        let (captions, pictures) = padded.into_iter().unzip::<_, _, Vec<_>, _>();
        Row {
            label: if last > first { format!("{first} to {last}") } else { format!("{last}") },
            pictures,
            captions: captions.iter().map(|name| Caption { text: plain(name), alarming: false }).collect(),
        }
    };
    Filmstrip {
        title: "Two arms of a spiral, as the samplers of a run draw them with a perfect network".into(),
        subtitle,
        column_labels: vec![String::new(); columns],
        rows: pictures.chunks(columns).enumerate().map(row).collect(),
    }
    .render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_shine_where_they_are() {
        let lit = |point: [f32; 2]| {
            let image = picture(&point, &[], [0.0; 2]).to_rgb();
            image.enumerate_pixels().find(|(_, _, pixel)| pixel.0 != GROUND).map(|(x, y, _)| (x, y))
        };
        assert_eq!(lit([0.01, -0.01]), Some((80, 80)));
        assert_eq!(lit([-REACH, REACH]), Some((0, 0)));
        assert_eq!([lit([REACH, 0.0]), lit([f32::NAN, 0.0])], [None; 2]);
    }

    #[test]
    fn curves_fall_with_the_distance() {
        let image = picture(&[], &[Some(1.0), None, Some(0.1)], [0.1f64.ln(), 0.0]).to_rgb();
        let height = |x: u32| (SIDE..SIDE + STRIP).find(|&y| image.get_pixel(x, y).0 == LINE);
        assert!(height(6) < height(80) && height(80) < height(SIDE - 7), "{:?}", [6, 80, SIDE - 7].map(height));
    }

    #[test]
    fn the_data_have_the_deviation_of_a_latent() {
        let points = exact(&spiral(), 1);
        let square = points.iter().map(|x| f64::from(x * x)).sum::<f64>() / points.len() as f64;
        assert!((square - 1.0).abs() < 0.1, "{square}");
    }
}
