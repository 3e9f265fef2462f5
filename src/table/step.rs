//! Rows of a sampler step.
//!
//! **Theory.** Every solver of this library, with whatever guidance, clipping and noise, does the same to each element:
//!
//! ```text
//! p    = guidance[0]*conditional + guidance[1]*unconditional
//! x0   = clip(x0[0]*x + x0[1]*p + x0[2]*z)
//! next = x*x + p*p + clean*x0 + history[0]*h1 + history[1]*h2 + history[2]*h3 + z*s*z
//! next = next + mask*(known[0]*reference + known[1]*z - next)
//! net  = input*next
//! ```
//!
//! where `z` is standard normal noise, `h1, h2, h3` are the `x0` of the last three steps, latest first, and `s` is 1 or
//! a standard deviation that the network learned. A solver only chooses the numbers.
//!
//! **Practice.** An operand whose coefficient is 0 is not read: it may be missing, or hold anything. The sample and
//! the conditional prediction are always read, and must be finite.

/// The number of earlier `x0` that a step may use.
pub const HISTORY: usize = 3;

/// The streams that a row may name: f32 counts up to it without a gap.
pub const STREAMS: u32 = 1 << 24;

/// The f32 numbers of a rounded row: whole `vec4`s.
pub const STEP_WIDTH: usize = 20;

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
    /// The coefficients of the clean samples of the last steps, latest first.
    pub history: [f64; HISTORY],
    /// The coefficient of the noise in the next sample.
    pub z: f64,
    /// A learned standard deviation is `exp(learned[0] + learned[1]*v)`; see [`Deviation::Log`].
    pub learned: [f64; 2],
    /// The level of the next sample, for a region that is known: of the known clean sample and of `z`.
    pub known: [f64; 2],
    /// The scale of the network's input.
    pub input: f64,
    /// The stream of the noise, counted from that of the key, below 2^24; `None` for the index of the row. A run that keeps
    /// its streams draws the same noise wherever its rows lie in a table.
    pub stream: Option<u32>,
}

impl StepRow {
    /// The step that leaves the sample as it is and calls it clean.
    pub const IDENTITY: Self = Self {
        guidance: [1.0, 0.0],
        x0: [1.0, 0.0, 0.0],
        x: 1.0,
        p: 0.0,
        clean: 0.0,
        history: [0.0; HISTORY],
        z: 0.0,
        learned: [0.0; 2],
        known: [1.0, 0.0],
        input: 1.0,
        stream: None,
    };

    /// Returns the row with classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598).
    #[must_use]
    pub const fn guided(self, guidance: [f64; 2]) -> Self {
        Self { guidance, ..self }
    }

    /// The number of earlier clean samples that this step uses.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.history.iter().rposition(|&c| c != 0.0).map_or(0, |last| last + 1)
    }

    /// Returns true if the step needs noise; `masked` says that a region is known.
    #[must_use]
    pub fn draws(&self, masked: bool) -> bool {
        self.z != 0.0 || self.x0[2] != 0.0 || (masked && self.known[1] != 0.0)
    }

    /// The numbers in the order in which the kernel reads them, padded to whole `vec4`s; the index tells it which call
    /// this is.
    pub(crate) fn numbers(&self, index: usize) -> [f64; STEP_WIDTH] {
        let [h1, h2, h3] = self.history;
        let stream = self.stream.map_or(index as f64, f64::from);
        [
            self.guidance[0],
            self.guidance[1],
            self.learned[0],
            self.learned[1],
            self.x0[0],
            self.x0[1],
            self.x0[2],
            self.z,
            self.x,
            self.p,
            self.clean,
            self.input,
            h1,
            h2,
            h3,
            index as f64,
            self.known[0],
            self.known[1],
            stream,
            0.0,
        ]
    }
}

/// Clipping of the clean sample that a prediction implies, before it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Clip {
    /// Nothing.
    #[default]
    None,
    /// Clamped to `-range..=range`.
    Range(f64),
    /// Dynamic thresholding (Saharia et al. 2022, arXiv 2205.11487): `s = clamp(quantile(|x0|), least, most)` for each
    /// sample, then `x0 = clamp(x0, -s, s)/s`.
    Quantile {
        /// Which quantile, in `0..=1`; linear interpolation between elements.
        ratio: f64,
        /// `s` is at least this, usually 1.
        least: f64,
        /// `s` is at most this; infinity for no limit.
        most: f64,
    },
}

/// The factor of a step's noise, element by element, beside its coefficient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Deviation {
    /// Nothing: the coefficient is the standard deviation.
    #[default]
    Fixed,
    /// `exp(learned[0] + learned[1]*v)` of a second network output `v`: interpolated log variances, or a log variance
    /// (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 15).
    Log,
    /// `sqrt(max(v, 0))`: `v` is a variance (`learned` in diffusers).
    Variance,
}
