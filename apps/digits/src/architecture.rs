//! The layers of the network, as data: a U-Net (Ho et al. 2020, arXiv 2006.11239, appendix B) without attention.
//!
//! ```text
//! 32 x 32   conv_in - down1 ---------------------- up1 - conv_out
//!                       \ shrink1        grow1 /
//! 16 x 16                 down2 ------- up2
//!                             \ shrink2   / grow2
//!  8 x  8                       down3 - middle1 - middle2
//! ```

/// Rows and columns of a picture.
pub const SIDE: u32 = 32;
/// Pixels of a picture.
pub const PIXELS: u32 = SIDE * SIDE;
/// The label of a prediction without a class; those below it are the digits.
pub const NO_CLASS: u32 = 10;
/// The timesteps of the training, on the cosine schedule (Nichol & Dhariwal 2021, arXiv 2102.09672, equation 17).
pub const TIMESTEPS: usize = 1000;
/// The input of the first layer: the noisy picture, of one channel.
pub const NOISY: &str = "x";
/// Number of groups of a group norm.
pub const GROUPS: u32 = 8;
/// Numbers in the embedding of timestep and class.
pub const EMBEDDING: u32 = 128;
/// Cosines and sines of the timestep, together.
pub const TIME_FEATURES: u32 = 64;

/// A layer, or a residual block of layers.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Its name in the weights.
    pub name: &'static str,
    /// The computation.
    pub kind: Kind,
    /// The layer that it reads, or [`NOISY`].
    pub input: &'static str,
    /// Another layer that it reads: its channels follow those of the first.
    pub joined: Option<&'static str>,
    /// Channels of its output.
    pub channels: u32,
    /// Rows and columns of its output.
    pub side: u32,
}

/// The computation of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A convolution of 3 x 3.
    Convolution(Size),
    /// Two times group norm, SiLU and a convolution of 3 x 3, with the embedding added after the first convolution, and the input
    /// added at the end: as it is, or through a convolution of 1 x 1 where the numbers of channels differ.
    Residual,
    /// Group norm, SiLU and a convolution of 3 x 3. The norm has a name of its own.
    Head(&'static str),
}

/// The size of a convolution's output, compared with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Input and output have the same size.
    Same,
    /// The input has twice as many rows and columns: every second one is a centre (stride 2).
    Halved,
    /// The input has half as many rows and columns: each is read twice (nearest neighbour).
    Doubled,
}

const fn layer(name: &'static str, kind: Kind, input: &'static str, channels: u32, side: u32) -> Layer {
    Layer { name, kind, input, joined: None, channels, side }
}

/// The layers in the order in which they run. The last gives the prediction.
pub const LAYERS: [Layer; 13] = [
    layer("conv_in", Kind::Convolution(Size::Same), NOISY, 32, 32),
    layer("down1", Kind::Residual, "conv_in", 32, 32),
    layer("shrink1", Kind::Convolution(Size::Halved), "down1", 32, 16),
    layer("down2", Kind::Residual, "shrink1", 64, 16),
    layer("shrink2", Kind::Convolution(Size::Halved), "down2", 64, 8),
    layer("down3", Kind::Residual, "shrink2", 96, 8),
    layer("middle1", Kind::Residual, "down3", 96, 8),
    layer("middle2", Kind::Residual, "middle1", 96, 8),
    layer("grow2", Kind::Convolution(Size::Doubled), "middle2", 64, 16),
    Layer { joined: Some("down2"), ..layer("up2", Kind::Residual, "grow2", 64, 16) },
    layer("grow1", Kind::Convolution(Size::Doubled), "up2", 32, 32),
    Layer { joined: Some("down1"), ..layer("up1", Kind::Residual, "grow1", 32, 32) },
    layer("conv_out", Kind::Head("norm_out"), "up1", 1, 32),
];

impl Layer {
    /// The layer of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        LAYERS.iter().find(|layer| layer.name == name)
    }

    /// Channels that it reads.
    #[must_use]
    pub fn input_channels(&self) -> u32 {
        std::iter::once(self.input).chain(self.joined).map(channels).sum()
    }

    /// Numbers in its output for one sample.
    #[must_use]
    pub const fn elements(&self) -> u32 {
        self.channels * self.side * self.side
    }

    /// True if a residual block needs a convolution of 1 x 1 to add its input.
    #[must_use]
    pub fn has_skip(&self) -> bool {
        self.input_channels() != self.channels
    }

    /// Names and shapes of its parameters.
    fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let (inputs, outputs) = (self.input_channels() as usize, self.channels as usize);
        let named = |part: &str| format!("{}{}{part}", self.name, if part.is_empty() { "" } else { "." });
        let convolution = |part: &str, from: usize, side: usize| affine(&named(part), &[outputs, from, side, side]);
        match self.kind {
            Kind::Convolution(_) => convolution("", inputs, 3).into(),
            Kind::Head(norm) => [affine(norm, &[inputs]), convolution("", inputs, 3)].concat(),
            Kind::Residual => {
                let skip = self.has_skip().then(|| convolution("skip", inputs, 1));
                let usual = [
                    affine(&named("norm1"), &[inputs]),
                    convolution("conv1", inputs, 3),
                    affine(&named("embed"), &[outputs, EMBEDDING as usize]),
                    affine(&named("norm2"), &[outputs]),
                    convolution("conv2", outputs, 3),
                ];
                usual.into_iter().chain(skip).flatten().collect()
            }
        }
    }

    /// Multiplications of the convolutions for one sample.
    fn products(&self) -> u64 {
        let (inputs, outputs) = (u64::from(self.input_channels()), u64::from(self.channels));
        let of_pixel = match self.kind {
            Kind::Convolution(_) | Kind::Head(_) => 9 * inputs,
            Kind::Residual => 9 * (inputs + outputs) + if self.has_skip() { inputs } else { 0 },
        };
        of_pixel * u64::from(self.elements())
    }
}

/// Channels of a layer, or of the noisy picture.
#[must_use]
pub fn channels(name: &str) -> u32 {
    Layer::named(name).map_or(1, |layer| layer.channels)
}

/// A weight of this shape and a bias, or a scale and a shift.
fn affine(name: &str, weight: &[usize]) -> [(String, Vec<usize>); 2] {
    [(format!("{name}.weight"), weight.to_vec()), (format!("{name}.bias"), vec![weight[0]])]
}

/// Names and shapes of all parameters.
#[must_use]
pub fn parameters() -> Vec<(String, Vec<usize>)> {
    let [units, features] = [EMBEDDING, TIME_FEATURES].map(|number| number as usize);
    let classes = ("classes.weight".to_owned(), vec![NO_CLASS as usize + 1, units]);
    let embedding = affine("time1", &[units, features]).into_iter().chain(affine("time2", &[units, units]));
    embedding.chain([classes]).chain(LAYERS.iter().flat_map(Layer::parameters)).collect()
}

/// Floating point operations of the convolutions for one prediction: a multiplication and an addition each.
#[must_use]
pub fn operations() -> u64 {
    2 * LAYERS.iter().map(Layer::products).sum::<u64>()
}

/// Numbers in the largest tensor of one prediction: the normalised input of a residual block.
#[must_use]
pub fn widest() -> u32 {
    LAYERS.iter().map(|layer| layer.input_channels().max(layer.channels) * layer.side * layer.side).max().unwrap_or(0)
}
