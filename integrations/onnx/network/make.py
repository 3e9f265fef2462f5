"""Writes flow.onnx, the network of the example, with only the standard library.

It is the best network for a rectified flow of normal data, with a mean for each label and channel and one variance. For a sample x
at the level s it predicts epsilon - x0 = (s*(x - mean) - a*variance*x)/(a*a*variance + s*s), with a = 1 - s and s = timestep/1000.
"""

import pathlib

from onnx_file import FLOAT, INT64, model, node, tensor, value

MEANS = [[0.0, 0.0, 0.0, 0.0], [0.8, -0.4, 0.2, -0.9]]  # without a condition, and with it
VARIANCE = 0.25

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

file = model("flow", NODES, CONSTANTS, INPUTS, OUTPUTS)
pathlib.Path(__file__).with_name("flow.onnx").write_bytes(file)
