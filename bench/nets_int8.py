"""Quantised nets of the int8 suite: float nets as QuantizeLinear and DequantizeLinear pairs, as quantisers write them.

Batch norm is folded first. Weights are i8 per output channel, without zero point; activations u8 or i8 per tensor,
from the ranges of a seeded image that a small evaluator runs at a reduced size. A bias is i32 with the scale
x_scale * w_scale exactly: ONNX Runtime fuses a convolution only then, and comparing with a net that it cannot fuse
would flatter.
"""
import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import helper, numpy_helper

from mobilenetv2 import mobilenetv2
from resnet50 import resnet50

CALIBRATED = 96  # size of the image that ranges are taken from
QUANTISED = {"Conv", "Gemm", "Add", "GlobalAveragePool", "MaxPool", "Flatten"}


def attributes(node):
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def arrays_of(model):
    return {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}


def folded(model):
    """The nodes with every BatchNormalization folded into the convolution before it, and the weights."""
    weights, nodes, maker = arrays_of(model), [], {}
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            conv = maker[node.input[0]]
            gain, shift, mean, var = (weights[name] for name in node.input[1:])
            gain = gain / np.sqrt(var + np.float32(attributes(node)["epsilon"]))
            weights[conv.input[1]] = weights[conv.input[1]] * gain[:, None, None, None]
            weights[conv.input[1] + ".bias"] = (shift - mean * gain).astype(np.float32)
            conv.input.append(conv.input[1] + ".bias")
            conv.output[0] = node.output[0]
            node = conv
        else:
            nodes.append(node)
        maker.update((y, node) for y in node.output)
    return nodes, weights


def conv2d(x, w, bias, strides, pads, group, **_):
    """[1, c, h, w] by [n, c / group, k, k]: windows of the padded image, and one product a group."""
    x = np.pad(x[0], ((0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    windows = sliding_window_view(x, w.shape[2:], (1, 2))[:, ::strides[0], ::strides[1]]
    c, h, wide = windows.shape[:3]
    if group == c and w.shape[0] == c:
        y = np.einsum("chwij,cij->chw", windows, w[:, 0], optimize=True)
    else:
        y = w.reshape(w.shape[0], -1) @ windows.transpose(0, 3, 4, 1, 2).reshape(-1, h * wide)
    return (y.reshape(w.shape[0], h, wide) + bias[:, None, None])[None]


def max_pool(x, kernel_shape, strides, pads, **_):
    x = np.pad(x[0], ((0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=-np.inf)
    return sliding_window_view(x, kernel_shape, (1, 2))[:, ::strides[0], ::strides[1]].max((3, 4))[None]


EVALUATED = {
    "Conv": conv2d,
    "MaxPool": max_pool,
    "Relu": lambda x: np.maximum(x, 0),
    "Clip": np.clip,
    "Add": np.add,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdims=True),
    "Flatten": lambda x, axis: x.reshape(int(np.prod(x.shape[:axis])), -1),
    "Gemm": lambda x, w, bias, transB: x @ w.T + bias,
    "Identity": lambda x: x,
}


def ranges(nodes, weights, image):
    """{value: (least, largest)} of a net of these operators on one image."""
    values = dict(weights, image=image)
    for node in nodes:
        values[node.output[0]] = EVALUATED[node.op_type](*(values[x] for x in node.input), **attributes(node))
    return {name: (float(v.min()), float(v.max())) for name, v in values.items() if name not in weights}


class Quantiser:
    """Writes the nodes anew with pairs before what runs in integers."""

    def __init__(self, nodes, weights, known, signed):
        self.weights, self.known, self.signed = weights, known, signed
        self.nodes, self.kept, self.pairs = [], {}, {}
        for node in nodes:
            self.take(node)

    def keep(self, name, array):
        self.kept[name] = array
        return name

    def add(self, op, inputs, output, **about):
        self.nodes.append(helper.make_node(op, inputs, [output], f"{output}/{op}", **about))
        return output

    def scale_of(self, value):
        """Scale and zero point: u8 over [min(0, least), largest], i8 symmetric."""
        least, largest = self.known[value]
        if self.signed:
            return np.float32(max(-least, largest, 1e-6) / 127), np.int8(0)
        least, largest = min(least, 0.0), max(largest, 0.0)
        scale = np.float32(max(largest - least, 1e-6) / 255)
        return scale, np.uint8(round(-least / scale))

    def pair(self, value):
        if value not in self.pairs:
            scale, zero = self.scale_of(value)
            names = [self.keep(f"{value}.scale", scale), self.keep(f"{value}.zero", np.array(zero))]
            q = self.add("QuantizeLinear", [value, *names], f"{value}.q")
            self.pairs[value] = self.add("DequantizeLinear", [q, *names], f"{value}.dq")
        return self.pairs[value]

    def weight(self, name, bias, x_scale):
        """Names of the dequantised weight and bias."""
        w = self.weights[name]
        scale = np.maximum(np.abs(w).reshape(w.shape[0], -1).max(1) / 127, 1e-8).astype(np.float32)
        whole = np.rint(w / scale.reshape(-1, *[1] * (w.ndim - 1))).clip(-127, 127).astype(np.int8)
        inputs = [self.keep(f"{name}.q", whole), self.keep(f"{name}.scale", scale),
                  self.keep(f"{name}.zero", np.zeros(scale.shape, np.int8))]
        w = self.add("DequantizeLinear", inputs, f"{name}.dq", axis=0)
        both = (scale * x_scale).astype(np.float32)
        inputs = [self.keep(f"{bias}.q", np.rint(self.weights[bias] / both).astype(np.int32)),
                  self.keep(f"{bias}.scale", both), self.keep(f"{bias}.zero", np.zeros(both.shape, np.int32))]
        return w, self.add("DequantizeLinear", inputs, f"{bias}.dq", axis=0)

    def take(self, node):
        inputs = list(node.input)
        if node.op_type in QUANTISED:
            x_scale = self.scale_of(inputs[0])[0]
            inputs = [x if x in self.weights else self.pair(x) for x in inputs]
            if node.op_type in ("Conv", "Gemm"):
                inputs[1:] = self.weight(inputs[1], inputs[2], x_scale)
        for x in inputs:
            if x in self.weights:
                self.kept[x] = self.weights[x]
        self.add(node.op_type, inputs, node.output[0], **attributes(node))


def qdq(build, signed, size=224):
    """The model that build(1, size) gives, quantised, and an image."""
    rng = np.random.default_rng(8)
    model = build(1, size)
    known = ranges(*folded(build(1, CALIBRATED)), rng.standard_normal((1, 3, CALIBRATED, CALIBRATED), np.float32))
    made = Quantiser(*folded(model), known, signed)
    graph = helper.make_graph(made.nodes, f"{model.graph.name}_{'s8' if signed else 'u8'}s8", model.graph.input,
                              model.graph.output, [numpy_helper.from_array(np.asarray(a), n)
                                                   for n, a in made.kept.items()])
    quantised = helper.make_model(graph, opset_imports=model.opset_import, producer_name="bench")
    quantised.ir_version = model.ir_version
    onnx.checker.check_model(quantised)
    return quantised, [rng.standard_normal((1, 3, size, size), np.float32)]


INT8 = {
    "resnet50_u8s8": lambda: qdq(resnet50, False),
    "resnet50_s8s8": lambda: qdq(resnet50, True),
    "mobilenetv2_u8s8": lambda: qdq(mobilenetv2, False),
    "mobilenetv2_s8s8": lambda: qdq(mobilenetv2, True),
}
