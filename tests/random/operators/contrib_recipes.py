"""Recipes: floating-point operators of com.microsoft, and newer ones of ONNX without a description in the package."""
import numpy as np

from cases import recipe
from nn_recipes import conv_shapes

MS = "com.microsoft"


def half(g):
    t = g.one("float", "float", "float16")
    g.tolerance = max(g.tolerance, 4e-3 if t == "float16" else 0)
    return t


ACTIVATIONS = ["Relu", "Tanh", "Sigmoid", "LeakyRelu", "Clip", "HardSigmoid"]
PARAMS = {"LeakyRelu": [.1], "Clip": [-.5, 1.0], "HardSigmoid": [.2, .5]}


@recipe("FusedConv NhwcConv NhwcFusedConv", domain=MS)
def fused_conv(g):
    b, groups, ci, co, size, kernel, attrs = conv_shapes(g)
    if g.op[:4] == "Nhwc":
        while len(size) != 2:
            b, groups, ci, co, size, kernel, attrs = conv_shapes(g)
    act = g.one(*ACTIVATIONS) if g.op != "NhwcConv" else None
    more = {"activation": act, "activation_params": PARAMS.get(act)} if act else {}
    shape = [b, groups * ci] + size if g.op == "FusedConv" else [b] + size + [groups * ci]
    weight = [groups * co, ci] + kernel
    g.node([g.data("float", shape, -2, 2), g.known(g.data("float", weight, -1, 1), .8),
            g.data("float", [groups * co]) if g.chance(.6) else None], **attrs, **more)


@recipe("NhwcMaxPool", domain=MS)
def nhwc_max_pool(g):
    h, w, t = g.int(2, 8), g.int(2, 8), g.one("uint8", "int8")
    kernel = [g.int(1, min(3, h)), g.int(1, min(3, w))]
    g.node([g.data(t, [g.int(1, 2), h, w, g.one(1, 3, 16)], -100 if t == "int8" else 0, 100)], kernel_shape=kernel,
           strides=g.one(None, [2, 1]), pads=g.one(None, [k - 1 for k in kernel] * 2))


@recipe("FusedGemm", domain=MS)
def fused_gemm(g):
    m, k, n = (g.one(1, 3, 8, 17) for _ in range(3))
    ta, tb, act = g.one(None, 0, 1), g.one(None, 0, 1), g.one("Relu", "Tanh", "Sigmoid", "LeakyRelu")
    more = {"activation_alpha": .1} if act == "LeakyRelu" else {}
    g.node([g.data("float", [k, m] if ta else [m, k]), g.data("float", [n, k] if tb else [k, n]),
            g.data("float", g.one([n], [m, n], [1])) if g.chance(.7) else None], activation=act, transA=ta, transB=tb,
           alpha=g.one(None, .5), beta=g.one(None, 2.0), **more)


@recipe("FusedMatMul FusedMatMulActivation", domain=MS)
def fused_matmul(g):
    act = g.one("Relu", "Tanh", "LeakyRelu") if g.op.endswith("Activation") else None
    m, k, n, batch = g.one(1, 3, 8), g.one(1, 4, 17), g.one(1, 5, 16), g.shape(0, 2, 6, 0)
    ta, tb = g.one(0, 1), g.one(0, 1)
    g.node([g.data("float", batch + ([k, m] if ta else [m, k])), g.data("float", batch + ([n, k] if tb else [k, n]))],
           transA=ta, transB=tb, alpha=g.one(None, .25), activation=act,
           activation_alpha=.1 if act == "LeakyRelu" else None)


@recipe("Gelu QuickGelu", domain=MS)
def gelu(g):
    more = {"alpha": g.one(None, 1.0)} if g.op == "QuickGelu" else {}
    g.node([g.data("float", g.shape(0, 4))], **more)


@recipe("BiasGelu FastGelu", domain=MS)
def bias_gelu(g):
    shape, t = g.shape(1, 4, empty=0), half(g) if g.op == "FastGelu" else "float"
    bias = g.data(t, shape[-1:]) if g.op == "BiasGelu" or g.chance(.5) else None
    g.node([g.data(t, shape), bias])


@recipe("SkipLayerNormalization SkipSimplifiedLayerNormalization", domain=MS)
def skip_norm(g):
    g.open_axes = (0, 1)
    b, s, d, t = g.int(1, 3), g.int(1, 5), g.one(3, 8, 33), half(g)
    x = [b, s, d] if g.chance(.7) else [s, d]
    skip = x if g.chance(.8) or len(x) == 2 else [1, s, d]
    parts = [g.data(t, x), g.data(t, skip), g.data(t, [d])]
    if g.op[4] == "L":
        parts.append(g.data(t, [d]) if g.chance(.6) else None)
    parts.append(g.data(t, [d]) if g.chance(.5) else None)
    outputs = [True, False, False, True] if g.chance(.4) else [True]
    g.node(parts, outputs, epsilon=g.one(None, 1e-3))


@recipe("SimplifiedLayerNormalization", domain=MS)
def simplified(g):
    shape, t = g.shape(1, 4, empty=0), half(g)
    axis = g.axis(len(shape))
    g.oracle = False
    g.node([g.data(t, shape), g.data(t, shape[axis % len(shape):])], axis=axis, epsilon=g.one(None, 1e-3))


@recipe("EmbedLayerNormalization", domain=MS)
def embed(g):
    g.open_axes = (0, 1)
    b, s, d, words, places = g.int(1, 3), g.int(1, 5), g.one(3, 8, 33), 9, 6
    segments = g.chance(.6)

    def ids(n):
        return g.np.integers(0, n, [b, s]).astype(np.int32)
    mask = (np.arange(s) < g.np.integers(1, s + 1, [b, 1])).astype(np.int32) if g.chance(.6) else None
    position = ids(places) if g.chance(.4) else None
    outputs = [True, True, g.chance(.4)] if mask is not None or g.chance(.5) else [True, True]
    g.node([ids(words), ids(2) if segments else None, g.data("float", [words, d]), g.data("float", [places, d]),
            g.data("float", [2, d]) if segments else None, g.data("float", [d]), g.data("float", [d]), mask, position],
           outputs, epsilon=g.one(None, 1e-3))


@recipe("Attention", domain=MS)
def attention(g):
    g.open_axes = (0, 1)
    b, s, heads, size, d = g.int(1, 2), g.int(1, 6), g.int(1, 3), g.one(2, 4, 8), g.one(4, 8)
    h, mask = heads * size, None
    if g.chance(.6):
        mask = g.one(lambda: g.np.integers(1, s + 1, [b]).astype(np.int32),
                     lambda: (np.arange(s) < g.np.integers(1, s + 1, [b, 1])).astype(np.int32))()
    weights = g.operand(g.data("float", [d, 3 * h], -1, 1), fixed=True)
    g.node([g.data("float", [b, s, d], -1, 1), weights, g.data("float", [3 * h]), mask],
           num_heads=heads, unidirectional=g.one(None, 0, 1), scale=g.one(None, .3))


@recipe("MultiHeadAttention", domain=MS)
def multi_head(g):
    g.open_axes = (0, 1)
    b, s, heads, size = g.int(1, 2), g.int(1, 6), g.int(1, 3), g.one(2, 4, 8)
    length = g.int(1, 7)
    h = heads * size
    bias = g.data("float", [3 * h]) if g.chance(.5) else None
    mask = (np.arange(length) < g.np.integers(1, length + 1, [b, 1])).astype(np.int32) if g.chance(.4) else None
    extra = g.data("float", [g.one(1, b), g.one(1, heads), s, length]) if g.chance(.4) else None
    g.node([g.data("float", [b, n, h], -1, 1) for n in (s, length, length)] + [bias, mask, extra], num_heads=heads,
           scale=g.one(None, .3), unidirectional=g.one(None, 0))


@recipe("RotaryEmbedding", domain=MS)
def rotary(g):
    g.open_axes = (0, 1)
    b, s, heads, size, most = g.int(1, 3), g.int(1, 5), g.int(1, 3), g.one(4, 8, 16), 9
    three = g.chance(.5)
    g.open_axes = (0, 1) if three else (0,)
    x = g.data("float", [b, s, heads * size] if three else [b, heads, s, size])
    places = np.array([g.int(0, most - s)], np.int64) if g.chance(.5) else \
        g.np.integers(0, most, [b, s]).astype(np.int64)
    g.node([x, places] + [g.operand(g.data("float", [most, size // 2], -1, 1), fixed=True) for _ in range(2)],
           interleaved=g.one(None, 0, 1))


@recipe("GroupQueryAttention", domain=MS)
def group_query(g):
    g.open_axes = (0, 1)
    kv, rep, size, b = g.int(1, 2), g.int(1, 3), 16, g.int(1, 2)
    heads = kv * rep
    first = g.chance(.4)
    past = 0 if first else g.int(1, 6)
    s = g.int(2, 6) if first else 1
    total = past + s
    packed, rotate, window, room = g.chance(.3), g.chance(.5), g.one(None, 2) if first else None, past
    slides = int(g.chance(.3))
    if slides:  # a cache of a window; what lies behind its last key is not stated
        window, room = g.int(1, 4), 4
        held = total if total <= room else total - (room - window + 1) * -((room - total) // (room - window + 1))
        g.oracle = held == room
    parts = [g.data("float", [b, s, (heads + (2 * kv if packed else 0)) * size], -1, 1)]
    parts += [None, None] if packed else [g.data("float", [b, s, kv * size], -1, 1) for _ in range(2)]
    parts += [g.operand(g.data("float", [b, kv, room, size], -1, 1), False) for _ in range(2)]
    parts += [np.full(g.one([b], [b, 1]), total - 1, np.int32), np.array(total, np.int32)]
    parts += [g.data("float", [64, size // 2], -1, 1) for _ in range(2)] if rotate else []
    g.node(parts, 3, num_heads=heads, kv_num_heads=kv, do_rotary=int(rotate), rotary_interleaved=g.one(0, 1),
           local_window_size=window, sliding_window_cache=slides or None, softcap=g.one(None, 2.0),
           scale=g.one(None, .3))


@recipe("CDist", domain=MS)
def cdist(g):
    m, n, k = g.int(1, 8), g.int(1, 8), g.int(1, 9)
    t = g.one("float", "double")
    g.node([g.data(t, [m, k]), g.data(t, [n, k])], metric=g.one("euclidean", "sqeuclidean"))


@recipe("Inverse", domain=MS)
def inverse(g):
    n, t = g.int(1, 6), g.one("float", "double")
    x = g.data(t, g.shape(0, 2, 6, 0) + [n, n], -1, 1)
    g.node([(x + 4 * np.eye(n)).astype(x.dtype)])


# ---- newer ones

@recipe("LinearAttention")
def linear_attention(g):
    g.opset, g.open_axes = 27, (0, 1)
    b, s, kv, rep, dk, dv = g.int(1, 2), g.int(1, 6), g.int(1, 2), g.one(1, 2), g.one(2, 4), g.one(2, 4)
    rule = g.one("linear", "gated", "delta", "gated_delta")
    parts = [g.data("float", [b, s, h * d], -1, 1) for h, d in ((kv * rep, dk), (kv, dk), (kv, dv))]
    parts.append(g.operand(g.data("float", [b, kv, dk, dv], -1, 1), fixed=True) if g.chance(.5) else None)
    parts.append(g.data("float", [b, s, g.one(kv, kv * dk)], -1, 0) if "gated" in rule else None)
    parts.append(g.data("float", [b, s, kv], 0, 1) if "delta" in rule else None)
    g.node(parts, 2, kv_num_heads=kv, q_num_heads=kv * rep, update_rule=rule, scale=g.one(None, .5))


@recipe("CausalConvWithState")
def causal_conv(g):
    g.opset, g.open_axes = 27, (0,)
    b, c, n, k = g.int(1, 2), g.int(1, 5), g.int(1, 8), g.int(2, 4)
    g.node([g.data("float", [b, c, n]), g.operand(g.data("float", [c, 1, k], -1, 1), fixed=True),
            g.data("float", [c]) if g.chance(.5) else None,
            g.data("float", [b, c, k - 1]) if g.chance(.5) else None], 2, activation=g.one(None, "none", "silu"))


@recipe("FlexAttention", domain="ai.onnx.preview")
def flex(g):
    b, kv, rep, s, n, d, dv = g.int(1, 2), g.int(1, 2), g.one(1, 2), g.int(1, 5), g.int(1, 6), g.one(2, 4), g.one(2, 4)
    g.node([g.data("float", [b, kv * rep, s, d], -1, 1), g.data("float", [b, kv, n, d], -1, 1),
            g.data("float", [b, kv, n, dv], -1, 1)], scale=g.one(None, .3))



@recipe("BiasAdd", domain=MS)
def bias_add(g):
    b, s, c = g.int(1, 2), g.int(1, 5), g.one(3, 8, 17)
    g.open_axes = (0, 1)
    g.node([g.data("float", [b, s, c]), g.data("float", [c]), g.data("float", [b, s, c])])


@recipe("BiasSplitGelu", domain=MS)
def bias_split_gelu(g):
    c = 2 * g.int(1, 9)
    g.open_axes = (0, 1)
    g.node([g.data("float", [g.int(1, 2), g.int(1, 5), c]), g.operand(g.data("float", [c]), fixed=True)])


@recipe("GemmFastGelu", domain=MS)
def gemm_fast_gelu(g):
    m, k, n = g.one(1, 3, 8), g.one(1, 4, 17), g.one(1, 5, 16)
    g.node([g.data("float", g.shape(0, 1, 3, 0) + [m, k]), g.operand(g.data("float", [k, n]), fixed=True),
            g.operand(g.data("float", [n]), fixed=True) if g.chance(.6) else None])


@recipe("GroupNorm SkipGroupNorm", domain=MS)
def group_norm(g):
    groups = g.int(1, 3)
    c = groups * g.int(1, 4)
    g.open_axes = (0, 1, 2)
    shape = [g.int(1, 2), g.int(1, 4), g.int(1, 5), c]
    parts = [g.data("float", shape), g.data("float", [c]), g.data("float", [c])]
    if g.op == "SkipGroupNorm":
        parts.append(g.data("float", shape))
        parts.append(g.data("float", [c]) if g.chance(.5) else None)
    g.node(parts, activation=g.int(0, 1), groups=groups, channels_last=1, epsilon=g.one(None, 1e-3))


@recipe("BiasSoftmax", domain=MS)
def bias_softmax(g):
    shape = [g.int(1, 4) for _ in range(g.int(2, 4))]
    g.node([g.data("float", shape), g.data("float", g.partner(shape))], axis=g.axis(len(shape)),
           is_inner_broadcast=g.int(0, 1))


@recipe("MulInteger", domain=MS)
def mul_integer(g):
    t, shape = g.one("uint8", "int8"), g.shape(1, 4)
    zeros = [g.data(t, []) if g.chance(.6) else None for _ in range(2)]
    g.node([g.data(t, shape), zeros[0], g.data(t, g.partner(shape)), zeros[1]])


@recipe("ReduceSumInteger", domain=MS)
def reduce_sum_integer(g):
    shape = g.shape(1, 4)
    g.node([g.data(g.one("uint8", "int8"), shape)], axes=g.axes(len(shape)), keepdims=g.int(0, 1))


@recipe("GatedRelativePositionBias", domain=MS)
def gated_bias(g):
    heads, size, length, batch = g.int(1, 3), g.int(1, 5), g.int(1, 6), g.int(1, 2)
    g.open_axes = ()
    g.node([g.data("float", [batch, length, heads * size]), g.data("float", [heads * size]),
            g.data("float", [1, heads, length, length]), g.data("float", [size, 8]), g.data("float", [8]),
            g.data("float", [1, heads, 1, 1])], num_heads=heads)
