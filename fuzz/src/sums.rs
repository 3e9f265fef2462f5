//! Losses, terms of the variational bound, chains of them, and draws of timesteps.

use crate::numbers::Number;
use crate::plans::Bench;
use arbitrary::{Arbitrary, Result, Unstructured};
use tweedie::gpu::{
    Gradient, GradientScale, Loss, Recording, Reduction, TimestepDraw, VlbInputs, VlbLoop, VlbLoopTerms, VlbTerms,
};
use tweedie::table::{LossRow, Penalty, Table, Term, VlbRow};

impl<'a> Bench<'a> {
    fn reduction(&self, u: &mut Unstructured<'_>) -> Result<Reduction> {
        Ok(*u.choose(&[Reduction::Mean, Reduction::Sum])?)
    }

    /// This scale, or one in a buffer.
    fn scale(&self, u: &mut Unstructured<'_>, number: GradientScale<'a>) -> Result<GradientScale<'a>> {
        Ok(if u.ratio(1, 3)? { GradientScale::Buffer(self.any(u)?, Self::offset(u)?) } else { number })
    }

    fn words(&self, u: &mut Unstructured<'_>) -> Result<Option<(&'a wgpu::Buffer, u64)>> {
        Ok(if u.arbitrary()? { Some((self.any(u)?, Self::offset(u)?)) } else { None })
    }

    pub fn loss(&self, u: &mut Unstructured<'_>) -> Result<()> {
        let [a, b, c, d, bend]: [Number; 5] = u.arbitrary()?;
        let row = LossRow { prediction: a.0, inputs: [b.0, c.0], weight: d.0 };
        let table = Table::with_undefined(self.table(&[row], u.arbitrary()?));
        let curved = [Penalty::huber(bend.0), Penalty::smooth_l1(bend.0), Penalty::pseudo_huber(bend.0)];
        let penalty = u.choose(&curved)?.as_ref().ok().copied().unwrap_or(Penalty::MSE);
        let prediction = self.tensor(u)?;
        let loss = Loss {
            table: &table,
            penalty,
            shape: self.shape,
            timesteps: self.which(u)?,
            prediction,
            in0: self.maybe(u)?,
            in1: self.noise(u)?,
            losses: (self.any(u)?, Self::offset(u)?),
            mean: if u.arbitrary()? { Some((self.any(u)?, Self::offset(u)?)) } else { None },
            gradient: if u.arbitrary()? {
                let scale = if u.arbitrary()? { 1.0 } else { Number::arbitrary(u)?.0 };
                Some(Gradient::mean(self.output(u, Some(prediction))?).scaled(scale.into()))
            } else {
                None
            },
        };
        let gradient = match loss.gradient {
            Some(gradient) => {
                Some(Gradient { reduction: self.reduction(u)?, scale: self.scale(u, gradient.scale)?, ..gradient })
            }
            None => None,
        };
        let loss = Loss { gradient, ..loss };
        let Ok(plan) = loss.plan(&self.device.context) else { return Ok(()) };
        let _ = plan.set_rows(&self.device.queue, u.int_in_range(0..=9)?, &[row]);
        let _ = plan.set_key(&self.device.queue, u.int_in_range(0..=3)?, Self::key(u)?);
        self.record(u, &plan)
    }

    pub fn timesteps(&self, u: &mut Unstructured<'_>) -> Result<()> {
        let ends: Vec<u64> = if u.arbitrary()? { u.arbitrary()? } else { vec![1 << 32; self.rows] };
        let draw = TimestepDraw {
            ends: &ends,
            batch: self.shape.batch,
            groups: 1,
            key: Self::key(u)?,
            steps: Self::steps(u)?,
            seeds: None,
            stratified: u.arbitrary()?,
            buffer: self.any(u)?,
            offset: Self::offset(u)?,
        };
        let seeds = if u.ratio(1, 4)? { Some((self.any(u)?, Self::offset(u)?)) } else { None };
        let draw = TimestepDraw { seeds, ..draw };
        let Ok(plan) = draw.plan(&self.device.context) else { return Ok(()) };
        let _ = plan.set_key(&self.device.queue, u.int_in_range(0..=3)?, Self::key(u)?);
        let _ = plan.set_ends(&self.device.queue, &vec![0; u.int_in_range(0..=5)?]);
        self.within_a_pass(|pass| drop(plan.record(pass, Recording::per_sample().step(1))));
        Ok(())
    }

    fn vlb_row(u: &mut Unstructured<'_>) -> Result<VlbRow> {
        let mut number = || Ok(if u.arbitrary()? { Number::arbitrary(u)?.0 } else { 0.0 });
        Ok(VlbRow {
            prediction: number()?,
            inputs: [number()?, number()?],
            inverse_deviation: number()?,
            log_ratio: [number()?, number()?],
            weight: number()?,
            term: *u.choose(&[Term::Divergence, Term::Decoder, Term::SquaredError])?,
        })
    }

    fn vlb<'t>(&self, u: &mut Unstructured<'_>, table: &'t Table<VlbRow>) -> Result<VlbInputs<'t>>
    where
        'a: 't,
    {
        Ok(VlbInputs {
            table,
            clip: if u.ratio(1, 4)? { Some(Number::arbitrary(u)?.0) } else { None },
            shape: self.shape,
            prediction: self.tensor(u)?,
            learned: self.maybe(u)?,
            x0: self.tensor(u)?,
            in1: self.noise(u)?,
        })
    }

    pub fn terms(&self, u: &mut Unstructured<'_>) -> Result<()> {
        let row = Self::vlb_row(u)?;
        let table = Table::with_undefined(self.table(&[row], u.arbitrary()?));
        let inputs = self.vlb(u, &table)?;
        let number = GradientScale::from(if u.arbitrary()? { 1.0 } else { Number::arbitrary(u)?.0 });
        let terms = VlbTerms {
            inputs,
            timesteps: self.which(u)?,
            terms: (self.any(u)?, Self::offset(u)?),
            mean: self.words(u)?,
            gradient: if u.arbitrary()? { Some(self.output(u, Some(inputs.prediction))?) } else { None },
            learned_gradient: if u.arbitrary()? { Some(self.output(u, inputs.learned)?) } else { None },
            reduction: self.reduction(u)?,
            scale: self.scale(u, number)?,
        };
        let Ok(plan) = terms.plan(&self.device.context) else { return Ok(()) };
        let _ = plan.set_rows(&self.device.queue, u.int_in_range(0..=9)?, &[row]);
        let _ = plan.set_key(&self.device.queue, u.int_in_range(0..=3)?, Self::key(u)?);
        self.record(u, &plan)
    }

    pub fn chain(&self, u: &mut Unstructured<'_>) -> Result<()> {
        let table = Table::with_undefined(self.table(&[Self::vlb_row(u)?], u.arbitrary()?));
        let chain = VlbLoopTerms { inputs: self.vlb(u, &table)?, total: self.words(u)? };
        let Ok(chain) = VlbLoop::new(&self.device.context, &chain) else { return Ok(()) };
        let _ = chain.set_key(&self.device.queue, u.int_in_range(0..=3)?, Self::key(u)?);
        let at = Recording::timestep(u.int_in_range(0..=9)?);
        self.within_a_pass(|pass| {
            chain.record_start(pass);
            let _ = chain.record(pass, at);
            chain.record_total(pass);
        });
        Ok(())
    }
}
