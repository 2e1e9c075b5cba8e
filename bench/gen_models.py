#!/usr/bin/env python3
"""Write small models of the well-known families, each with a test set, in the ONNX layout.

    python bench/gen_models.py OUT [NAME...]        all of MODELS, or those named
    python bench/gen_models.py --list

A model is a function here: it builds a graph as exporters write it (shape arithmetic, unfolded normalisation, open
dims) and returns it with its inputs. Expected outputs are computed by the `onnx` package's reference evaluator, or,
where that one is incomplete (scans), by the function itself. Seeded: the same bytes every time. Needs numpy and onnx.
"""
import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from net import Net

MODELS = {}


def model(function):
    MODELS[function.__name__] = function
    return function


def f32(net, *dims):
    return net.rng.standard_normal(dims, np.float32)


def dim_of(net, x, axis):
    """Shape -> Gather: a scalar, as torch exports x.size(axis)."""
    return net.op("Gather", net.op("Shape", x), net.weight(np.array(axis, np.int64)), axis=0)


def joined(net, *parts):
    """Scalars and numbers into one shape."""
    zero = net.ints(0)
    return net.op("Concat", *[net.ints(p) if isinstance(p, int) else net.op("Unsqueeze", p, zero)
                              for p in parts], axis=0)


def layer_norm(net, x, c):
    """Spelled out, as exporters did before opset 17."""
    mean = net.op("ReduceMean", x, net.ints(-1), keepdims=1)
    d = net.op("Sub", x, mean)
    var = net.op("ReduceMean", net.op("Pow", d, net.f32(2)), net.ints(-1), keepdims=1)
    y = net.op("Div", d, net.op("Sqrt", net.op("Add", var, net.f32(1e-5))))
    y = net.op("Mul", y, net.weight(net.random(c, std=0.1, mean=1)))
    return net.op("Add", y, net.weight(net.random(c, std=0.1)))


def gelu_erf(net, x):
    e = net.op("Erf", net.op("Div", x, net.f32(2 ** 0.5)))
    return net.op("Mul", net.op("Mul", x, net.op("Add", e, net.f32(1))), net.f32(0.5))


def gelu_tanh(net, x):
    cube = net.op("Mul", net.op("Pow", x, net.f32(3)), net.f32(0.044715))
    t = net.op("Tanh", net.op("Mul", net.op("Add", x, cube), net.f32((2 / np.pi) ** 0.5)))
    return net.op("Mul", net.op("Mul", net.f32(0.5), x), net.op("Add", net.f32(1), t))


def heads(net, x, width, count, last):
    """[batch, time, width] -> [batch, count, time, width / count] (or the last two swapped)."""
    shape = joined(net, dim_of(net, x, 0), dim_of(net, x, 1), count, width // count)
    return net.op("Transpose", net.op("Reshape", x, shape), perm=[0, 2, 3, 1] if last else [0, 2, 1, 3])


def merge_heads(net, x, like, width):
    y = net.op("Transpose", x, perm=[0, 2, 1, 3])
    return net.op("Reshape", y, joined(net, dim_of(net, like, 0), dim_of(net, like, 1), width))


def attention(net, x, width, count, mask=None):
    q, k, v = (net.dense(x, width, width) for _ in range(3))
    s = net.op("MatMul", heads(net, q, width, count, False), heads(net, k, width, count, True))
    s = net.op("Div", s, net.f32((width // count) ** 0.5))
    if mask:
        s = net.op("Add", s, mask)
    y = net.op("MatMul", net.op("Softmax", s, axis=-1), heads(net, v, width, count, False))
    return net.dense(merge_heads(net, y, x, width), width, width)


@model
def vgg_block():
    net = Net("vgg_block", 11)
    x = net.input("image", ["batch", 3, 16, 16])
    for c_in, c_out in ((3, 8), (8, 16)):
        x = net.op("Relu", net.conv(x, c_in, c_out))
        x = net.op("Relu", net.conv(x, c_out, c_out))
        x = net.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Flatten", x)
    x = net.op("Dropout", net.op("Relu", net.gemm(x, 256, 20, gain=2, name="fc1")))
    net.output(net.gemm(x, 20, 10, name="fc2"), "logits", ["batch", 10])
    return net, [f32(net, 3, 3, 16, 16)]


@model
def resnet_block():
    net = Net("resnet_block", 12)
    x = net.input("image", ["batch", 8, "height", "width"])
    y = net.op("Relu", net.batch_norm(net.conv(x, 8, 4, 1, bias=False), 4))
    y = net.op("Relu", net.batch_norm(net.conv(y, 4, 4, 3, 2, bias=False), 4))
    y = net.batch_norm(net.conv(y, 4, 16, 1, bias=False), 16)
    z = net.batch_norm(net.conv(x, 8, 16, 1, 2, bias=False), 16)
    y = net.op("Relu", net.op("Add", y, z))
    net.output(net.op("GlobalAveragePool", y), "features", ["batch", 16, 1, 1])
    return net, [f32(net, 2, 8, 9, 11)]


@model
def mobilenet_block():
    net = Net("mobilenet_block", 13)
    x = net.input("image", [1, 8, 14, 14])
    y = net.batch_norm(net.conv(x, 8, 24, 1, bias=False), 24)
    y = net.op("Clip", y, net.f32(0), net.f32(6))
    y = net.batch_norm(net.conv(y, 24, 24, 3, group=24, bias=False), 24)
    y = net.op("HardSwish", y)
    y = net.batch_norm(net.conv(y, 24, 8, 1, bias=False), 8)
    net.output(net.op("Add", x, y), "out", [1, 8, 14, 14])
    return net, [f32(net, 1, 8, 14, 14)]


@model
def efficientnet_block():
    """Squeeze and excitation, swish as Sigmoid and Mul, asymmetric padding."""
    net = Net("efficientnet_block", 14)
    x = net.input("image", ["batch", 8, 15, 15])
    y = net.op("Conv", x, net.weight(net.random(8, 1, 3, 3, std=0.4)), kernel_shape=[3, 3], group=8,
               pads=[0, 0, 1, 1], strides=[2, 2])
    y = net.batch_norm(y, 8)
    y = net.op("Mul", y, net.op("Sigmoid", y))
    s = net.op("ReduceMean", y, net.ints(2, 3), keepdims=1)
    s = net.conv(s, 8, 4, 1)
    s = net.op("Mul", s, net.op("Sigmoid", s))
    s = net.op("Sigmoid", net.conv(s, 4, 8, 1))
    net.output(net.op("Mul", s, y), "out", ["batch", 8, 7, 7])
    return net, [f32(net, 2, 8, 15, 15)]


@model
def unet():
    """Down, up by ConvTranspose and by Resize, skips by Concat; Resize takes its size from the skip's shape."""
    net = Net("unet", 15)
    x = net.input("image", [1, 3, "height", "width"])
    a = net.op("Relu", net.conv(x, 3, 8))
    b = net.op("Relu", net.conv(net.op("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2]), 8, 16))
    c = net.op("Relu", net.conv(net.op("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2]), 16, 16))
    u = net.op("ConvTranspose", c, net.weight(net.random(16, 16, 2, 2, std=0.2)),
               net.weight(net.random(16, std=0.1)), kernel_shape=[2, 2], strides=[2, 2])
    u = net.op("Relu", net.conv(net.op("Concat", u, b, axis=1), 32, 8))
    size = net.op("Concat", net.op("Slice", net.op("Shape", u), net.ints(0), net.ints(2)),
                  net.op("Slice", net.op("Shape", a), net.ints(2), net.ints(4)), axis=0)
    u = net.op("Resize", u, "", "", size, mode="linear", coordinate_transformation_mode="half_pixel")
    u = net.conv(net.op("Concat", u, a, axis=1), 16, 2)
    net.output(net.op("Softmax", u, axis=1), "mask", [1, 2, "height", "width"])
    return net, [f32(net, 1, 3, 12, 20)]


@model
def bert_layer():
    net = Net("bert_layer", 16)
    ids = net.input("input_ids", ["batch", "sequence"], TensorProto.INT64)
    mask = net.input("attention_mask", ["batch", "sequence"], TensorProto.INT64)
    width = 16
    x = net.op("Gather", net.weight(net.random(50, width)), ids)
    places = net.op("Slice", net.weight(np.arange(32, dtype=np.int64)[None]), net.ints(0),
                    net.op("Unsqueeze", dim_of(net, ids, 1), net.ints(0)), net.ints(1))
    x = net.op("Add", x, net.op("Gather", net.weight(net.random(32, width)), places))
    x = layer_norm(net, x, width)
    m = net.op("Cast", net.op("Unsqueeze", mask, net.ints(1, 2)), to=TensorProto.FLOAT)
    m = net.op("Mul", net.op("Sub", net.f32(1), m), net.f32(-10000))
    x = layer_norm(net, net.op("Add", attention(net, x, width, 2, m), x), width)
    y = net.dense(gelu_erf(net, net.dense(x, width, 32)), 32, width)
    x = layer_norm(net, net.op("Add", y, x), width)
    first = net.op("Gather", x, net.weight(np.array(0, np.int64)), axis=1)
    net.output(x, "last_hidden_state", ["batch", "sequence", width])
    net.output(net.op("Tanh", net.gemm(first, width, width, name="pooler")), "pooler", ["batch", width])
    keep = np.ones((2, 7), np.int64)
    keep[1, 5:] = 0
    return net, [net.rng.integers(0, 50, (2, 7)), keep]


@model
def vit():
    net = Net("vit", 17)
    width = 16
    x = net.input("image", ["batch", 3, 16, 16])
    p = net.conv(x, 3, width, 4, 4, pad=0)
    p = net.op("Reshape", p, joined(net, dim_of(net, x, 0), width, -1))
    p = net.op("Transpose", p, perm=[0, 2, 1])
    shape = joined(net, dim_of(net, x, 0), -1, -1)
    ones = net.op("ConstantOfShape", net.ints(3), value=helper.make_tensor("v", TensorProto.INT64, [1], [1]))
    shape = net.op("Where", net.op("Equal", shape, net.ints(-1, -1, -1)), ones, shape)
    token = net.op("Expand", net.weight(net.random(1, 1, width)), shape)
    p = net.op("Concat", token, p, axis=1)
    p = net.op("Add", p, net.weight(net.random(1, 17, width)))
    scale, bias = net.weight(net.random(width, std=0.1, mean=1)), net.weight(net.random(width, std=0.1))
    n = net.op("LayerNormalization", p, scale, bias, axis=-1, epsilon=1e-6)
    p = net.op("Add", p, attention(net, n, width, 4))
    n = layer_norm(net, p, width)
    p = net.op("Add", p, net.dense(gelu_erf(net, net.dense(n, width, 32)), 32, width))
    first = net.op("Gather", p, net.weight(np.array(0, np.int64)), axis=1)
    net.output(net.gemm(first, width, 10, name="head"), "logits", ["batch", 10])
    return net, [f32(net, 2, 3, 16, 16)]


@model
def gpt2_layer():
    """One layer with a KV cache: past is read, present is written, the causal mask is cut from a constant."""
    net = Net("gpt2_layer", 18)
    width, count = 16, 2
    ids = net.input("input_ids", ["batch", "sequence"], TensorProto.INT64)
    past = net.input("past", [2, "batch", count, "past", width // count])
    table = net.weight(net.random(40, width), "wte")
    old, new = dim_of(net, past, 3), dim_of(net, ids, 1)
    total = net.op("Add", old, new)
    one = net.weight(np.array(1, np.int64))
    x = net.op("Add", net.op("Gather", table, ids),
               net.op("Gather", net.weight(net.random(32, width)), net.op("Range", old, total, one)))
    n = layer_norm(net, x, width)
    qkv = net.op("Split", net.dense(n, width, 3 * width), net.ints(width, width, width), outputs=3, axis=2)
    q, k, v = (heads(net, t, width, count, False) for t in qkv)
    k = net.op("Concat", net.op("Gather", past, net.weight(np.array(0, np.int64)), axis=0), k, axis=2)
    v = net.op("Concat", net.op("Gather", past, net.weight(np.array(1, np.int64)), axis=0), v, axis=2)
    zero = net.ints(0)
    present = net.op("Concat", net.op("Unsqueeze", k, zero), net.op("Unsqueeze", v, zero), axis=0)
    s = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2]))
    s = net.op("Div", s, net.f32((width // count) ** 0.5))
    rows = net.op("Slice", net.weight(np.tril(np.ones((1, 1, 32, 32), bool))),
                  net.op("Unsqueeze", old, zero), net.op("Unsqueeze", total, zero), net.ints(2), net.ints(1))
    keep = net.op("Slice", rows, zero, net.op("Unsqueeze", total, zero), net.ints(3), net.ints(1))
    s = net.op("Where", keep, s, net.f32(-1e4))
    y = net.op("MatMul", net.op("Softmax", s, axis=-1), v)
    x = net.op("Add", x, net.dense(merge_heads(net, y, ids, width), width, width))
    x = net.op("Add", x, net.dense(gelu_tanh(net, net.dense(layer_norm(net, x, width), width, 32)), 32, width))
    logits = net.op("MatMul", layer_norm(net, x, width), net.op("Transpose", table, perm=[1, 0]))
    net.output(logits, "logits", ["batch", "sequence", 40])
    net.output(present, "present", [2, "batch", count, "total", width // count])
    return net, [net.rng.integers(0, 40, (2, 3)), f32(net, 2, 2, count, 4, width // count)]


@model
def recurrent():
    """LSTM into GRU into RNN. One direction: the reference evaluator knows no other."""
    net = Net("recurrent", 19)
    x = net.input("x", ["time", "batch", 5])

    def state(h, gates, width, directions):
        return [net.weight(net.random(directions, gates * h, width, std=0.4)),
                net.weight(net.random(directions, gates * h, h, std=0.4)),
                net.weight(net.random(directions, 2 * gates * h, std=0.1))]
    y, h = net.op("LSTM", x, *state(4, 4, 5, 1), outputs=2, hidden_size=4)
    y = net.op("Squeeze", y, net.ints(1))
    y, _ = net.op("GRU", y, *state(3, 3, 4, 1), outputs=2, hidden_size=3, linear_before_reset=1)
    y = net.op("Squeeze", y, net.ints(1))
    _, last = net.op("RNN", y, *state(2, 1, 3, 1), outputs=2, hidden_size=2)
    net.output(last, "last", [1, "batch", 2])
    net.output(h, "h", [1, "batch", 4])
    return net, [f32(net, 6, 2, 5)]


def graph_of(name, nodes, inputs, outputs):
    info = helper.make_tensor_value_info
    return helper.make_graph(nodes, name, [info(*i) for i in inputs], [info(*o) for o in outputs])


@model
def branches():
    """If on a value known only at run time; each branch captures from outside; a nested If."""
    net = Net("branches", 20)
    x = net.input("x", ["n"])
    total = net.op("ReduceSum", x, net.ints(0), keepdims=0)
    positive = net.op("Greater", total, net.f32(0))
    node, f = helper.make_node, TensorProto.FLOAT
    inner = [graph_of(n, [node(op, [x], [n])], [], [(n, f, ["n"])]) for n, op in (("e1", "Exp"), ("e2", "Neg"))]
    big = net.op("Greater", total, net.f32(3))
    yes = graph_of("yes", [node("If", [big], ["y"], then_branch=inner[0], else_branch=inner[1])], [],
                   [("y", f, ["n"])])
    no = graph_of("no", [node("Abs", [x], ["t"]), node("Mul", ["t", total], ["z"])], [], [("z", f, ["n"])])
    net.output(net.op("If", positive, then_branch=yes, else_branch=no), "out", ["n"])
    return net, [np.array([1, -2, 2.5, 0.25], np.float32)]


@model
def loop_grows():
    """A Loop that carries a tensor of changing length and scans out one value a turn; ends by its condition."""
    net = Net("loop_grows", 21)
    x = net.input("x", [1])
    limit = net.input("limit", [], TensorProto.FLOAT)
    node, f = helper.make_node, TensorProto.FLOAT
    body = graph_of("body", [
        node("Concat", ["list", "list"], ["twice"], axis=0),
        node("Add", ["twice", x], ["grown"]),
        node("Constant", [], ["axes"], value=helper.make_tensor("a", TensorProto.INT64, [1], [0])),
        node("ReduceSum", ["grown", "axes"], ["sum"], keepdims=0),
        node("Less", ["sum", limit], ["go"]),
    ], [("i", TensorProto.INT64, []), ("cond", TensorProto.BOOL, []), ("list", f, ["m"])],
        [("go", TensorProto.BOOL, []), ("grown", f, ["m2"]), ("sum", f, [])])
    last, sums = net.op("Loop", net.weight(np.array(6, np.int64)), net.weight(np.array(True)), x, outputs=2, body=body)
    net.output(last, "last", ["m"])
    net.output(sums, "sums", ["turns"])
    grown, turns = np.array([1], np.float32), []
    while not turns or turns[-1] < 50:
        grown = np.concatenate([grown, grown]) + np.float32(1)
        turns.append(grown.sum())
    return net, [np.array([1], np.float32), np.array(50, np.float32)], [grown, np.array(turns, np.float32)]


@model
def scan_running():
    """Scan with a state, forwards and backwards."""
    net = Net("scan_running", 22)
    x = net.input("x", ["time", 3])
    node, f = helper.make_node, TensorProto.FLOAT
    data, expected = f32(net, 5, 3), []
    for name, direction in (("forward", 0), ("backward", 1)):
        body = graph_of(f"body_{name}", [
            node("Add", ["s", "e"], ["t"]), node("Identity", ["t"], ["next"]), node("Sigmoid", ["t"], ["y"]),
        ], [("s", f, [3]), ("e", f, [3])], [("next", f, [3]), ("y", f, [3])])
        last, y = net.op("Scan", net.weight(np.zeros(3, np.float32)), x, outputs=2, body=body,
                         num_scan_inputs=1, scan_input_directions=[direction])
        net.output(last, f"last_{name}", [3])
        net.output(y, f"y_{name}", ["time", 3])
        sums = np.cumsum(data[::-1] if direction else data, axis=0)
        expected += [sums[-1], 1 / (1 + np.exp(-sums))]
    return net, [data], expected


@model
def movement():
    """Chains of moves that a compiler likes to merge, on open dims."""
    net = Net("movement", 23)
    x = net.input("x", ["a", "b", 6])
    y = net.op("Transpose", x, perm=[2, 0, 1])
    y = net.op("Reshape", y, net.ints(2, 3, 0, -1))
    y = net.op("Transpose", y, perm=[2, 3, 1, 0])
    y = net.op("Slice", y, net.ints(-1, 0), net.ints(-99, 2), net.ints(2, 3), net.ints(-1, 1))
    p = net.op("Pad", y, net.ints(0, 1, 0, 0, 1, 0, 0, 2), net.f32(0.5))
    r = net.op("Pad", y, net.ints(0, 0, 0, 1, 0, 0, 0, 1), mode="reflect")
    s = net.op("Split", p, net.ints(1, 2), outputs=2, axis=2)
    net.output(net.op("Concat", s[1], s[0], axis=2), "swapped", ["a", "b1", 3, 4])
    net.output(net.op("Squeeze", net.op("ReduceMax", r, net.ints(3)), net.ints(3)), "top", ["a", "b", 3])
    flat = net.op("Flatten", net.op("Tile", y, net.ints(1, 2, 1, 1)), axis=2)
    net.output(net.op("Expand", flat, net.ints(1, 1)), "flat", ["rows", 6])
    return net, [f32(net, 2, 4, 6)]


@model
def integers():
    """Integer arithmetic with signs, and casts between widths."""
    net = Net("integers", 24)
    a = net.input("a", ["n"], TensorProto.INT32)
    b = net.input("b", ["n"], TensorProto.INT32)
    net.output(net.op("Div", a, b), "div", ["n"], TensorProto.INT32)
    net.output(net.op("Mod", a, b), "mod", ["n"], TensorProto.INT32)
    net.output(net.op("Mod", a, b, fmod=1), "fmod", ["n"], TensorProto.INT32)
    net.output(net.op("Cast", a, to=TensorProto.INT8), "narrow", ["n"], TensorProto.INT8)
    net.output(net.op("Cast", net.op("Mul", a, b), to=TensorProto.FLOAT), "product", ["n"])
    return net, [np.array([7, -7, 7, -7, 300, 0], np.int32), np.array([2, 2, -2, -2, 7, 5], np.int32)]


@model
def selection():
    """TopK, ArgMax, GatherND, ScatterND, NonZero, OneHot, CumSum on one table."""
    net = Net("selection", 25)
    x = net.input("x", ["rows", 7])
    values, places = net.op("TopK", x, net.ints(3), outputs=2, axis=1)
    net.output(values, "values", ["rows", 3])
    net.output(places, "places", ["rows", 3], TensorProto.INT64)
    net.output(net.op("ArgMax", x, axis=0, keepdims=0), "best", [7], TensorProto.INT64)
    net.output(net.op("GatherND", x, net.weight(np.array([[0, 1], [2, 3]], np.int64))), "picked", [2])
    net.output(net.op("ScatterND", x, net.weight(np.array([[1], [0]], np.int64)), net.weight(net.random(2, 7))),
               "put", ["rows", 7])
    net.output(net.op("NonZero", net.op("Greater", x, net.f32(0.5))), "where", [2, "hits"], TensorProto.INT64)
    net.output(net.op("OneHot", places, net.weight(np.array(7, np.int64)), net.weight(np.array([0, 1], np.float32))),
               "hot", ["rows", 3, 7])
    net.output(net.op("CumSum", x, net.weight(np.array(1, np.int64)), reverse=1), "sums", ["rows", 7])
    return net, [f32(net, 4, 7)]


@model
def einsums():
    net = Net("einsums", 26)
    a, b = net.input("a", ["n", 3, 4]), net.input("b", ["n", 5, 4])
    net.output(net.op("Einsum", a, b, equation="nij,nkj->nik"), "batched", ["n", 3, 5])
    net.output(net.op("Einsum", a, b, equation="nij,nkl->jl"), "outer", [4, 4])
    net.output(net.op("Einsum", a, equation="...ij->...ji"), "swapped", ["n", 4, 3])
    return net, [f32(net, 2, 3, 4), f32(net, 2, 5, 4)]


def save(out, name):
    net, inputs, *expected = MODELS[name]()
    built = net.model()
    folder = out / name / "test_data_set_0"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(built, out / name / "model.onnx")
    feeds = {i.name: x for i, x in zip(built.graph.input, inputs)}
    outputs = expected[0] if expected else ReferenceEvaluator(built).run(None, feeds)
    for kind, infos, arrays in (("input", built.graph.input, inputs), ("output", built.graph.output, outputs)):
        for k, (info, array) in enumerate(zip(infos, arrays)):
            tensor = numpy_helper.from_array(np.asarray(array), info.name)
            (folder / f"{kind}_{k}.pb").write_bytes(tensor.SerializeToString())
    (out / name / "compare.txt").write_text("rtol 1e-4 atol 1e-5\n")


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("out", type=pathlib.Path, nargs="?")
    args.add_argument("names", nargs="*")
    args.add_argument("--list", action="store_true")
    args = args.parse_args()
    if args.list or not args.out:
        print("\n".join(MODELS))
        return
    for name in args.names or MODELS:
        save(args.out, name)


if __name__ == "__main__":
    main()
