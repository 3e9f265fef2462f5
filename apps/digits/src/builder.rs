//! From layers to dispatches.

use crate::architecture::{Kind, LAYERS, Layer, NOISY, Size, channels, widest};
use crate::channels::Channels;
use crate::conv::{Added, Conv, Offsets};
use crate::embedding::{Embedding, place, projected};
use crate::kernels::{Dispatch, Kernels};
use crate::network::{Tensors, Times};
use crate::norm::Norm;
use crate::weights::Weights;
use networks::Calls;
use std::collections::HashMap;
use tweedie::wgpu::Buffer;

/// Dispatches as they are made, and the tensors between them.
pub struct Builder<'a> {
    kernels: &'a Kernels,
    weights: &'a Weights,
    tensors: Tensors<'a>,
    predictions: u32,
    /// The normalised input of a convolution.
    normalised: Buffer,
    /// The channels between the two convolutions of a block.
    hidden: Buffer,
    /// The numbers that the embedding adds to the channels of each block.
    projections: Buffer,
    outputs: HashMap<String, Buffer>,
    dispatches: Vec<Dispatch>,
}

impl<'a> Builder<'a> {
    /// Allocates the tensors that all layers share.
    pub fn new(kernels: &'a Kernels, weights: &'a Weights, tensors: Tensors<'a>) -> Self {
        let predictions = tensors.labels.len() as u32;
        let buffer = |label, numbers: u32| kernels.buffer(label, u64::from(numbers) * u64::from(predictions));
        let hidden = LAYERS.iter().map(Layer::elements).max().unwrap_or(0);
        Self {
            kernels,
            weights,
            tensors,
            predictions,
            normalised: buffer("digits::normalised", widest()),
            hidden: buffer("digits::hidden", hidden),
            projections: buffer("digits::projections", projected()),
            outputs: HashMap::new(),
            dispatches: Vec::new(),
        }
    }

    /// Returns the dispatches of the layers, and their outputs by name.
    pub fn finish(self) -> (Vec<Dispatch>, HashMap<String, Buffer>) {
        (self.dispatches, self.outputs)
    }

    /// Makes the dispatch of the embedding for each call, or one for the call that a counter names.
    pub fn embedding(&self, times: Times<'_>, calls: Calls<'_>) -> Vec<Dispatch> {
        let embedding = Embedding { labels: self.tensors.labels, times, calls, output: &self.projections };
        embedding.dispatches(self.kernels, self.weights)
    }

    /// Appends a layer.
    pub fn layer(&mut self, layer: &Layer) {
        match layer.kind {
            Kind::Convolution(size) => {
                let input = (self.tensor(layer.input), layer.input_channels());
                self.output(layer, layer.name, size, input, Added::Nothing);
            }
            Kind::Head(norm) => {
                let input = self.normalise(norm, self.inputs(layer), layer.side);
                self.output(layer, layer.name, Size::Same, input, Added::Nothing);
            }
            Kind::Residual => self.residual(layer),
        }
    }

    fn residual(&mut self, layer: &Layer) {
        let part = |part: &str| format!("{}.{part}", layer.name);
        let inputs = self.inputs(layer);
        let conv1 = Conv {
            weights: self.weights.get(&part("conv1.weight")),
            size: Size::Same,
            input: self.normalise(&part("norm1"), inputs.clone(), layer.side),
            samples: self.predictions,
            output: (self.hidden.clone(), layer.channels),
            side: layer.side,
            offsets: Offsets { buffer: self.projections.clone(), begin: place(layer.name), stride: projected() },
            added: Added::Nothing,
        };
        self.dispatches.push(conv1.dispatch(self.kernels, self.predictions));
        let input = self.normalise(&part("norm2"), Channels::of(&self.hidden, layer.channels), layer.side);
        let added = if layer.has_skip() {
            Added::Skip(inputs, self.weights.get(&part("skip.weight")))
        } else {
            Added::Tensor(inputs.first.0)
        };
        self.output(layer, &part("conv2"), Size::Same, input, added);
    }

    /// Appends the convolution that gives the output of a layer. The bias of a skip is added to its own.
    fn output(&mut self, layer: &Layer, name: &str, size: Size, input: (Buffer, u32), added: Added<'_>) {
        let bias = |name: &str| self.weights.get(&format!("{name}.bias"));
        let skip = bias(&format!("{}.skip", layer.name)).iter().chain(std::iter::repeat(&0.0));
        let sum = bias(name).iter().zip(skip).map(|(bias, skip)| bias + skip).collect();
        let conv = Conv {
            weights: self.weights.get(&format!("{name}.weight")),
            size,
            input,
            samples: if layer.input == NOISY { self.tensors.samples } else { self.predictions },
            output: (self.allocate(layer), layer.channels),
            side: layer.side,
            offsets: Offsets::bias(self.kernels, sum),
            added,
        };
        self.dispatches.push(conv.dispatch(self.kernels, self.predictions));
    }

    /// Appends group norm and SiLU.
    fn normalise(&mut self, name: &str, input: Channels, side: u32) -> (Buffer, u32) {
        let [scale, shift] = ["weight", "bias"].map(|part| self.weights.get(&format!("{name}.{part}")));
        let count = input.count();
        let norm = Norm { scale, shift, input, side, output: &self.normalised };
        self.dispatches.push(norm.dispatch(self.kernels, self.predictions));
        (self.normalised.clone(), count)
    }

    /// Returns a new buffer for the output of a layer; for the head it is the caller's.
    fn allocate(&mut self, layer: &Layer) -> Buffer {
        if let Kind::Head(_) = layer.kind {
            return self.tensors.prediction.clone();
        }
        let numbers = u64::from(layer.elements()) * u64::from(self.predictions);
        let buffer = self.kernels.buffer(layer.name, numbers);
        self.outputs.insert(layer.name.to_owned(), buffer.clone());
        buffer
    }

    /// The output of a layer, or the noisy pictures.
    fn tensor(&self, name: &str) -> Buffer {
        self.outputs.get(name).unwrap_or(self.tensors.x).clone()
    }

    fn inputs(&self, layer: &Layer) -> Channels {
        let part = |name: &str| (self.tensor(name), channels(name));
        Channels { first: part(layer.input), second: layer.joined.map(part) }
    }
}
