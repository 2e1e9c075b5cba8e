"""Recipes: quantised operators, of ONNX and of com.microsoft."""
import numpy as np

from cases import DTYPE, Invalid, recipe
from nn_recipes import conv_shapes

MS = "com.microsoft"
BYTES = ["uint8", "int8"]


def scale(g, shape=(), t="float", lo=.02, hi=.2):
    return g.np.uniform(lo, hi, list(shape)).astype(DTYPE[t])


def const(g, array, p=.8):
    return g.known(array, p)


def byte(g, t, shape=()):
    return g.data(t, list(shape), -20 if t == "int8" else 100, 20 if t == "int8" else 150)


def bytes_of(g, t, shape):
    low = np.iinfo(DTYPE[t])
    return g.np.integers(low.min, low.max, shape, endpoint=True).astype(DTYPE[t])


def shape_of_scale(g, shape, blocked):
    """Per tensor, per axis, in blocks: (shape of scales, axis, block size)"""
    how = g.int(0, 2 if blocked else 1)
    if how == 0 or not shape:
        return [], None, None
    axis = g.axis(len(shape))
    if how == 1:
        return [shape[axis]], axis, None
    block = g.int(1, 4)
    blocks = list(shape)
    blocks[axis] = -(-shape[axis] // block)
    if shape[axis] % block:
        shape[axis] = blocks[axis] * block
    return blocks, axis, block


@recipe("QuantizeLinear")
def quantize(g):
    shape = g.shape(0, 4)
    s, axis, block = shape_of_scale(g, shape, g.version >= 21) if g.version >= 13 else ([], None, None)
    t = g.t("T1", only=["float", "float16", "bfloat16", "int32"] if g.version < 25 else None)
    y = g.t({10: "T2", 13: "T2", 19: "T2"}.get(g.version, "T3" if g.version >= 23 else "T2"))
    ts = "float" if g.version < 19 or t == "int32" else t
    if g.version >= 23:
        ts = g.t("T2", only=[t] if t != "int32" else ["float"])
    more = {"axis": axis, "block_size": block}
    g.tolerance = 0
    if y.startswith("float") and g.version >= 19:
        more["saturate"] = g.one(None, 0, 1) if y.startswith("float8") else None
        zero = np.zeros(s, DTYPE[y])
    else:
        zero = g.data(y, s, 0, 3)
    if g.chance(.3) and g.version >= 10 and y == "uint8":
        zero = None
    elif g.version >= 21 and g.chance(.2) and zero is not None:
        more["output_dtype"] = np_code(y)
        zero = zero if g.chance(.5) else None
    x = g.data(t, shape, -99, 99) if t == "int32" else g.data(t, shape)
    g.node([x, const(g, scale(g, s, ts, .2, 1)), None if zero is None else const(g, zero)], **more)


def np_code(t):
    from onnx import TensorProto
    return TensorProto.DataType.Value(t.upper())


@recipe("DequantizeLinear")
def dequantize(g):
    shape = g.shape(0, 4)
    s, axis, block = shape_of_scale(g, shape, g.version >= 21) if g.version >= 13 else ([], None, None)
    if g.version >= 19:
        t, ts = g.t("T1"), g.t("T2")
    else:
        t, ts = g.t("T"), "float"
    if ts.startswith("float8"):
        raise Invalid
    zero = g.data(t, s, 0, 3) if t != "int32" and g.chance(.7) and not t.startswith("float") else None
    more = {"output_dtype": g.one(None, 1, 10)} if g.version >= 23 and g.chance(.4) else {}
    if more.get("output_dtype") == 10:
        g.tolerance = max(g.tolerance, 2e-3)
    g.node([g.data(t, shape), const(g, scale(g, s, ts)), None if zero is None else const(g, zero)], axis=axis,
           block_size=block, **more)


@recipe("QuantizeLinear", domain=MS)
def ms_quantize(g):
    shape, y = g.shape(0, 3), g.one("uint8", "int8", "uint16", "int16")
    g.node([g.data("float", shape), scale(g), g.data(y, [], 0, 9)])


@recipe("DequantizeLinear", domain=MS)
def ms_dequantize(g):
    shape, y = g.shape(0, 3), g.one("uint8", "int8", "uint16", "int16", "int32")
    g.node([g.data(y, shape), scale(g), g.data(y, [], 0, 9) if y != "int32" else None])


@recipe("DynamicQuantizeLinear")
def dynamic(g):
    g.node([g.data("float", g.shape(0, 4, empty=0))], 3)


@recipe("QLinearConv")
def qlinear_conv(g):
    b, groups, ci, co, size, kernel, attrs = conv_shapes(g)
    tx, tw, ty = g.t("T1"), g.t("T2"), g.t("T3")
    each = g.chance(.4)
    g.wrong = g.wrong + (["onnx"] if each else [])  # broadcasts these scales along the last dim
    s = [groups * co] if each else []
    zero_w = np.zeros(s, DTYPE[tw]) if each else byte(g, tw)
    parts = [bytes_of(g, tx, [b, groups * ci] + size), const(g, scale(g)), const(g, byte(g, tx)),
             g.known(bytes_of(g, tw, [groups * co, ci] + kernel), .8), const(g, scale(g, s, lo=.002, hi=.02)),
             const(g, zero_w), const(g, scale(g, lo=.5, hi=2)), const(g, byte(g, ty))]
    parts.append(g.known(g.data("int32", [groups * co], -500, 500), 1) if g.chance(.5) else None)
    g.node(parts, **attrs)


@recipe("QLinearMatMul")
def qlinear_matmul(g):
    batch = g.shape(0, 1, 6, 0)
    m, k, n = (g.one(1, 2, 3, 8, 17, 33) for _ in range(3))
    ta, tb, ty = g.t("T1", only=BYTES), g.t("T2", only=BYTES), g.t("T3", only=BYTES)
    each = g.chance(.3)
    s = [n] if each else []
    zero_b = np.zeros(s, DTYPE[tb]) if each else byte(g, tb)
    ts = "float" if g.version < 21 else g.t("TS", only=["float", "float16"])
    g.wrong = ["onnx"] if ts == "float16" else []  # rounds products
    g.node([bytes_of(g, ta, batch + [m, k]), const(g, scale(g, [], ts)), const(g, byte(g, ta)),
            g.known(bytes_of(g, tb, g.partner(batch) + [k, n]), .7), const(g, scale(g, s, ts, .002, .02)),
            const(g, zero_b), const(g, scale(g, [], ts, .5, 2)), const(g, byte(g, ty))])


def pair(g, t, shape):
    return [bytes_of(g, t, shape), const(g, scale(g), 1), const(g, byte(g, t), 1)]


def result(g, t):
    return [const(g, scale(g, lo=.05, hi=.3), 1), const(g, byte(g, t), 1)]


@recipe("QLinearAdd QLinearMul", domain=MS)
def qlinear_binary(g):
    shape, t = g.shape(0, 4), g.one(*BYTES)
    g.node(pair(g, t, shape) + pair(g, t, g.partner(shape)) + result(g, t))


@recipe("QLinearSigmoid QLinearLeakyRelu", domain=MS)
def qlinear_unary(g):
    t = g.one(*BYTES)
    more = {"alpha": g.one(None, .1, .3)} if g.op == "QLinearLeakyRelu" else {}
    g.node(pair(g, t, g.shape(0, 4)) + result(g, t), **more)


@recipe("QLinearSoftmax", domain=MS)
def qlinear_softmax(g):
    t, shape = g.one(*BYTES), g.shape(1, 4, empty=0)
    g.node(pair(g, t, shape) + [const(g, np.array(1 / 256, np.float32), 1),
                                const(g, np.array(0 if t == "uint8" else -128, DTYPE[t]), 1)],
           axis=g.axis(len(shape)), opset=13)


@recipe("QLinearAveragePool QLinearGlobalAveragePool", domain=MS)
def qlinear_pool(g):
    t, last = g.one(*BYTES), g.one(0, 1)
    n, c, h, w = g.int(1, 2), g.one(1, 3, 16), g.int(2, 7), g.int(2, 7)
    more = {}
    if g.op == "QLinearAveragePool":
        kernel = [g.int(1, min(3, h)), g.int(1, min(3, w))]
        more = {"kernel_shape": kernel, "strides": g.one(None, [2, 1]), "pads": g.one(None, [k - 1 for k in kernel] * 2),
                "count_include_pad": g.one(None, 0, 1)}
    g.node(pair(g, t, [n, h, w, c] if last else [n, c, h, w]) + result(g, t), channels_last=last, **more)


@recipe("QLinearConcat", domain=MS)
def qlinear_concat(g):
    t, shape = g.one(*BYTES), g.shape(1, 4, empty=0)
    axis, parts = g.axis(len(shape)), result(g, t)
    for _ in range(g.int(1, 3)):
        one = list(shape)
        one[axis] = g.int(1, 5)
        parts += pair(g, t, one)
    g.node(parts, axis=axis)


@recipe("QLinearWhere", domain=MS)
def qlinear_where(g):
    t, shape = g.one(*BYTES), g.shape(0, 3)
    g.node([g.data("bool", g.partner(shape))] + pair(g, t, shape) + pair(g, t, g.partner(shape)) + result(g, t))


@recipe("QGemm", domain=MS)
def qgemm(g):
    m, k, n = (g.one(1, 2, 5, 8, 17) for _ in range(3))
    ta, tb = "uint8", g.one(*BYTES)
    x, y = g.one(0, 1), g.one(0, 1)
    parts = [bytes_of(g, ta, [k, m] if x else [m, k]), const(g, scale(g), 1), const(g, byte(g, ta), 1),
             g.known(bytes_of(g, tb, [n, k] if y else [k, n]), .8), const(g, scale(g, lo=.002, hi=.02), 1),
             const(g, byte(g, tb), 1), g.known(g.data("int32", [n], -300, 300), 1) if g.chance(.5) else None]
    g.node(parts + (result(g, ta) if g.chance(.6) else []), transA=x, transB=y, alpha=g.one(None, .5, 2.0))


@recipe("DynamicQuantizeMatMul", domain=MS)
def dynamic_matmul(g):
    m, k, n, t = g.one(1, 3, 8), g.one(1, 4, 17), g.one(1, 5, 16), g.one(*BYTES)
    each = g.chance(.4)
    s = [n] if each else []
    batch = g.shape(0, 1, 4, 0)
    g.node([g.data("float", batch + [m, k]), g.known(bytes_of(g, t, [k, n]), 1), const(g, scale(g, s), 1),
            const(g, byte(g, t, s), 1) if g.chance(.6) else None, g.data("float", [n]) if g.chance(.5) else None])


@recipe("MatMulIntegerToFloat", domain=MS)
def integer_to_float(g):
    m, k, n, ta, t = g.one(1, 3, 8), g.one(1, 4, 17), g.one(1, 5, 16), "uint8", g.one(*BYTES)
    s = [n] if g.chance(.4) else []
    g.node([bytes_of(g, ta, [m, k]), g.known(bytes_of(g, t, [k, n]), .7), const(g, scale(g)), const(g, scale(g, s)),
            const(g, byte(g, ta)) if g.chance(.7) else None, const(g, byte(g, t, s)) if g.chance(.6) else None,
            g.data("float", [n]) if g.chance(.5) else None])


@recipe("MatMulNBits", domain=MS)
def matmul_nbits(g):
    m, k, n = g.one(1, 3, 8, 20), g.one(16, 24, 32, 40, 64, 160), g.one(1, 5, 16, 64, 128, 192)
    block, bits = g.one(16, 32), g.one(4, 4, 8)
    blocks = -(-k // block)
    t = g.one("float", "float", "float16")
    g.tolerance = 5e-3 if t == "float16" else 0
    known = g.one(1, 1, 1, 0)
    parts = [g.data(t, g.shape(0, 1, 3, 0) + [m, k], -1, 1),
             g.known(bytes_of(g, "uint8", [n, blocks, block * bits // 8]), known),
             const(g, scale(g, [n, blocks], t), known),
             const(g, bytes_of(g, "uint8", [n, -(-blocks * bits // 8)]), known) if g.chance(.5) else None]
    if g.chance(.3):  # rows in another order than their scales
        parts.append(const(g, g.np.integers(0, blocks, k).astype(np.int32), g.one(1, 1, 0)))
        g.oracle = parts[3] is None  # ONNX Runtime then leaves zero points out
    g.node(parts, K=k, N=n, bits=bits, block_size=block)


@recipe("GatherBlockQuantized", domain=MS)
def gather_blocks(g):
    rows, blocks, bits = g.int(2, 6), g.int(1, 4), g.one(4, 8)
    width = blocks * 16
    packed = bytes_of(g, "uint8", [rows, width * bits // 8])
    zeros = bytes_of(g, "uint8", [rows, -(-blocks * bits // 8)]) if g.chance(.5) else None
    g.node([g.known(packed, 1), g.np.integers(0, rows, g.shape(1, 2, 9, 0)).astype(np.int64),
            const(g, scale(g, [rows, blocks]), 1), None if zeros is None else const(g, zeros, 1)], gather_axis=0,
           quantize_axis=1, block_size=16, bits=bits)



@recipe("QLinearReduceMean", domain=MS)
def qlinear_reduce_mean(g):
    t, shape = g.one(*BYTES), g.shape(1, 4, empty=0)
    g.node(pair(g, t, shape) + result(g, t), axes=g.axes(len(shape)), keepdims=g.one(0, 1))
