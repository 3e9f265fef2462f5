//! Rows of a sampler step.
//!
//! **Theory.** Every solver of this library, with whatever guidance, clipping and noise, does the same to each element:
//!
//! ```text
//! p    = guidance[0]*conditional + guidance[1]*unconditional
//! x0   = clip(x0[0]*x + x0[1]*p + x0[2]*z)
//! u0   =      x0[0]*x + x0[1]*unconditional + x0[2]*z
//! next = x*x + p*p + clean*x0 + unconditional_clean*u0 + sum(history[k]*h[k]) + z*s*z + second_z*z2
//! next = next + mask*(known[0]*reference + known[1]*z - next)
//! net  = input*next
//! ```
//!
//! where `z` and `z2` are standard normal noise on two streams, `h` are the tensors that the last steps remembered, latest
//! first (each step remembers its `kept[0]*x + kept[1]*x0 + kept[2]*u0`), and `s` is 1 or a standard deviation that the network
//! has learned. A prediction of several slices is their sum weighted by `slices`. A plan with guidance rescale also multiplies
//! `p` by a factor for each sample. A solver only chooses the coefficients.
//!
//! **Practice.** An operand whose coefficient is 0 is not read: it may be missing, or have any content. The sample and
//! the conditional prediction are always read, and must be finite.

/// The number of earlier calls that a step may look back to.
pub(crate) const HISTORY: usize = 12;

/// The most slices of a prediction.
pub(crate) const SLICES: usize = 16;

/// The number of streams that a row can name: f32 represents all smaller integers exactly.
pub(crate) const STREAMS: u32 = 1 << 24;

/// The number of f32 numbers in a rounded row, and in an extended one: a row that looks back further than three calls, remembers
/// anything but the clean sample, or uses the clean sample of the unconditional prediction, a second noise or slices. The
/// weights of slices follow.
const WIDTHS: [usize; 2] = [20, 36];

/// The number of f32 numbers in the longest row.
const MOST: usize = WIDTHS[1] + SLICES;

/// The weights of a prediction of one slice.
const ONE_SLICE: [f64; SLICES] = {
    let mut weights = [0.0; SLICES];
    weights[0] = 1.0;
    weights
};

/// The coefficients of one step; see the [module](self) for what each multiplies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRow {
    /// The coefficients of the conditional and the unconditional prediction: `[1, 0]` without guidance.
    pub guidance: [f64; 2],
    /// The coefficients of `x`, `p` and `z` in the clean sample before clipping.
    pub x0: [f64; 3],
    /// The coefficient of `x` in the next sample.
    pub x: f64,
    /// The coefficient of `p` in the next sample.
    pub p: f64,
    /// The coefficient of the clipped clean sample in the next sample.
    pub clean: f64,
    /// The coefficient of the clean sample that the unconditional prediction implies, not clipped (CFG++, Chung et al. 2024,
    /// arXiv 2406.08070).
    pub unconditional_clean: f64,
    /// The coefficients of the tensors that the last calls remembered, latest first.
    pub history: [f64; HISTORY],
    /// The coefficients of `x`, of the clean sample and of the unclipped clean sample of the unconditional prediction in the
    /// tensor that the call remembers: `[0, 1, 0]` for the clean sample itself.
    pub kept: [f64; 3],
    /// The coefficient of the noise in the next sample.
    pub z: f64,
    /// A learned standard deviation is `exp(learned[0] + learned[1]*v)`; see [`Deviation::Log`].
    pub learned: [f64; 2],
    /// The deviation that `z` is written for, which a [`Sampler`](crate::Sampler) states; `None` for that of the plan. A plan
    /// with another deviation refuses the row, except that a plan of [`Deviation::Log`] also takes
    /// [fixed](Deviation::Fixed) rows, whose `learned` is `[0, 0]`.
    pub deviation: Option<Deviation>,
    /// The level of the next sample in a known region: the coefficients of the known clean sample and of `z`.
    pub known: [f64; 2],
    /// The scale of the network's input.
    pub input: f64,
    /// The stream of the noise, counted from that of the key, below 2^24; `None` for the index of the row. A run with streams
    /// of its own draws the same noise wherever its rows lie in a table.
    pub stream: Option<u32>,
    /// The coefficient of a second noise in the next sample, and its stream, which may be that of an earlier call.
    pub second_z: (f64, u32),
    /// The weights of the slices of a prediction: `[1, 0, ...]` for one.
    pub slices: [f64; SLICES],
    /// The treatment of the clean sample that the row is written for, which a [`Sampler`](crate::Sampler) states; `None`
    /// for that of the plan. A plan of [`Clip::Range`] takes rows of any range and of none (`Clip::None`, or an infinite
    /// range). Every other plan refuses rows of another treatment than its own.
    pub clip: Option<Clip>,
}

/// The parts beyond the first 20 numbers that the rows of a plan have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct RowParts {
    pub extended: bool,
    /// `true` if predictions are sliced: then the rows are extended too.
    pub sliced: bool,
}

impl RowParts {
    /// The number of numbers in a row: whole `vec4`s.
    pub const fn width(self) -> usize {
        WIDTHS[self.extended as usize] + if self.sliced { SLICES } else { 0 }
    }
}

impl StepRow {
    /// The number of earlier calls that a step may look back to.
    pub const HISTORY: usize = HISTORY;

    /// The most slices of a prediction.
    pub const SLICES: usize = SLICES;

    /// The number of streams that a row can name: f32 represents all smaller integers exactly.
    pub const STREAMS: u32 = STREAMS;

    /// The step that leaves the sample unchanged and takes it as the clean sample.
    pub const IDENTITY: Self = Self {
        guidance: [1.0, 0.0],
        x0: [1.0, 0.0, 0.0],
        x: 1.0,
        p: 0.0,
        clean: 0.0,
        unconditional_clean: 0.0,
        history: [0.0; HISTORY],
        kept: [0.0, 1.0, 0.0],
        z: 0.0,
        learned: [0.0; 2],
        deviation: None,
        known: [1.0, 0.0],
        input: 1.0,
        stream: None,
        second_z: (0.0, 0),
        slices: ONE_SLICE,
        clip: None,
    };

    /// Returns the row with classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598): the coefficients of the conditional
    /// and the unconditional prediction.
    #[doc(alias = "cfg")]
    #[must_use]
    pub const fn guided(self, guidance: [f64; 2]) -> Self {
        Self { guidance, ..self }
    }

    /// True if the row mixes predictions: its coefficients are not 1 for the conditional prediction and 0 for the other.
    #[must_use]
    pub const fn is_guided(&self) -> bool {
        self.guidance[0] != 1.0 || self.guidance[1] != 0.0
    }

    /// Returns the row with these coefficients, unless it has guidance of its own.
    pub(crate) const fn guided_by_default(self, guidance: [f64; 2]) -> Self {
        if self.is_guided() { self } else { self.guided(guidance) }
    }

    /// The number of earlier calls that this step looks back to: the place of its last nonzero history coefficient.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.history.iter().rposition(|&c| c != 0.0).map_or(0, |last| last + 1)
    }

    /// Returns the row with these history coefficients, latest first.
    ///
    /// Those beyond the first [`HISTORY`](Self::HISTORY) are dropped.
    #[must_use]
    pub fn looking_back(self, to: &[f64]) -> Self {
        let mut history = [0.0; HISTORY];
        history.iter_mut().zip(to).for_each(|(slot, &c)| *slot = c);
        Self { history, ..self }
    }

    /// Returns true if the step needs noise; `masked` says that a region is known.
    #[must_use]
    pub fn draws(&self, masked: bool) -> bool {
        self.z != 0.0 || self.x0[2] != 0.0 || self.second_z.0 != 0.0 || (masked && self.known[1] != 0.0)
    }

    /// Returns true if the step needs a prediction without the condition.
    pub(crate) fn needs_unconditional(&self) -> bool {
        self.guidance[1] != 0.0 || self.unconditional_clean != 0.0 || self.kept[2] != 0.0
    }

    /// Returns true if the step uses a part beyond the first 20 numbers, slices aside.
    pub(crate) fn is_extended(&self) -> bool {
        self.depth() > 3
            || self.unconditional_clean != 0.0
            || self.kept != Self::IDENTITY.kept
            || self.second_z.0 != 0.0
    }

    /// The numbers in the order in which the kernel reads them, whole `vec4`s. `index` is the index of the row, and `clip` the
    /// clipping of rows that name none.
    pub(crate) fn numbers(&self, index: usize, parts: RowParts, clip: Clip) -> StepNumbers {
        let [h1, h2, h3, further @ ..] = self.history;
        let stream = self.stream.map_or(index as f64, f64::from);
        let limit = self.clip.unwrap_or(clip).limit().min(f64::from(f32::MAX));
        let (index, [c, u], [l0, l1], [x, p, z]) = (index as f64, self.guidance, self.learned, self.x0);
        let [alpha, sigma] = self.known;
        let mut all = [0.0; MOST];
        all[..WIDTHS[0]].copy_from_slice(&[
            c, u, l0, l1, x, p, z, self.z, self.x, self.p, self.clean, self.input, h1, h2, h3, index, alpha, sigma,
            stream, limit,
        ]);
        if parts.extended {
            let [h4, h5, h6, h7, h8, h9, h10, h11, h12] = further;
            let (second, stream) = (self.second_z.0, f64::from(self.second_z.1));
            let [kept_x, kept_clean, kept_unconditional] = self.kept;
            all[WIDTHS[0]..WIDTHS[1]].copy_from_slice(&[
                h4,
                h5,
                h6,
                h7,
                h8,
                self.unconditional_clean,
                kept_unconditional,
                second,
                stream,
                h9,
                h10,
                h11,
                h12,
                kept_x,
                kept_clean,
                0.0,
            ]);
        }
        if parts.sliced {
            all[WIDTHS[1]..].copy_from_slice(&self.slices);
        }
        StepNumbers { all, width: parts.width() }
    }
}

/// The numbers of a row, with the parts that the rows of a plan have.
pub(crate) struct StepNumbers {
    all: [f64; MOST],
    width: usize,
}

impl AsRef<[f64]> for StepNumbers {
    fn as_ref(&self) -> &[f64] {
        &self.all[..self.width]
    }
}

/// Clipping of the clean sample that a prediction implies, before it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Clip {
    /// No clipping.
    #[default]
    None,
    /// Clamped to `-range..=range`.
    Range(f64),
    /// Dynamic thresholding (Saharia et al. 2022, arXiv 2205.11487): `s = clamp(quantile(|x0|), least, most)` for each
    /// sample, then `x0 = clamp(x0, -s, s)/s`.
    Quantile {
        /// The quantile, in `0..=1`, with linear interpolation between elements.
        ratio: f64,
        /// `s` is at least this, usually 1.
        least: f64,
        /// `s` is at most this; infinity for no limit.
        most: f64,
    },
}

impl Clip {
    /// The largest magnitude that a range leaves; infinity for other clipping.
    pub(crate) const fn limit(self) -> f64 {
        if let Self::Range(range) = self { range } else { f64::INFINITY }
    }
}

/// The factor of a step's noise, element by element, in addition to its coefficient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Deviation {
    /// No factor: the coefficient is the standard deviation.
    #[default]
    Fixed,
    /// `exp(learned[0] + learned[1]*v)` of a second network output `v`: interpolated log variances, or a log variance
    /// (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 15).
    Log,
    /// `sqrt(max(v, 0))`: `v` is a variance (`learned` in diffusers).
    Variance,
}
