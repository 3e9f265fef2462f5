"""Writes flow.onnx, the network of the example, from the standard library alone.

The best network of a rectified flow whose data is normal: a mean for each label and channel, and one variance. Of a sample x at
the level s it predicts epsilon - x0 = (s*(x - mean) - a*variance*x)/(a*a*variance + s*s), with a = 1 - s and s = timestep/1000.
"""

import pathlib
import struct

MEANS = [[0.0, 0.0, 0.0, 0.0], [0.8, -0.4, 0.2, -0.9]]  # without a condition, and with it
VARIANCE = 0.25
FLOAT, INT64 = 1, 7


def varint(number):
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def tensor(name, kind, dims, values):
    raw = struct.pack(f"<{len(values)}{'f' if kind == FLOAT else 'q'}", *values)
    return b"".join(number(1, dim) for dim in dims) + number(2, kind) + data(8, name) + data(9, raw)


def node(kind, inputs, output):
    return b"".join(data(1, name) for name in inputs) + data(2, output) + data(3, output) + data(4, kind)


def value(name, kind, dims):
    shape = b"".join(data(1, data(2, dim) if isinstance(dim, str) else number(1, dim)) for dim in dims)
    return data(1, name) + data(2, data(1, number(1, kind) + data(2, shape)))


NODES = [
    node("Reshape", ["timestep", "per_sample"], "t"),
    node("Mul", ["t", "thousandth"], "s"),
    node("Sub", ["one", "s"], "a"),
    node("Gather", ["means", "label"], "mean"),
    node("Sub", ["sample", "mean"], "from_mean"),
    node("Mul", ["s", "from_mean"], "noise_part"),
    node("Mul", ["a", "variance"], "a_variance"),
    node("Mul", ["a_variance", "sample"], "data_part"),
    node("Sub", ["noise_part", "data_part"], "above"),
    node("Mul", ["a", "a_variance"], "data_variance"),
    node("Mul", ["s", "s"], "noise_variance"),
    node("Add", ["data_variance", "noise_variance"], "below"),
    node("Div", ["above", "below"], "prediction"),
]
CONSTANTS = [
    tensor("per_sample", INT64, [4], [-1, 1, 1, 1]),
    tensor("thousandth", FLOAT, [], [0.001]),
    tensor("one", FLOAT, [], [1.0]),
    tensor("variance", FLOAT, [], [VARIANCE]),
    tensor("means", FLOAT, [2, 4, 1, 1], sum(MEANS, [])),
]
INPUTS = [
    value("sample", FLOAT, ["batch", 4, "height", "width"]),
    value("timestep", FLOAT, ["batch"]),
    value("label", INT64, ["batch"]),
]
OUTPUTS = [value("prediction", FLOAT, ["batch", 4, "height", "width"])]

graph = b"".join(data(1, it) for it in NODES) + data(2, "flow") + b"".join(data(5, it) for it in CONSTANTS)
graph += b"".join(data(11, it) for it in INPUTS) + b"".join(data(12, it) for it in OUTPUTS)
model = number(1, 8) + data(7, graph) + data(8, data(1, "") + number(2, 17))
pathlib.Path(__file__).with_name("flow.onnx").write_bytes(model)
