//! The rows of a recorded loop.
//!
//! **Practice.** [`Recorder::finish`] first finds which combinations of each call later rows need, then writes the rows. The
//! place of a remembered tensor in the history is the number of rows since its call.

use super::call::Call;
use super::linear::{Linear, Term};
use super::recorder::{Noted, Recorded, Recorder, axis};
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::table::step::{HISTORY, StepRow};

impl Recorder {
    /// Ends the loop with its result.
    ///
    /// # Errors
    /// [`SamplerError::Unsupported`] for a combination that no row can compute, [`SamplerError::NotFinite`] for a coefficient
    /// that is not finite.
    pub fn finish(self, result: &Linear) -> Result<Recorded, SamplerError> {
        let mut nexts: Vec<Linear> = self.calls.iter().skip(1).map(|call| call.from_last.clone()).collect();
        if !self.calls.is_empty() {
            nexts.push(self.current(result)?);
        }
        // A remembered value that its own call uses is replaced by its definition.
        for (k, (call, next)) in self.calls.iter().zip(&mut nexts).enumerate() {
            for (i, value) in call.remembered.iter().enumerate() {
                *next = next.with(Term::Remembered(k, i), value);
            }
        }
        let first = self.calls.first().map_or(result, |call| &call.from_last).clone();
        let start = self.first_sample(&first)?;
        let memories = self.memories(&nexts);
        let mut calls = Vec::new();
        let mut asks = Vec::new();
        // The last row of each call, from which later rows count back.
        let mut ends = Vec::new();
        for (k, next) in nexts.iter().enumerate() {
            for (i, direction) in memories[k].iter().enumerate() {
                let is_last = i + 1 == memories[k].len();
                let row = if is_last { self.row(k, next, &memories, &ends, calls.len())? } else { StepRow::IDENTITY };
                calls.push(self.call_of(k, StepRow { kept: *direction, ..row }, next, is_last)?);
                asks.push(i == 0);
            }
            ends.push(calls.len() - 1);
        }
        Ok(Recorded { calls, asks, start, draws: self.draws })
    }

    fn first_sample(&self, first: &Linear) -> Result<(f64, Vec<(usize, f64)>), SamplerError> {
        let mut noises = Vec::new();
        for (term, c) in first.terms() {
            match term {
                Term::Start => {}
                Term::Noise(i) => noises.push((i, c)),
                _ => return Err(self.unsupported("start the loop from a network answer")),
            }
        }
        Ok((first.coefficient(Term::Start), noises))
    }

    /// The memory of each call: the combinations of its sample, clean sample and unconditional clean sample that later rows
    /// need. At least one per call: the clean sample where none is needed.
    fn memories(&self, nexts: &[Linear]) -> Vec<Vec<[f64; 3]>> {
        let mut memories: Vec<Vec<[f64; 3]>> = vec![Vec::new(); nexts.len()];
        for (k, next) in nexts.iter().enumerate() {
            for j in earlier(next, k) {
                let needed = self.needed(next, j);
                if needed != [0.0; 3] && shares(&memories[j], needed).is_none() {
                    memories[j].push(unit(needed));
                }
            }
        }
        let unused = memories.iter_mut().filter(|directions| directions.is_empty());
        unused.for_each(|directions| directions.push(StepRow::IDENTITY.kept));
        memories
    }

    /// The coefficients of the sample, the clean sample and the unconditional clean sample of an earlier call.
    fn needed(&self, next: &Linear, j: usize) -> [f64; 3] {
        let mut needed = [0.0; 3];
        let values = self.calls[j].remembered.iter().enumerate();
        let named: Vec<Linear> = values.map(|(i, value)| value * next.coefficient(Term::Remembered(j, i))).collect();
        for (term, c) in next.terms().chain(named.iter().flat_map(Linear::terms)) {
            if let Some(axis) = axis(term, j) {
                needed[axis] += c;
            }
        }
        needed
    }

    fn row(
        &self,
        k: usize,
        next: &Linear,
        memories: &[Vec<[f64; 3]>],
        ends: &[usize],
        at: usize,
    ) -> Result<StepRow, SamplerError> {
        let mut noises = next.terms().filter_map(|(term, c)| match term {
            Term::Noise(i) => Some((i, c)),
            _ => None,
        });
        let (mut first, mut second) = (noises.next(), noises.next());
        if noises.next().is_some() {
            return Err(self.unsupported("use three noises in one row"));
        }
        if second > first {
            (first, second) = (second, first);
        }
        let mut history = [0.0; HISTORY];
        for j in earlier(next, k) {
            let end = ends[j];
            let needed = self.needed(next, j);
            if needed == [0.0; 3] {
                continue;
            }
            let used = shares(&memories[j], needed)
                .ok_or_else(|| self.unsupported("use a combination that an earlier call did not remember"))?;
            for (i, share) in used.into_iter().enumerate() {
                // A call with several rows remembers one value in each, the last one in its last row.
                let back = at - end + memories[j].len() - 1 - i;
                if share != 0.0 {
                    let slot = back.checked_sub(1).and_then(|slot| history.get_mut(slot));
                    *slot.ok_or_else(|| self.unsupported("look back further than rows can"))? = share;
                }
            }
        }
        let next_call = self.calls.get(k + 1);
        let known = next_call.map_or(NoiseLevel::CLEAN, |call| call.asked.level);
        Ok(StepRow {
            x: next.coefficient(Term::Sample(k)),
            clean: next.coefficient(Term::Clean(k)),
            unconditional_clean: next.coefficient(Term::Unconditional(k)),
            history,
            z: first.map_or(0.0, |(_, c)| c),
            stream: first.and_then(|(i, _)| u32::try_from(i).ok()),
            second_z: second.map_or((0.0, 0), |(i, c)| (c, i as u32)),
            known: [known.alpha(), known.sigma()],
            input: next_call.map_or(1.0, |call| call.asked.input),
            ..StepRow::IDENTITY
        })
    }

    /// The call of a row, with its x0. A row that only remembers keeps the sample and its scale.
    fn call_of(&self, k: usize, row: StepRow, next: &Linear, is_last: bool) -> Result<Call, SamplerError> {
        let Noted { asked, step, .. } = &self.calls[k];
        let [c_x, c_p] = asked.x0;
        let input = if is_last { row.input } else { asked.input };
        let row = StepRow { x0: [c_x, c_p, 0.0], input, ..row };
        let noise = row.stream.map_or(0, |stream| stream as usize);
        let numbers = [row.x, row.clean, row.unconditional_clean, row.z, row.second_z.0, row.input, c_x, c_p];
        let terms = next.terms().map(|(_, c)| c);
        let mut all = numbers.into_iter().chain(row.history).chain(row.kept).chain(terms);
        match all.find(|number| !number.is_finite()) {
            Some(value) => Err(SamplerError::NotFinite { step: k, value }),
            None => Ok(Call {
                timestep: asked.told,
                next_timestep: None,
                level: asked.level,
                input: asked.input,
                step: *step,
                noise,
                row,
            }),
        }
    }
}

/// The calls before the call `k` that a combination uses, each once.
fn earlier(next: &Linear, k: usize) -> Vec<usize> {
    let call = |(term, _): (Term, f64)| match term {
        Term::Sample(j) | Term::Clean(j) | Term::Unconditional(j) | Term::Remembered(j, _) => Some(j),
        Term::Start | Term::Noise(_) => None,
    };
    let mut calls: Vec<usize> = next.terms().filter_map(call).filter(|j| *j < k).collect();
    calls.sort_unstable();
    calls.dedup();
    calls
}

/// The combination that is remembered for a needed one: a single tensor with coefficient 1, else the combination itself.
fn unit(needed: [f64; 3]) -> [f64; 3] {
    match needed.iter().filter(|c| **c != 0.0).count() {
        1 => needed.map(|c| if c == 0.0 { 0.0 } else { 1.0 }),
        _ => needed,
    }
}

/// The relative size of the rest of a combination that lies in the span of the directions: a few roundings.
const LEFT: f64 = 1e-13;

/// The coefficients with which at most three directions sum to a combination; `None` if they do not span it.
fn shares(directions: &[[f64; 3]], needed: [f64; 3]) -> Option<Vec<f64>> {
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let size = dot(needed, needed).sqrt();
    // Gram-Schmidt: each direction less its projections on those before it.
    let mut bases: Vec<([f64; 3], Vec<f64>)> = Vec::new();
    let (mut left, mut shares) = (needed, vec![0.0; directions.len()]);
    for (i, &direction) in directions.iter().enumerate() {
        let (mut basis, mut of) = (direction, vec![0.0; directions.len()]);
        of[i] = 1.0;
        for (other, of_other) in &bases {
            let share = dot(basis, *other) / dot(*other, *other);
            basis.iter_mut().zip(other).for_each(|(b, o)| *b -= share * o);
            of.iter_mut().zip(of_other).for_each(|(a, o)| *a -= share * o);
        }
        let share = dot(left, basis) / dot(basis, basis);
        if share.is_finite() {
            left.iter_mut().zip(basis).for_each(|(l, b)| *l -= share * b);
            shares.iter_mut().zip(&of).for_each(|(s, o)| *s += share * o);
        }
        bases.push((basis, of));
    }
    (dot(left, left).sqrt() <= LEFT * size).then_some(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sampler::recorder::Asked;

    /// A few roundings of numbers near 1.
    const ROUNDINGS: f64 = 1e-14;

    fn asked(sigma: f64) -> Asked {
        let level = NoiseLevel::variance_exploding(sigma).unwrap();
        Asked { told: sigma, level, input: 1.0, x0: [0.0, 1.0] }
    }

    /// The samples of a loop whose tensors are single numbers, with a network whose answers are listed.
    fn run(loop_: &Recorded, answers: &[[f64; 2]], noises: &[f64], start: f64) -> Vec<f64> {
        let mut x = loop_.start.0 * start + loop_.start.1.iter().map(|(i, c)| c * noises[*i]).sum::<f64>();
        let (mut past, mut samples, mut asked) = (Vec::new(), vec![x], 0);
        for (call, asks) in loop_.calls.iter().zip(&loop_.asks) {
            asked += usize::from(*asks);
            let ([d, u], row) = (answers[asked - 1], &call.row);
            let history: f64 = row.history.iter().zip(past.iter().rev()).map(|(c, h)| c * h).sum();
            let noise = |(c, i): (f64, usize)| if c == 0.0 { 0.0 } else { c * noises[i] };
            let kept = row.kept[0] * x + row.kept[1] * d + row.kept[2] * u;
            x = row.x * x
                + row.clean * d
                + row.unconditional_clean * u
                + history
                + noise((row.z, call.noise))
                + noise((row.second_z.0, row.second_z.1 as usize));
            past.push(kept);
            samples.push(x);
        }
        samples
    }

    /// The samples by their formulas; remembered values are given as combinations of their call's own terms.
    fn written(samples: &[Linear], remembered: &[Linear], start: f64) -> Vec<f64> {
        let mut values: Vec<f64> = Vec::new();
        for formula in samples {
            values.push(value(formula, remembered, start, &values));
        }
        values
    }

    fn value(formula: &Linear, remembered: &[Linear], start: f64, values: &[f64]) -> f64 {
        let of = |term: Term| match term {
            Term::Start => start,
            Term::Sample(k) => values[k],
            Term::Clean(k) => ANSWERS[k][0],
            Term::Unconditional(k) => ANSWERS[k][1],
            Term::Noise(i) => NOISES[i],
            Term::Remembered(k, _) => value(&remembered[k], remembered, start, values),
        };
        formula.terms().map(|(term, c)| c * of(term)).sum()
    }

    const ANSWERS: [[f64; 2]; 4] = [[0.4, -0.2], [1.1, 0.3], [-0.7, 0.9], [0.2, 0.6]];
    const NOISES: [f64; 3] = [0.5, -1.3, 2.1];

    #[test]
    fn stages_divide_the_first_sample_out() {
        let mut it = Recorder::new("test");
        let x = it.start() * 2.0 + it.noise() * 0.5;
        let first = it.call(&x, asked(3.0)).unwrap();
        let z = it.noise();
        let middle = &first.x * 0.6 + &first.d * 0.4 + &z * 0.3;
        let second = it.call(&middle, asked(2.0)).unwrap();
        // Both stages lie on one noise path: only the new noise remains.
        let end = &first.x * 0.3 + &first.d * 0.2 + &second.d * 0.5 + &z * 0.15 + it.noise() * 0.7;
        let loop_ = it.finish(&end).unwrap();
        assert_eq!(loop_.calls[1].row.second_z.0, 0.0);
        assert_eq!(loop_.calls[1].noise, 2);
        let found = run(&loop_, &ANSWERS, &NOISES, 1.7);
        for (found, expected) in found.iter().zip(written(&[x, middle, end], &[], 1.7)) {
            assert!((found - expected).abs() < ROUNDINGS, "{found} {expected}");
        }
    }

    #[test]
    fn a_call_remembers_what_later_rows_need() {
        let mut it = Recorder::new("test");
        let mut x = it.start();
        let (mut slopes, mut others) = (Vec::new(), Vec::new());
        let (mut samples, mut remembered) = (Vec::new(), Vec::new());
        for step in 0..4 {
            it.step(step);
            samples.push(x.clone());
            let now = it.call(&x, asked(4.0 - step as f64)).unwrap();
            remembered.push((&now.x - &now.d) * 0.5);
            let slope = it.remember(&remembered[step]).unwrap();
            x = &now.x * 0.9 + &slope * 0.2 + &now.u * 0.1;
            if let Some(last) = slopes.last() {
                x = x + last * 0.3;
            }
            // A second combination of a call takes a row of its own.
            if step == 3 {
                x = x + &others[1] * 0.25;
            }
            slopes.push(slope);
            others.push(now.u.clone());
        }
        let loop_ = it.finish(&x).unwrap();
        assert_eq!(loop_.asks, [true, true, false, true, true]);
        let found = run(&loop_, &ANSWERS, &NOISES, 1.7);
        samples.push(x);
        let expected = written(&samples, &remembered, 1.7);
        assert!((found[5] - expected[4]).abs() < ROUNDINGS, "{found:?} {expected:?}");
        assert_eq!(loop_.calls[0].row.kept, [0.3 * 0.5, -0.3 * 0.5, 0.0]);
    }

    #[test]
    fn what_no_row_can_do_is_an_error() {
        let mut it = Recorder::new("test");
        let first = it.call(&it.start(), asked(1.0)).unwrap();
        let second = it.call(&first.d, asked(0.5)).unwrap();
        assert!(matches!(it.call(&(&first.x - &second.d), asked(0.2)), Err(SamplerError::Unsupported { .. })));
        assert!(it.remember(&first.d).is_err());
        let three = it.noise() + it.noise() + it.noise();
        assert!(it.finish(&three).is_err());
    }
}
