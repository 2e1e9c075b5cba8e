"""Recipes: operators of com.microsoft that move, cut out, look up; quantised convolutions and LSTMs."""
import numpy as np

from cases import recipe
from contrib_recipes import MS, half
from nn_recipes import conv_shapes


@recipe("UnfoldTensor", domain=MS)
def unfold(g):
    x = g.data(g.one("float", "int64", "uint8", "double", "bool"), g.shape(1, 4, empty=0))
    axis = g.axis(x.ndim)
    g.open_axes = [a for a in range(x.ndim) if a != axis % x.ndim]
    g.node([x], dim=axis, size=g.int(1, x.shape[axis]), step=g.one(None, 2, 3))


@recipe("CropAndResize", domain=MS)
def crop(g):
    n, c, h, w, r = g.int(1, 3), g.int(1, 4), g.int(1, 9), g.int(1, 9), g.int(1, 5)
    t = g.one("float", "float", "double")
    g.oracle = t == "float"
    g.open_axes, lo = (0,), g.one(0, -.3)
    boxes = g.data(t, [r, 4], lo, 1 - lo)
    size = np.array([g.int(1, 6), g.int(1, 6)], np.int32)
    g.node([g.data(t, [n, c, h, w]), boxes, g.np.integers(0, n, [r]).astype(np.int32), g.known(size, .8)],
           mode=g.one(None, "bilinear", "nearest"), extrapolation_value=g.one(None, 2.5))


@recipe("QLinearConv", domain=MS)
def qlinear_conv(g):
    b, groups, ci, co, size, kernel, attrs = conv_shapes(g)
    last, t, tw = g.chance(.6), g.one("uint8", "int8"), g.one("uint8", "int8")
    while last and len(size) != 2:
        b, groups, ci, co, size, kernel, attrs = conv_shapes(g)
    if t == "int8":
        tw = "int8"
    kind, kind_w = g.data(t, []).dtype, g.data(tw, []).dtype
    shape = [b] + size + [groups * ci] if last else [b, groups * ci] + size
    scale = g.np.uniform(.001, .01, [groups * co] if g.chance(.5) else []).astype(np.float32)

    def known(v):
        return g.operand(np.asarray(v), constant=True)
    zero_w = np.zeros(scale.shape, kind_w) if tw == "int8" else np.full(scale.shape, 120, kind_w)
    parts = [g.np.integers(0, 100, shape).astype(kind), known(np.float32(.02)), known(np.array(g.int(0, 90), kind)),
             known(g.np.integers(0, 120, [groups * co, ci] + kernel).astype(kind_w)), known(scale), known(zero_w),
             known(np.float32(.05)), known(np.array(g.int(0, 90), kind)),
             known(g.np.integers(-999, 999, [groups * co]).astype(np.int32)) if g.chance(.5) else None]
    g.node(parts, channels_last=int(last) if last or g.chance(.5) else None, **attrs)


@recipe("ConvTransposeWithDynamicPads", domain=MS)
def dynamic_pads(g):
    ci, co, groups, kernel = g.int(1, 3), g.int(1, 3), g.one(1, 2), [g.int(1, 3), g.int(1, 3)]
    pads = g.operand(np.array([g.int(0, k - 1) for k in kernel * 2], np.int64), constant=True) if g.chance(.7) else None
    g.open_axes = (0,)
    g.node([g.data("float", [g.int(1, 2), groups * ci, g.int(2, 6), g.int(2, 6)], -2, 2),
            g.operand(g.data("float", [groups * ci, co] + kernel, -1, 1), fixed=True), pads,
            g.operand(g.data("float", [groups * co]), fixed=True) if g.chance(.5) else None], group=groups,
           strides=g.one(None, [2, 1]), kernel_shape=kernel)


@recipe("DynamicQuantizeLSTM", domain=MS)
def quantised_lstm(g):
    g.tolerance, g.open_axes = 5e-2, (0, 1)  # its kernel rounds the state of every step, too
    way = g.one("forward", "reverse", "bidirectional")
    d, s, b, i, h, t = 2 if way[0] == "b" else 1, g.int(1, 4), g.int(1, 3), g.one(3, 8), g.one(4, 8), g.one("uint8", "int8")
    kind, columns = g.data(t, []).dtype, g.chance(.5)

    def known(v):
        return g.operand(np.asarray(v), constant=True)

    def weights(rows):
        lo, zero = (-100, 0) if t == "int8" else (20, 128)
        shape = [d, 4 * h] if columns else [d]
        return (known(g.np.integers(lo, lo + 200, [d, rows, 4 * h]).astype(kind)),
                known(g.np.uniform(.001, .004, shape).astype(np.float32)), known(np.full(shape, zero, kind)))
    (w, ws, wz), (r, rs, rz) = weights(i), weights(h)
    state = [g.data("float", [d, b, h], -1, 1) if g.chance(.5) else None for _ in range(2)]
    if (state[0] is None) != (state[1] is None):
        state = [None, None]
    length = g.operand(g.np.integers(1, s + 1, [b]).astype(np.int32), fixed=True) if g.chance(.3) else None
    g.node([g.operand(g.data("float", [s, b, i], -1, 1), fixed=True), w, r,
            known(g.data("float", [d, 8 * h], -.5, .5)) if g.chance(.6) else None, length,
            *[a if a is None else g.operand(a, fixed=True) for a in state], None, ws, wz, rs, rz], 3, hidden_size=h,
           direction=way)


@recipe("NGramRepeatBlock", domain=MS)
def repeat_block(g):
    b, s, words, size = g.int(1, 3), g.int(1, 12), g.int(2, 5), g.int(1, 4)
    g.open_axes = (0, 1)
    scores = g.data("float", [b, words])
    scores[:, 0] = 1.0
    g.node([g.np.integers(0, words, [b, s]).astype(np.int64), g.operand(scores, fixed=True)], ngram_size=size)


@recipe("RelativePositionBias", domain=MS)
def position_bias(g):
    both, heads = g.one(0, 1), g.int(1, 3)
    length = np.array([g.int(1, 9)], np.int64)
    g.node([g.operand(g.data("float", [g.one(8, 12, 32), heads]), fixed=True), g.known(length), g.known(length)],
           max_distance=g.one(20, 128), is_bidirectional=both)


@recipe("MRotaryEmbedding", domain=MS)
def mrotary(g):
    g.open_axes, most, heads, b, s = (0, 1), 9, g.int(1, 3), g.int(1, 2), g.int(1, 4)
    section = g.one([2, 1, 1], [1, 3, 2], [4, 0, 0], [2, 2, 2])
    half_size, three = sum(section), g.chance(.5)
    g.open_axes = (0, 1) if three else (0,)
    t = half(g)
    layout = g.one(None, 0, 1)
    if layout == 1 and (section[1] > half_size // 3 or section[2] > half_size // 3):
        section = [half_size, 0, 0]
    x = g.data(t, [b, s, heads * half_size * 2] if three else [b, heads, s, half_size * 2])
    g.node([x, g.operand(g.np.integers(0, most, [3, b, s]).astype(np.int64), fixed=True)] +
           [g.operand(g.data(t, [most, half_size], -1, 1), fixed=True) for _ in range(2)], mrope_section=section,
           mrope_layout=layout, interleaved=g.one(None, 0, 1))


@recipe("GemmaRotaryEmbedding", domain=MS)
def gemma_rotary(g):
    b, heads, s, d = g.int(1, 2), g.int(1, 3), g.int(1, 5), g.one(4, 8)
    g.open_axes, g.tolerance = (0,), 4e-3
    g.node([g.data("float", [b, s, d])] + [g.data("float16", [b, heads, s, d]) for _ in range(4)], 2)
