//! The finish of a call, which changes its mixture at each position: norms and cosines along an axis, and levels of a pyramid.

use crate::math::error::guidance::GuidanceError;
use crate::math::guidance::pyramid::sum_of_levels;
use crate::table::finish::{Axis, Finish};

/// The number added to a norm in a denominator, as in ComfyUI.
const NORM_EPSILON: f64 = 1e-8;

/// The least norm in the denominator of a cosine, as in torch.
const LEAST_NORM: f64 = 1e-8;

/// Applies a finish to the mixture `guided` of a batch of this shape.
///
/// # Errors
/// [`GuidanceError::Axis`], [`GuidanceError::Channels`] and [`GuidanceError::Pyramid`] for a shape without the axis or the levels.
pub(super) fn finish(
    how: Finish,
    shape: &[usize],
    guided: &mut [f64],
    c: &[f64],
    u: &[f64],
) -> Result<(), GuidanceError> {
    let (rank, axis) = (shape.len(), how.axis(shape));
    match how {
        Finish::Norm { axis: found, strength, clamped } => {
            let axis = axis.ok_or(GuidanceError::Axis { rank, found })?;
            norm(&axis, strength, clamped, guided, c);
        }
        Finish::Mahiro { scale, over_batch } => {
            let axis = axis.ok_or(GuidanceError::Channels { rank })?;
            let sample = shape[1..].iter().product::<usize>().max(1);
            let group = if over_batch { guided.len().max(1) } else { sample };
            for ((guided, c), u) in guided.chunks_mut(group).zip(c.chunks(group)).zip(u.chunks(group)) {
                mahiro(&axis, scale, guided, c, u);
            }
        }
        Finish::Pyramid(pyramid) => {
            let (levels, found) = (pyramid.levels().len(), shape);
            let sizes = pyramid.sizes(shape);
            let sizes = sizes.ok_or_else(|| GuidanceError::Pyramid { levels, found: found.to_vec() })?;
            sum_of_levels(&pyramid, &sizes, guided, c, u);
        }
    }
    Ok(())
}

fn norm(axis: &Axis, strength: f64, clamped: bool, guided: &mut [f64], c: &[f64]) {
    for first in axis.positions(guided.len()) {
        let of_c = axis.sum(first, |i| c[i] * c[i]).sqrt();
        let of_guided = axis.sum(first, |i| guided[i] * guided[i]).sqrt();
        let factor = match clamped {
            true => (of_c / (of_guided + NORM_EPSILON)).min(1.0),
            false if of_guided > 0.0 => of_c / of_guided,
            false => 1.0, // the result is 0
        };
        axis.elements(first).for_each(|i| guided[i] *= strength * factor);
    }
}

fn mahiro(axis: &Axis, scale: f64, guided: &mut [f64], c: &[f64], u: &[f64]) {
    let root = |x: f64| x.abs().sqrt().copysign(x);
    let likeness = |first| {
        let of_u = |i: usize| root(scale * u[i]);
        let of_merged = |i: usize| root((scale * c[i] + guided[i]) / 2.0);
        let [uu, mm] = [axis.sum(first, |i| of_u(i).powi(2)), axis.sum(first, |i| of_merged(i).powi(2))];
        let [u_norm, m_norm] = [uu, mm].map(|squares| squares.sqrt().max(LEAST_NORM));
        axis.sum(first, |i| of_u(i) * of_merged(i)) / (u_norm * m_norm)
    };
    let positions = (guided.len() / axis.length.max(1)).max(1) as f64;
    let likeness = axis.positions(guided.len()).map(likeness).sum::<f64>() / positions;
    for (guided, c) in guided.iter_mut().zip(c) {
        *guided = ((likeness + 1.0) * *guided + (1.0 - likeness) * scale * c) / 2.0;
    }
}
