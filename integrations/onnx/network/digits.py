"""Writes digits.onnx, the trained U-Net of examples/digits, with only the standard library.

    python3 integrations/onnx/network/digits.py [v | x0 | epsilon]

The layers are those of `UNet` in examples/digits/train.py, the weights those of apps/digits/weights. The weights stay f16 in the
file and are cast to f32; all arithmetic is f32. Group norm is an instance norm of eight groups, which every engine has.

    sample      [batch, 1, 32, 32]  f32    the noisy picture
    timestep    [batch]             f32    0 to 999
    label       [batch]             int64  0 to 9, and 10 for no class
    prediction  [batch, 1, 32, 32]  f32
"""

import json
import math
import pathlib
import struct
import sys

from onnx_file import FLOAT, FLOAT16, INT64, model, node, raw_tensor, tensor, value

HERE = pathlib.Path(__file__).parent
WEIGHTS = HERE.parents[2] / "apps" / "digits" / "weights"
SIDE = 32
FREQUENCIES = 32
SLOWEST = 1e-4
GROUPS = 8
EPSILON = 1e-5  # of torch.nn.GroupNorm


def read(path):
    """Shape and bytes of each tensor of a safetensors file, all in f16."""
    file = path.read_bytes()
    (length,) = struct.unpack("<Q", file[:8])
    header, body = json.loads(file[8 : 8 + length]), file[8 + length :]
    header.pop("__metadata__", None)
    wrong = [name for name, about in header.items() if about["dtype"] != "F16"]
    if wrong:
        sys.exit(f"{path}: expected tensors of F16, found others: {wrong}")
    return {name: (about["shape"], body[slice(*about["data_offsets"])]) for name, about in header.items()}


class Graph:
    """Nodes and constants. Each method adds some and returns the name of the result."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants, self.named = weights, [], [], set()

    def op(self, kind, *inputs, name=None, **attributes):
        name = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(node(kind, inputs, name, **attributes))
        return name

    def constant(self, name, kind, dims, values):
        if name not in self.named:
            self.named.add(name)
            self.constants.append(tensor(name, kind, dims, values))
        return name

    def weight(self, name, shape=None):
        """A parameter in f32, in a shape of its own if need be."""
        own, raw = self.weights.pop(name)
        self.constants.append(raw_tensor(f"{name}.f16", FLOAT16, shape or own, raw))
        return self.op("Cast", f"{name}.f16", name=name, to=FLOAT)

    def linear(self, name, x):
        return self.op("Gemm", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), transB=1)

    def conv(self, name, x, stride=1):
        *_, side = self.weights[f"{name}.weight"][0]
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        pads = [side // 2] * 4
        return self.op("Conv", x, weight, bias, kernel_shape=[side] * 2, strides=[stride] * 2, pads=pads)

    def silu(self, x):
        return self.op("Mul", x, self.op("Sigmoid", x))

    def norm(self, name, x, side):
        """Group norm, a scale and a shift for each channel."""
        (channels,), _ = self.weights[f"{name}.weight"]
        rows = self.op("Reshape", x, self.constant("in_groups", INT64, [3], [0, GROUPS, -1]))
        ones = self.constant("ones", FLOAT, [GROUPS], [1.0] * GROUPS)
        zeros = self.constant("zeros", FLOAT, [GROUPS], [0.0] * GROUPS)
        normed = self.op("InstanceNormalization", rows, ones, zeros, epsilon=EPSILON)
        shape = self.constant(f"of_{channels}x{side}", INT64, [4], [0, channels, side, side])
        channelwise = [self.weight(f"{name}.{part}", [channels, 1, 1]) for part in ("weight", "bias")]
        return self.op("Add", self.op("Mul", self.op("Reshape", normed, shape), channelwise[0]), channelwise[1])

    def block(self, name, x, embedding, side):
        """Two convolutions with group norm and SiLU, the embedding between them, and a connection around them."""
        h = self.conv(f"{name}.conv1", self.silu(self.norm(f"{name}.norm1", x, side)))
        apart = self.constant("apart", INT64, [4], [0, -1, 1, 1])
        h = self.op("Add", h, self.op("Reshape", self.linear(f"{name}.embed", embedding), apart))
        h = self.conv(f"{name}.conv2", self.silu(self.norm(f"{name}.norm2", h, side)))
        around = self.conv(f"{name}.skip", x) if f"{name}.skip.weight" in self.weights else x
        return self.op("Add", h, around)

    def doubled(self, name, x):
        scales = self.constant("twice", FLOAT, [4], [1.0, 1.0, 2.0, 2.0])
        how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        return self.conv(name, self.op("Resize", x, "", scales, **how))

    def embedding(self):
        """The embedding of the timestep, from its cosines and sines, and of the class."""
        frequencies = [math.exp(i / (FREQUENCIES - 1) * math.log(SLOWEST)) for i in range(FREQUENCIES)]
        row = self.constant("frequencies", FLOAT, [1, FREQUENCIES], frequencies)
        column = self.op("Reshape", "timestep", self.constant("column", INT64, [2], [-1, 1]))
        angles = self.op("Mul", column, row)
        features = self.op("Concat", self.op("Cos", angles), self.op("Sin", angles), axis=1)
        time = self.linear("time2", self.silu(self.linear("time1", features)))
        return self.silu(self.op("Add", time, self.op("Gather", self.weight("classes.weight"), "label")))


def unet(graph):
    embedding = graph.embedding()
    first = graph.block("down1", graph.conv("conv_in", "sample"), embedding, 32)
    second = graph.block("down2", graph.conv("shrink1", first, stride=2), embedding, 16)
    h = graph.block("down3", graph.conv("shrink2", second, stride=2), embedding, 8)
    h = graph.block("middle2", graph.block("middle1", h, embedding, 8), embedding, 8)
    h = graph.block("up2", graph.op("Concat", graph.doubled("grow2", h), second, axis=1), embedding, 16)
    h = graph.block("up1", graph.op("Concat", graph.doubled("grow1", h), first, axis=1), embedding, 32)
    return graph.conv("conv_out", graph.silu(graph.norm("norm_out", h, 32)))


def main():
    predicts = sys.argv[1] if len(sys.argv) > 1 else "v"
    graph = Graph(read(WEIGHTS / f"{predicts}.safetensors"))
    graph.op("Identity", unet(graph), name="prediction")
    if graph.weights:
        sys.exit(f"expected the parameters of the U-Net alone, found {sorted(graph.weights)}")
    picture = ["batch", 1, SIDE, SIDE]
    inputs = [value("sample", FLOAT, picture), value("timestep", FLOAT, ["batch"]), value("label", INT64, ["batch"])]
    file = model("digits", graph.nodes, graph.constants, inputs, [value("prediction", FLOAT, picture)])
    (HERE / "digits.onnx").write_bytes(file)
    print(f"digits.onnx: predicts {predicts}, {len(file)} bytes")


if __name__ == "__main__":
    main()
