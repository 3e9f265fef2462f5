//! The U-Net of the digits in Burn. Its fields have the names of the parameters in `apps/digits/weights`.

use anyhow::{Context as _, ensure};
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::silu;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_store::{FloatCastAdapter, ModuleAdapter as _, ModuleSnapshot as _, PyTorchToBurnAdapter, SafetensorsStore};
use digits::NO_CLASS;
use digits::architecture::{EMBEDDING, GROUPS, Layer, TIME_FEATURES, channels};

const UNITS: usize = EMBEDDING as usize;
const FREQUENCIES: usize = TIME_FEATURES as usize / 2;
/// The highest frequency, one radian per timestep, divided by the lowest.
const SLOWEST: f64 = 10_000.0;

/// The input and output channels of a layer.
fn sizes(name: &str) -> [usize; 2] {
    [Layer::named(name).map_or(1, Layer::input_channels), channels(name)].map(|channels| channels as usize)
}

fn conv([from, to]: [usize; 2], stride: usize, device: &Device) -> Conv2d {
    let config = Conv2dConfig::new([from, to], [3, 3]).with_stride([stride, stride]);
    config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
}

fn norm(channels: usize, device: &Device) -> GroupNorm {
    GroupNormConfig::new(GROUPS as usize, channels).init(device)
}

/// Two convolutions with group norm and SiLU, the embedding between them, and a connection around them.
#[derive(Module, Debug)]
pub struct Block {
    norm1: GroupNorm,
    conv1: Conv2d,
    embed: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    skip: Option<Conv2d>,
}

impl Block {
    fn new(name: &str, device: &Device) -> Self {
        let [from, to] = sizes(name);
        Self {
            norm1: norm(from, device),
            conv1: conv([from, to], 1, device),
            embed: LinearConfig::new(UNITS, to).init(device),
            norm2: norm(to, device),
            conv2: conv([to, to], 1, device),
            skip: (from != to).then(|| Conv2dConfig::new([from, to], [1, 1]).init(device)),
        }
    }

    fn forward(&self, x: Tensor<4>, embedding: &Tensor<2>) -> Tensor<4> {
        let shift = self.embed.forward(embedding.clone());
        let [batch, channels] = shift.dims();
        let h = self.conv1.forward(silu(self.norm1.forward(x.clone()))) + shift.reshape([batch, channels, 1, 1]);
        let h = self.conv2.forward(silu(self.norm2.forward(h)));
        h + self.skip.as_ref().map_or(x.clone(), |skip| skip.forward(x))
    }
}

/// Pictures of 32x32 at three resolutions: the layers of `apps/digits/src/architecture.rs`.
#[derive(Module, Debug)]
pub struct UNet {
    time1: Linear,
    time2: Linear,
    classes: Embedding,
    conv_in: Conv2d,
    down1: Block,
    shrink1: Conv2d,
    down2: Block,
    shrink2: Conv2d,
    down3: Block,
    middle1: Block,
    middle2: Block,
    grow2: Conv2d,
    up2: Block,
    grow1: Conv2d,
    up1: Block,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl UNet {
    /// Creates a network with random parameters.
    pub fn new(device: &Device) -> Self {
        let block = |name| Block::new(name, device);
        let same = |name| conv(sizes(name), 1, device);
        let halved = |name| conv(sizes(name), 2, device);
        Self {
            time1: LinearConfig::new(2 * FREQUENCIES, UNITS).init(device),
            time2: LinearConfig::new(UNITS, UNITS).init(device),
            classes: EmbeddingConfig::new(NO_CLASS as usize + 1, UNITS).init(device),
            conv_in: same("conv_in"),
            down1: block("down1"),
            shrink1: halved("shrink1"),
            down2: block("down2"),
            shrink2: halved("shrink2"),
            down3: block("down3"),
            middle1: block("middle1"),
            middle2: block("middle2"),
            grow2: same("grow2"),
            up2: block("up2"),
            grow1: same("grow1"),
            up1: block("up1"),
            norm_out: norm(sizes("conv_out")[0], device),
            conv_out: same("conv_out"),
        }
    }

    /// Creates a network with the parameters of a safetensors file. Burn's store turns numbers into f32 and transposes matrices.
    pub fn read(file: &[u8], device: &Device) -> anyhow::Result<Self> {
        let mut network = Self::new(device);
        let adapter = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32));
        let mut store = SafetensorsStore::from_bytes(Some(file.to_vec())).with_from_adapter(adapter);
        let loaded = network.load_from(&mut store).context("weights of the digits")?;
        ensure!(loaded.unused.is_empty(), "expected the parameters of the digits, found also {:?}", loaded.unused);
        Ok(network)
    }

    /// The prediction for noisy pictures `[batch, 1, 32, 32]` at their timesteps, of their classes.
    pub fn forward(&self, x: Tensor<4>, times: &[f32], labels: Tensor<1, Int>) -> Tensor<4> {
        self.watched(x, times, labels, |_, _| {})
    }

    /// As [`forward`](Self::forward); calls `see` with the name and the output of each layer.
    pub fn watched(
        &self,
        x: Tensor<4>,
        times: &[f32],
        labels: Tensor<1, Int>,
        mut see: impl FnMut(&'static str, &Tensor<4>),
    ) -> Tensor<4> {
        let embedding = &self.embedding(times, labels);
        let mut seen = |name, output: Tensor<4>| {
            see(name, &output);
            output
        };
        let h = seen("conv_in", self.conv_in.forward(x));
        let first = seen("down1", self.down1.forward(h, embedding));
        let h = seen("shrink1", self.shrink1.forward(first.clone()));
        let second = seen("down2", self.down2.forward(h, embedding));
        let h = seen("shrink2", self.shrink2.forward(second.clone()));
        let h = seen("down3", self.down3.forward(h, embedding));
        let h = seen("middle1", self.middle1.forward(h, embedding));
        let h = seen("middle2", self.middle2.forward(h, embedding));
        let h = seen("grow2", self.grow2.forward(doubled(h)));
        let h = seen("up2", self.up2.forward(Tensor::cat(vec![h, second], 1), embedding));
        let h = seen("grow1", self.grow1.forward(doubled(h)));
        let h = seen("up1", self.up1.forward(Tensor::cat(vec![h, first], 1), embedding));
        seen("conv_out", self.conv_out.forward(silu(self.norm_out.forward(h))))
    }

    /// The embedding of timestep and class.
    fn embedding(&self, times: &[f32], labels: Tensor<1, Int>) -> Tensor<2> {
        let [batch] = labels.dims();
        let time = self.time2.forward(silu(self.time1.forward(features(times, &labels.device()))));
        silu(time + self.classes.forward(labels.reshape([batch, 1])).squeeze_dim(1))
    }
}

/// Cosines, then sines, of each timestep times each frequency. They are computed on the host: a GPU may be off by 2^-11.
fn features(times: &[f32], device: &Device) -> Tensor<2> {
    let frequency = |i: usize| SLOWEST.powf(-(i as f64) / (FREQUENCIES - 1) as f64) as f32;
    let of_time = |t: &f32| {
        let angles: Vec<f64> = (0..FREQUENCIES).map(|i| f64::from(t * frequency(i))).collect();
        angles.iter().map(|angle| angle.cos()).chain(angles.iter().map(|angle| angle.sin())).collect::<Vec<_>>()
    };
    let numbers: Vec<f32> = times.iter().flat_map(of_time).map(|number| number as f32).collect();
    Tensor::from_data(TensorData::new(numbers, [times.len(), 2 * FREQUENCIES]), device)
}

/// Each pixel four times.
fn doubled(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let x = x.reshape([batch, channels, height, 1, width, 1]).expand([batch, channels, height, 2, width, 2]);
    x.reshape([batch, channels, 2 * height, 2 * width])
}
