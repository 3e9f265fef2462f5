"""The parts of an ONNX file as bytes, with only the standard library: the messages of onnx.proto in protobuf's wire format."""

import struct

FLOAT, INT64, FLOAT16 = 1, 7, 10  # of TensorProto.DataType
OPSET, IR = 17, 8
FORMATS = {FLOAT: "f", INT64: "q"}


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


def raw_tensor(name, kind, dims, raw):
    return b"".join(number(1, dim) for dim in dims) + number(2, kind) + data(8, name) + data(9, raw)


def tensor(name, kind, dims, values):
    return raw_tensor(name, kind, dims, struct.pack(f"<{len(values)}{FORMATS[kind]}", *values))


def attribute(name, value):
    """The attribute for a float, an int, a string or a list of ints."""
    match value:
        case float():
            field, kind = varint(2 << 3 | 5) + struct.pack("<f", value), 1
        case int():
            field, kind = number(3, value), 2
        case str():
            field, kind = data(4, value), 3
        case _:
            field, kind = b"".join(number(8, item) for item in value), 7
    return data(1, name) + field + number(20, kind)


def node(kind, inputs, output, **attributes):
    own = b"".join(data(5, attribute(name, value)) for name, value in attributes.items())
    return b"".join(data(1, name) for name in inputs) + data(2, output) + data(3, output) + data(4, kind) + own


def value(name, kind, dims):
    shape = b"".join(data(1, data(2, dim) if isinstance(dim, str) else number(1, dim)) for dim in dims)
    return data(1, name) + data(2, data(1, number(1, kind) + data(2, shape)))


def model(name, nodes, constants, inputs, outputs):
    graph = b"".join(data(1, it) for it in nodes) + data(2, name) + b"".join(data(5, it) for it in constants)
    graph += b"".join(data(11, it) for it in inputs) + b"".join(data(12, it) for it in outputs)
    return number(1, IR) + data(7, graph) + data(8, data(1, "") + number(2, OPSET))
