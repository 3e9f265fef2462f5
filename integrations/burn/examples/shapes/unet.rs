//! A small U-Net that is given the timestep and the class, and a classifier to judge it.

use super::pictures::CLASSES;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Pixels of a square.
const FOLDED: usize = 4;
/// Numbers that describe a timestep, half of them sines.
const FREQUENCIES: usize = 32;
/// The label for no class, for guidance.
pub const NO_CLASS: usize = CLASSES;

fn conv([from, to]: [usize; 2], device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
}

/// Two convolutions with the condition between them, and a connection around them.
#[derive(Module, Debug)]
pub struct Block {
    first: Conv2d,
    norm: GroupNorm,
    shift: Linear,
    second: Conv2d,
    past: Option<Conv2d>,
}

impl Block {
    fn new([from, to]: [usize; 2], condition: usize, device: &Device) -> Self {
        Self {
            first: conv([from, to], device),
            norm: GroupNormConfig::new(4, to).init(device),
            shift: LinearConfig::new(condition, to).init(device),
            second: conv([to, to], device),
            past: (from != to).then(|| Conv2dConfig::new([from, to], [1, 1]).init(device)),
        }
    }

    fn forward(&self, x: Tensor<4>, condition: Tensor<2>) -> Tensor<4> {
        let shift = self.shift.forward(condition);
        let [batch, channels] = shift.dims();
        let h = self.norm.forward(self.first.forward(x.clone())) + shift.reshape([batch, channels, 1, 1]);
        let h = self.second.forward(silu(h));
        h + self.past.as_ref().map_or(x.clone(), |past| past.forward(x))
    }
}

/// Three levels, 8x8, 4x4 and 2x2, of pictures whose pixels are taken four at a time.
#[derive(Module, Debug)]
pub struct UNet {
    time: Linear,
    class: Embedding,
    stem: Conv2d,
    down: [Block; 2],
    middle: Block,
    up: [Block; 2],
    head: Conv2d,
    pool: AvgPool2d,
    #[module(skip)]
    timesteps: usize,
}

impl UNet {
    /// Creates a network for a schedule of this many timesteps; `width` is the number of channels of the first level.
    pub fn new(width: usize, timesteps: usize, device: &Device) -> Self {
        let (wide, condition) = (2 * width, 4 * width);
        let block = |channels| Block::new(channels, condition, device);
        Self {
            time: LinearConfig::new(2 * FREQUENCIES, condition).init(device),
            class: EmbeddingConfig::new(CLASSES + 1, condition).init(device),
            stem: conv([FOLDED, width], device),
            down: [block([width, width]), block([width, wide])],
            middle: block([wide, wide]),
            up: [block([2 * wide, wide]), block([wide + width, width])],
            head: conv([width, FOLDED], device),
            pool: AvgPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            timesteps,
        }
    }

    /// The prediction for noisy pictures `[batch, 1, 16, 16]` at their timesteps, for their classes.
    pub fn forward(&self, x: Tensor<4>, t: Tensor<1, Int>, class: Tensor<1, Int>) -> Tensor<4> {
        let [batch] = t.dims();
        let condition = self.time.forward(self.waves(t)) + self.class.forward(class.reshape([batch, 1])).squeeze_dim(1);
        let condition = silu(condition);
        let x = self.stem.forward(folded(x));
        let first = self.down[0].forward(x, condition.clone());
        let second = self.down[1].forward(self.pool.forward(first.clone()), condition.clone());
        let x = self.middle.forward(self.pool.forward(second.clone()), condition.clone());
        let x = self.up[0].forward(Tensor::cat(vec![doubled(x), second], 1), condition.clone());
        let x = self.up[1].forward(Tensor::cat(vec![doubled(x), first], 1), condition);
        unfolded(self.head.forward(silu(x)))
    }

    /// Sines and cosines of the timestep, from one turn in the whole schedule down.
    fn waves(&self, t: Tensor<1, Int>) -> Tensor<2> {
        let scale = |i: usize| (i as f64 / (FREQUENCIES - 1) as f64 * 6.0).exp() / self.timesteps as f64 * 3.0;
        let scales: Vec<f32> = (0..FREQUENCIES).map(|i| scale(i) as f32).collect();
        let device = t.device();
        let scales = Tensor::<2>::from_data(TensorData::new(scales, [1, FREQUENCIES]), &device);
        let [batch] = t.dims();
        let turns = t.float().reshape([batch, 1]) * scales;
        Tensor::cat(vec![turns.clone().sin(), turns.cos()], 1)
    }
}

/// Squares of 2x2 pixels as channels.
fn folded(x: Tensor<4>) -> Tensor<4> {
    let [batch, _, height, width] = x.dims();
    let x = x.reshape([batch, height / 2, 2, width / 2, 2]).permute([0, 2, 4, 1, 3]);
    x.reshape([batch, FOLDED, height / 2, width / 2])
}

/// The inverse of [`folded`].
fn unfolded(x: Tensor<4>) -> Tensor<4> {
    let [batch, _, height, width] = x.dims();
    let x = x.reshape([batch, 2, 2, height, width]).permute([0, 3, 1, 4, 2]);
    x.reshape([batch, 1, 2 * height, 2 * width])
}

/// Each pixel four times.
fn doubled(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let x = x.reshape([batch, channels, height, 1, width, 1]).expand([batch, channels, height, 2, width, 2]);
    x.reshape([batch, channels, 2 * height, 2 * width])
}

/// A classifier of pictures.
#[derive(Module, Debug)]
pub struct Classifier {
    convs: [Conv2d; 2],
    head: Linear,
    pool: AvgPool2d,
}

impl Classifier {
    pub fn new(device: &Device) -> Self {
        Self {
            convs: [conv([1, 8], device), conv([8, 16], device)],
            head: LinearConfig::new(16 * 16, CLASSES).init(device),
            pool: AvgPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
        }
    }

    /// The logits, `[batch, classes]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let [first, second] = &self.convs;
        let x = self.pool.forward(silu(first.forward(x)));
        let x = self.pool.forward(silu(second.forward(x)));
        let [batch, ..] = x.dims();
        self.head.forward(x.reshape([batch, 16 * 16]))
    }
}
