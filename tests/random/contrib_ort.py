#!/usr/bin/env python3
"""Operators of com.microsoft through generated code, against ONNX Runtime, or numpy where it has no kernel.

    contrib_ort.py INGOT FOLDER [--seed N] [--rounds N]

Each case is a model of one node with seeded inputs; what ONNX Runtime gives is written beside it as a test set, and
`ingot test` runs them all."""
import argparse
import os
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import contrib_numpy

F32 = np.float32
U8 = np.uint8


class Cases:
    def __init__(self, folder, seed):
        self.folder, self.rng = folder, np.random.default_rng(seed)
        self.count = 0

    def floats(self, *dims):
        return self.rng.standard_normal(dims).astype(F32)

    def bytes(self, *dims):
        return self.rng.integers(0, 256, dims).astype(U8)

    def add(self, op, inputs, outputs=1, constants=(), open_dims=False, want=None, shared=(), **attributes):
        """want: what comes out, where ONNX Runtime cannot say. shared: (input, output) in one buffer there"""
        names = ["" if a is None else f"input{k}" for k, a in enumerate(inputs)]
        out = [f"output{k}" for k in range(outputs)]
        info = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype),
                                              [f"{n}_{i}" for i in range(a.ndim)] if open_dims else a.shape)
                for k, (n, a) in enumerate(zip(names, inputs)) if n and k not in constants]
        graph = helper.make_graph(
            [helper.make_node(op, names, out, domain="com.microsoft", **attributes)], op, info,
            [onnx.ValueInfoProto(name=n) for n in out],
            [numpy_helper.from_array(inputs[k], names[k]) for k in constants])
        model = helper.make_model(graph, ir_version=10, opset_imports=[
            helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])
        feeds = {n: a for k, (n, a) in enumerate(zip(names, inputs)) if n and k not in constants}
        if want is None:
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            want = run_shared(session, feeds, shared)
        del model.graph.output[:]
        for n, w in zip(out, want):
            model.graph.output.append(
                helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(w.dtype), None))
        self.write(op, model, feeds, out, want)

    def write(self, op, model, feeds, names, want):
        where = os.path.join(self.folder, f"{op}_{self.count}", "test_data_set_0")
        self.count += 1
        os.makedirs(where)
        with open(os.path.join(os.path.dirname(where), "compare.txt"), "w") as f:
            f.write(f"rtol 1e-3 atol {max(1e-7, 1e-5 * largest(want)):.3g}\n")
        onnx.save(model, os.path.join(os.path.dirname(where), "model.onnx"))
        for k, (n, a) in enumerate(feeds.items()):
            with open(os.path.join(where, f"input_{k}.pb"), "wb") as f:
                f.write(numpy_helper.from_array(a, n).SerializeToString())
        for k, w in enumerate(want):
            with open(os.path.join(where, f"output_{k}.pb"), "wb") as f:
                f.write(numpy_helper.from_array(w, names[k]).SerializeToString())


def largest(want):
    """What numbers next to 0 are held to: sums that cancel keep the errors of their terms."""
    floats = [np.abs(w[np.isfinite(w)].astype(np.float64)) for w in want if w.dtype.kind == "f"]
    return max((float(w.max()) for w in floats if w.size), default=0)


def run_shared(session, feeds, shared):
    if not shared:
        return session.run(None, feeds)
    io, values = session.io_binding(), {n: onnxruntime.OrtValue.ortvalue_from_numpy(a.copy()) for n, a in feeds.items()}
    for n, v in values.items():
        io.bind_ortvalue_input(n, v)
    outputs = {f"output{o}": f"input{i}" for i, o in shared}
    for n in (o.name for o in session.get_outputs()):
        if n in outputs:
            io.bind_ortvalue_output(n, values[outputs[n]])
        else:
            io.bind_output(n)
    session.run_with_iobinding(io)
    return [np.array(v.numpy()) for v in io.get_outputs()]


def scalar(v, dtype=F32):
    return np.array(v, dtype)


def quantised(c):
    m, k, n = (int(v) for v in c.rng.integers(1, 9, 3))
    c.add("QLinearWhere", [c.rng.integers(0, 2, (m, n)).astype(bool), c.bytes(m, n), scalar(.5), scalar(3, U8),
                           c.bytes(n), scalar(.25), scalar(9, U8), scalar(.6), scalar(5, U8)],
          constants=(2, 3, 5, 6, 7, 8))
    c.add("QGemm", [c.bytes(m, k), scalar(.1), scalar(120, U8), c.bytes(k, n), scalar(.05), scalar(130, U8),
                    c.rng.integers(-99, 99, n).astype(np.int32), scalar(.5), scalar(100, U8)],
          constants=(1, 2, 3, 4, 5, 6, 7, 8))
    c.add("QGemm", [c.bytes(k, m), scalar(.1), scalar(120, U8), c.bytes(n, k).astype(np.int8), scalar(.05),
                    scalar(3, np.int8)], transA=1, transB=1, alpha=.5, constants=(1, 2, 3, 4, 5))
    c.add("NhwcMaxPool", [c.bytes(1, m + 2, k + 2, n)], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 1])


def bytes_and_scales(c, dtype):
    """Every byte, and a maker of scales: any, or such that many quotients lie halfway between two levels."""
    levels = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1).astype(dtype)
    halfway = c.rng.random() < .5
    return levels, lambda: (scalar(c.rng.uniform(.003, .05)) if not halfway
                            else scalar(2.0 ** -c.rng.integers(1, 4) * c.rng.choice([1, 5, 1 / 255])))


def levels(c):
    """To the byte, halfway too: where the zero point is added before rounding it decides to which side."""
    for dtype in (U8, np.int8):
        every, scale = bytes_and_scales(c, dtype)
        pairs = np.repeat(every, 256), np.tile(every, 256)
        of, planes = lambda: [scale(), c.rng.choice(every)], c.rng.choice(every, (1, 300, 3, 5))
        parameters = (1, 2, 4, 5, 6, 7)
        for op in ("QLinearAdd", "QLinearMul"):
            a, b, y = of(), of(), of()
            c.add(op, [pairs[0], *a, pairs[1], *b, *y], constants=parameters)
            c.add(op, [every, *a, every[77:78], *b, *y], constants=parameters)
        c.add("QLinearSigmoid", [every, *of(), scalar(1 / 256), c.rng.choice(every)], constants=(1, 2, 3, 4))
        c.add("QLinearLeakyRelu", [every, *of(), *of()], alpha=.25, constants=(1, 2, 3, 4))
        c.add("QLinearConcat", [*of(), every, *of(), every, *of()], axis=0, constants=(0, 1, 3, 4, 6, 7))
        c.add("QLinearAveragePool", [planes, *of(), *of()], kernel_shape=[2, 2], constants=(1, 2, 3, 4))
        c.add("QLinearAveragePool", [planes, *of(), *of()], kernel_shape=[3, 3], pads=[1, 1, 1, 1], channels_last=1,
              constants=(1, 2, 3, 4))
        c.add("QLinearGlobalAveragePool", [planes, *of(), *of()], constants=(1, 2, 3, 4))
        c.add("QLinearGlobalAveragePool", [planes, *of(), *of()], channels_last=1, constants=(1, 2, 3, 4))


def gathers(c):
    rows, blocks = int(c.rng.integers(2, 6)), int(c.rng.integers(1, 5))
    index = c.rng.integers(0, rows, (2, 3)).astype(np.int64)
    packed = c.bytes(rows, blocks * 8)
    for zeros in ((), (c.bytes(rows, (blocks + 1) // 2),)):
        c.add("GatherBlockQuantized", [packed, index, c.floats(rows, blocks), *zeros], gather_axis=0,
              quantize_axis=1, block_size=16, bits=4, constants=(0, 2, 3)[:2 + len(zeros)])
    c.add("GatherBlockQuantized", [c.bytes(rows, blocks * 16), index, c.floats(rows, blocks)], gather_axis=0,
          quantize_axis=1, block_size=16, bits=8, constants=(0, 2))


def group_attention(c, batch, length, past, total, lens, packed=False, rotary=False, sinks=False, norm=False, bits=0, many=None, **more):
    kv = int(c.rng.integers(1, 3))
    heads, size = kv * int(c.rng.integers(1, 4)), 16
    inputs = [c.floats(batch, length, (heads + (2 * kv if packed else 0)) * size)]
    inputs += [None, None] if packed else [c.floats(batch, length, kv * size) for _ in range(2)]
    if bits:  # a quantised cache
        codes = (batch, kv, past, size * bits // 8)
        inputs += [c.rng.integers(0, 256, codes).astype(np.uint8).view(np.uint8 if bits == 4 else np.int8) for _ in range(2)]
    else:
        inputs += [c.floats(batch, kv, past, size) for _ in range(2)]
    inputs += [np.array(lens, np.int32), np.array(total, np.int32)]
    if rotary:
        inputs += [c.floats(64, size // 2) for _ in range(2)]
    inputs += [None] * (16 - len(inputs)) + ([np.array(many, np.int32)] if many else [])
    if sinks:
        inputs[11] = c.floats(heads)
    if bits:
        one = c.rng.random() < .5
        inputs[12:14] = [(c.rng.uniform(.5, 1, [1] if one else [1, kv, 1, size]) * 2.**(2 - bits)).astype(np.float32) for _ in "kv"]
        how = "PER_TENSOR" if one else "PER_CHANNEL"
        more |= {"kv_cache_bit_width": bits, "k_quant_type": how, "v_quant_type": how}
    if norm:
        inputs[14:16] = [c.floats(size) for _ in range(2)]
    while inputs[-1] is None:
        inputs.pop()
    c.add("GroupQueryAttention", inputs, outputs=4 if "qk_output" in more else 3, num_heads=heads, kv_num_heads=kv, do_rotary=int(rotary), **more)


def attention(c):
    past = int(c.rng.integers(2, 9))
    group_attention(c, 1, 1, past, past + 1, [past])
    group_attention(c, 2, 1, past, past + 1, [past, past - 1], rotary=True)
    group_attention(c, 1, past, 0, past, [past - 1], rotary=True, softcap=2.)
    group_attention(c, 1, 1, past, past + 1, [past], packed=True, rotary=True, rotary_interleaved=1)
    group_attention(c, 1, past, 0, past, [past - 1], local_window_size=2)
    group_attention(c, 1, 2, past, past + 2, [past + 1], scale=.3)
    group_attention(c, 1, 1, past, past, [past - 1], bits=8, rotary=True)
    group_attention(c, 1, 2, past, past + 2, [past + 1], qk_output=1, softcap=2.)
    # all of them count: what ONNX Runtime leaves where they do not, nobody has written
    group_attention(c, 2, 2, past + 3, past + 3, [past, 2], many=[2, 2], rotary=True)
    group_attention(c, 1, 2, past, past + 2, [past + 1], qk_output=2, local_window_size=2)
    group_attention(c, 2, 1, past, past + 1, [past, past - 1], bits=4)
    group_attention(c, 1, 3, past, past + 3, [past + 2], bits=8, local_window_size=2)
    group_attention(c, 1, 1, past, past + 1, [past], rotary=True, sinks=True)
    group_attention(c, 1, past, 0, past, [past - 1], sinks=True, local_window_size=3, k_quant_type="NONE")
    group_attention(c, 1, past, 0, past, [past - 1], smooth_softmax=1)
    group_attention(c, 1, past, 0, past, [past - 1], causal=0)


def sparse_attention(c):
    kv, size, block, blocks, batch = int(c.rng.integers(1, 3)), 16, 16, int(c.rng.integers(1, 4)), 2
    heads, most, layouts = 2 * kv, block * blocks, 2
    seen = [[[k for k in range(r + 1) if k == r or c.rng.random() < .5] for r in range(blocks)] for _ in range(layouts)]
    rows = np.array([np.cumsum([0] + [len(r) for r in layout]) for layout in seen], np.int32)
    columns = [sum(layout, []) for layout in seen]
    columns = np.array([col + [-1] * (rows.max() - len(col)) for col in columns], np.int32)
    # not of several lengths: there it reads memory that nobody has written (1.32)
    for length, packed, rotary in ((1, 0, 0), (1, 1, 1), (most - 2, 0, 1)):
        totals = np.full(batch, length if length > 1 else int(c.rng.integers(2, most + 1)), np.int32)
        inputs = [c.floats(batch, length, (heads + (2 * kv if packed else 0)) * size)]
        inputs += [None, None] if packed else [c.floats(batch, length, kv * size) for _ in range(2)]
        inputs += [c.floats(batch, kv, most, size) for _ in range(2)] + [rows, columns, np.array([totals.max()], np.int32),
                                                                       totals]
        inputs += [c.floats(most, size // 2) for _ in range(2)] if rotary else []
        inputs = [a if k not in (2, 4) or a is None else abs(a) + 1 for k, a in enumerate(inputs)]  # no sums near 0
        c.add("SparseAttention", inputs, outputs=3, num_heads=heads, kv_num_heads=kv, sparse_block_size=block,
              do_rotary=rotary, shared=((3, 1), (4, 2)))


def distances(c):
    m, n, k = (int(v) for v in c.rng.integers(1, 9, 3))
    for metric in ("euclidean", "sqeuclidean"):
        a, b = c.floats(m, k), c.floats(n, k)
        far = ((a[:, None].astype(np.float64) - b[None]) ** 2).sum(-1)  # ONNX Runtime's products of these cancel
        want = [(np.sqrt(far) if metric == "euclidean" else far).astype(F32)]
        c.add("CDist", [a, b], metric=metric, open_dims=metric == "euclidean", want=want)
    a = c.floats(2, k, k) + 4 * np.eye(k, dtype=F32)
    c.add("Inverse", [a])


def fusions(c):
    m, n, k = (int(v) for v in c.rng.integers(1, 7, 3))
    for kind in (np.int32, np.uint32, np.int64, np.uint64, F32, np.float64):
        x = (c.floats(m, n) * 1000).astype(kind)
        c.add("MurmurHash3", [x], positive=m % 2, seed=n)
    for kind in (0, 1):
        c.add("MatMulBnb4", [c.floats(m, 32 * k), c.bytes(n * 16 * k), abs(c.floats(n * 2 * k))], K=32 * k, N=n,
              block_size=16, quant_type=kind, constants=(1, 2))
    c.add("TransposeMatMul", [c.floats(k, m), c.floats(n, k)], transA=1, transB=1, alpha=.5)
    c.add("GatherND", [c.floats(m, n, k), c.rng.integers(0, min(m, n), (3, 2))])
    c.add("GridSample", [c.floats(1, 2, m + 1, n + 1), c.floats(1, 3, 2, 2) / 2], mode="bilinear",
          padding_mode="border", align_corners=1)


def quantised_transformer(c):
    heads, size = 2, 8
    hidden, length, batch = heads * size, int(c.rng.integers(1, 6)), 2
    signed = c.rng.integers(0, 2)
    weight, zero = c.bytes(hidden, 3 * hidden), scalar(128, U8)
    if signed:
        weight, zero = weight.astype(np.int8), scalar(0, np.int8)
    mask = [None, np.array([length, max(1, length - 1)], np.int32)][int(c.rng.integers(0, 2))]
    for way in (0, 1):
        c.add("QAttention", [c.bytes(batch, length, hidden), weight, c.floats(3 * hidden), scalar(.02), scalar(.01), mask,
                             scalar(128, U8), zero], num_heads=heads, unidirectional=way, constants=(1, 2, 3, 4, 6, 7))
    ids = lambda most: c.rng.integers(0, most, (batch, length)).astype(np.int32)  # noqa: E731
    tables = [c.bytes(n, hidden) for n in (9, 6, 2)] + [c.bytes(hidden), c.bytes(hidden)]
    c.add("QEmbedLayerNormalization", [ids(9), ids(2), *tables, None, *[scalar(v) for v in (.02, .03, .04, .01, .05)],
                                       *[scalar(v, U8) for v in (128, 120, 130, 0, 127)]], outputs=2)


def renamed(c):
    m, n = (int(v) for v in c.rng.integers(1, 6, 2))
    c.add("Trilu", [c.floats(m, n), scalar(1, np.int64)], upper=0, open_dims=True)
    c.add("ExpandDims", [c.floats(m, n), scalar(-1, np.int32)], constants=(1,))
    c.add("Range", [scalar(2), scalar(m + 2)])
    c.add("Range", [scalar(9, np.int64), scalar(0, np.int64), scalar(-2, np.int64)])
    c.add("Pad", [c.floats(m, n), np.array([1, 0, 0, 2]), np.array([.5], F32)], constants=(1,))
    c.add("Unique", [c.rng.integers(0, 4, 9).astype(F32)], outputs=3)


def tokens(c):
    words = ["a", "bb", "ccc", "été", " ", " ", ".", "x1", "_"]
    texts = np.array([["".join(c.rng.choice(words, c.rng.integers(0, 9))) for _ in range(2)] for _ in range(3)], object)
    for how in ({"separators": [" "]}, {"separators": ["[ .]+", "x"]}, {"separators": [""]}, {"tokenexp": "[a-z0-9_]+"},
                {"tokenexp": r"\w\w+|é"}):
        c.add("Tokenizer", [texts if c.rng.integers(2) else texts[0]], mark=int(c.rng.integers(2)), pad_value="#",
              mincharnum=1 if how == {"separators": [""]} else int(c.rng.integers(1, 3)), **how)


def gates(c):
    b, t, s, h = (int(v) for v in c.rng.integers(1, 6, 4))
    x = c.floats(b, t, s * h)
    c.add("ScaledSiLU", [x, scalar(1.3)])
    c.add("ScaledSiLU", [x.astype(np.float16)], alpha=.5, open_dims=True)
    c.add("GatedAdd", [x, c.floats(b, t, s * h), c.floats(b, t, 1)])
    for scale in (None, c.floats(s * h), c.floats(s, h), c.floats(h)):
        c.add("BranchwiseRMSNorm", [x, scale], num_branches=s, epsilon=1e-3)
    c.add("BranchwiseRMSNorm", [x.reshape(b, t, s, h), c.floats(s, h)], open_dims=True)
    for act in ("silu", "sigmoid"):
        c.add("GatedRMSNorm", [x, c.floats(h), c.floats(b, t, s * h)], activation=act, constants=(1,))
    c.add("LinearAttentionGate", [x, c.floats(s * h), c.floats(s * h), c.floats(b, t, s * h)], outputs=2)
    parts = [c.floats(b, t, s, h) for _ in range(2)] + [c.floats(b, t, h)] + [c.floats(s, h) for _ in range(3)]
    c.add("EngramGate", parts, outputs=2)
    for gate in ((b, t, s), (b, t, s, 1), (b, t, s, h)):
        c.add("HyperConnectionPreMix", [x.reshape(b, t, s, h), c.floats(*gate)], reduction_scale=.5)
        c.add("HyperConnectionPostMix", [x, c.floats(b, t, h), c.floats(*gate), c.floats(b, t, s, s)], num_branches=s)
    c.add("HyperConnectionPreMix", [x, c.floats(b, t, s * h)], num_branches=s)


def experts(c):
    tokens = int(c.rng.integers(1, 6))
    c.add("MoEGroupRouter", [c.floats(tokens, 8), c.floats(8)], top_k=3, n_group=4, topk_group=2, group_topk=2)


def by_eights(c):
    """Weights as processors without AVX-512 have them: which they are, the number of channels tells."""
    ins, x = 8 * int(c.rng.integers(1, 4)), abs(c.floats(1, 3, 6, 5))  # no sums near 0
    first, second = abs(c.floats(ins, 3, 3, 3)) / 5, abs(c.floats(24, ins, 1, 1)) / 5
    info = [helper.make_tensor_value_info("x", 1, x.shape)], [helper.make_tensor_value_info("y", 1, None)]

    def model(nodes, weights):
        graph = helper.make_graph(nodes, "eights", *info, [numpy_helper.from_array(w, f"w{i}")
                                                           for i, w in enumerate(weights)])
        return helper.make_model(graph, ir_version=8, opset_imports=[
            helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft.nchwc", 1)])

    def blocks(w, by):
        o, i, height, width = w.shape
        return np.ascontiguousarray(w.reshape(o // 8, 8, i // by, by, height, width).transpose(0, 2, 4, 5, 3, 1)
                                    ).reshape(w.shape)
    plain = model([helper.make_node("Conv", ["x", "w0"], ["a"]), helper.make_node("Conv", ["a", "w1"], ["y"])],
                  [first, second])
    session = onnxruntime.InferenceSession(plain.SerializeToString(), providers=["CPUExecutionProvider"])
    nodes = [helper.make_node("Conv", ["x", "w0"], ["a"]), helper.make_node("Conv", ["a", "w1"], ["b"]),
             helper.make_node("ReorderOutput", ["b"], ["y"], channels=24)]
    for n in nodes:
        n.domain = "com.microsoft.nchwc"
    c.write("eights", model(nodes, [blocks(first, 1), blocks(second, 8)]), {"x": x}, ["y"], session.run(["y"], {"x": x}))


def saved(c):
    """Nets as ONNX Runtime saves them at its highest level: convolutions in blocks of channels."""
    k, mid = 3, int(c.rng.integers(1, 6)) * 8
    weights, nodes = {}, []

    def put(*dims):
        weights[f"w{len(weights)}"] = abs(c.floats(*dims) / np.sqrt(np.prod(dims[1:]))).astype(F32)  # no sums near 0
        return f"w{len(weights) - 1}"

    def node(op, inputs, **attributes):
        nodes.append(helper.make_node(op, inputs, [f"v{len(nodes)}"], **attributes))
        return f"v{len(nodes) - 1}"
    x = node("Relu", [node("Conv", ["x", put(24, k, 3, 3), put(24)], pads=[1] * 4, strides=[2, 2])])
    x = node("Add", [x, node("Conv", [x, put(24, 1, 3, 3)], pads=[1] * 4, group=24)])
    x = node("Conv", [x, put(mid, 24, 1, 1), put(mid)])
    x = node("MaxPool", [node("Clip", [x, put(), ""])], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    a = node("Conv", [x, put(32, mid, 3, 3)], pads=[1] * 4)
    x = node("Concat", [a, node("Conv", [a, put(32, 16, 3, 3), put(32)], pads=[1] * 4, group=2)], axis=1)
    weights["sizes"] = np.array([1, 1, 2, 2], F32)
    x = node("Resize", [x, "", "sizes"], mode="nearest", coordinate_transformation_mode="asymmetric",
             nearest_mode="floor")
    x = node("AveragePool", [node("Conv", [x, put(16, 64, 3, 3)], pads=[1] * 4)], kernel_shape=[2, 2], strides=[2, 2])
    names = [x, node("GlobalAveragePool", [x]), node("GlobalMaxPool", [a])]
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("x", 1, [1, k, 17, 16])],
                              [helper.make_tensor_value_info(n, 1, None) for n in names],
                              [numpy_helper.from_array(w, n) for n, w in weights.items()])
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = os.path.join(c.folder, "saved.onnx")
    session = onnxruntime.InferenceSession(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString(),
        options, providers=["CPUExecutionProvider"])
    data = {"x": abs(c.floats(1, k, 17, 16))}
    c.write("saved", onnx.load(options.optimized_model_filepath), data, names, session.run(names, data))
    os.remove(options.optimized_model_filepath)


MAKERS = (distances, quantised, levels, gathers, attention, sparse_attention, fusions, quantised_transformer, renamed,
          tokens, gates, experts, saved, by_eights, *contrib_numpy.ALL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ingot")
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    o = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    shutil.rmtree(o.folder, ignore_errors=True)
    os.makedirs(o.folder)
    cases = Cases(o.folder, o.seed)
    for _ in range(o.rounds):
        for make in MAKERS:
            make(cases)
    result = subprocess.run([o.ingot, "test", o.folder], capture_output=True, text=True)
    lines = result.stdout.strip().splitlines()
    print("\n".join(lines[:-1]), result.stderr)
    print(lines[-1] if lines else "0 passed, 1 failed, 0 skipped")
    return result.returncode


sys.exit(main())
