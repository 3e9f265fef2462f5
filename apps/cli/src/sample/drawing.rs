//! Drawings of a run: the generated pictures next to those of the set, and the trajectory of one of them.

use super::generate::{Frame, Generated};
use super::sampler_list::Entry;
use super::set::{Likeness, Set};
use crate::filmstrip::{Caption, Filmstrip, Row, THUMBNAIL};
use crate::text::plain;
use anyhow::Result;
use files::Picture;
use image::RgbImage;
use tweedie::math::NoiseLevel;

/// The columns of a trajectory.
const LOOKS: usize = 8;

/// The box of a picture that shares its cell with another.
const HALF: u32 = THUMBNAIL / 2;

/// The calls at which a trajectory is shown: the first, the last, and some between, most of them early, where the picture takes
/// shape.
pub fn looks(calls: usize) -> Vec<usize> {
    let columns = LOOKS.min(calls);
    let last = columns.saturating_sub(1).max(1);
    (0..columns).map(|i| i.max((i * i * (calls - 1) + last * last / 2) / (last * last))).collect()
}

/// A sampler and what it made.
pub struct Shown<'a> {
    pub entry: &'a Entry,
    pub take: &'a Generated,
}

fn caption(text: String) -> Caption {
    Caption { text, alarming: false }
}

/// A likeness as text.
pub fn decibels(likeness: Likeness) -> String {
    match likeness.psnr {
        f64::INFINITY => "equal".to_owned(),
        psnr if psnr.is_finite() => format!("{psnr:.0} dB"),
        _ => "undefined".to_owned(),
    }
}

/// Draws a row for each sampler: each sample with the nearest picture of the set to its right.
pub fn grid(set: &Set, shown: &[Shown<'_>], subtitle: String) -> Result<RgbImage> {
    let row = |one: &Shown<'_>| {
        let likeness: Vec<Likeness> = one.take.samples.iter().map(|sample| set.nearest(sample)).collect();
        let pair = |(sample, near): (&Vec<f32>, &Likeness)| beside(set, sample, near.member);
        let words =
            |near: &Likeness| caption(format!("{}, {}", plain(&set.members[near.member].name), decibels(*near)));
        Ok(Row {
            label: format!("{}\n{}\n{} predicted", one.entry.name, calls(one.entry), one.entry.predicts),
            pictures: one.take.samples.iter().zip(&likeness).map(pair).collect::<Result<_>>()?,
            captions: likeness.iter().map(words).collect(),
        })
    };
    let columns = shown.first().map_or(0, |one| one.take.samples.len());
    Filmstrip {
        title: "Generated, and the nearest picture of the set".into(),
        subtitle,
        column_labels: (1..=columns).map(|i| format!("sample {i}")).collect(),
        rows: shown.iter().map(row).collect::<Result<_>>()?,
    }
    .render()
}

fn calls(entry: &Entry) -> String {
    format!("{} network calls", entry.sampler.calls().len())
}

/// A sample and a member of the set, side by side.
fn beside(set: &Set, sample: &[f32], member: usize) -> Result<Picture> {
    let [left, right] = [&set.picture(sample)?, &set.members[member].picture].map(|half| half.fit(HALF, HALF));
    let rows = left.data.chunks_exact(left.width).zip(right.data.chunks_exact(right.width));
    let joined = rows.flat_map(|(left, right)| left.iter().chain(right)).copied().collect();
    Picture::from_planar(left.width + right.width, left.height, joined)
}

/// Draws the trajectory of the first sample: the sample, and the clean picture that the network predicts.
pub fn trajectory(set: &Set, shown: &Shown<'_>, subtitle: String) -> Result<RgbImage> {
    let Shown { entry, take } = shown;
    let call = |frame: &Frame| &entry.sampler.calls()[frame.call];
    let noisy = |frame: &Frame| set.picture(&unit(&frame.x, call(frame).level));
    let near = |frame: &Frame| caption(decibels(set.nearest(&frame.x0)));
    let noise = |frame: &Frame| caption(format!("{:.0}% noise", 100.0 * call(frame).level.one_minus_alpha_bar()));
    let number = |frame: &Frame| format!("call {}\nt = {}", frame.call + 1, short(call(frame).timestep));
    let frames = &take.frames;
    Filmstrip {
        title: format!("{} in {}, {} predicted", entry.name, calls(entry), entry.predicts),
        subtitle,
        column_labels: frames.iter().map(number).collect(),
        rows: vec![
            Row {
                label: "x_t\nthe sample".into(),
                pictures: frames.iter().map(noisy).collect::<Result<_>>()?,
                captions: frames.iter().map(noise).collect(),
            },
            Row {
                label: "x_0\nwhat the network\nmakes of it".into(),
                pictures: frames.iter().map(|frame| set.picture(&frame.x0)).collect::<Result<_>>()?,
                captions: frames.iter().map(near).collect(),
            },
        ],
    }
    .render()
}

/// Scales a sample to the variance that pictures have, whatever the scale of the sampler.
fn unit(x: &[f32], level: NoiseLevel) -> Vec<f32> {
    let scale = level.alpha().hypot(level.sigma()) as f32;
    x.iter().map(|value| value / scale).collect()
}

fn short(timestep: f64) -> String {
    if timestep.fract() == 0.0 { format!("{timestep}") } else { format!("{timestep:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_hold_both_ends_and_repeat_nothing() {
        for calls in 1..60 {
            let looks = looks(calls);
            assert_eq!((looks[0], *looks.last().unwrap()), (0, calls - 1));
            assert!(looks.windows(2).all(|pair| pair[0] < pair[1]), "{looks:?}");
        }
    }

    #[test]
    fn timesteps_are_short() {
        assert_eq!((short(999.0), short(47.368)), ("999".to_owned(), "47.4".to_owned()));
    }
}
