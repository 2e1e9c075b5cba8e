"""Rare forms: windows, norms, products, resampling, recurrent nets, attention, signals, quantisation, optimisers."""
import numpy as np
from onnx import helper

from cases import DTYPE, Invalid, NARROW, wide
from movement_recipes import I64, ints
from nn_recipes import conv_shapes, window
from quant_recipes import const, np_code, scale
from region_recipes import body
from wide_recipes import FLOATS, code_of, extremes


def batch(g):
    return g.one(0, 1, 2)


# ---- windows

@wide("Conv ConvInteger")
def conv(g):
    """Batches of none, four dims of space, operands all computed when run, kernels as wide as the image."""
    _, groups, ci, co, size, kernel, attrs = conv_shapes(g)
    if g.chance(.15):
        size, kernel, attrs = [g.int(1, 3) for _ in range(4)], [1, g.int(1, 1), 1, 1], {"group": groups}
    elif g.chance(.3):
        kernel = list(size)
        attrs = {"group": groups, "pads": g.one(None, [0] * 2 * len(size), [d - 1 for d in size * 2])}
    t = g.t("T1" if g.op == "ConvInteger" else "T")
    shape, weight = [batch(g), groups * ci] + size, [groups * co, ci] + kernel
    g.oracle = g.oracle and len(size) < 4 and shape[0] > 0
    attrs["kernel_shape"] = g.one(None, kernel)
    constant = g.chance(.4)
    if g.op == "ConvInteger":
        tw = g.t("T2")
        zeros = [g.data(t, []), g.data(tw, g.one([], [groups * co]))] if g.chance(.6) else []
        if zeros and zeros[1].ndim == 1 and len(kernel) != 2:
            g.wrong = ["onnx"]  # as in nn_recipes.conv_integer
        g.node([g.data(t, shape), g.operand(g.data(tw, weight), constant, fixed=True), *zeros], **attrs)
        return
    bias = g.operand(g.data(t, [groups * co]), g.chance(.5), fixed=g.chance(.5)) if g.chance(.6) else None
    g.node([g.data(t, shape, -2, 2), g.operand(g.data(t, weight, -1, 1), constant, fixed=True), bias], **attrs)


@wide("ConvTranspose")
def conv_transpose(g):
    _, groups, ci, co, size, kernel, attrs = conv_shapes(g)
    t, n = g.t(), batch(g)
    strides, dil = attrs.get("strides") or [1] * len(kernel), attrs.get("dilations") or [1] * len(kernel)
    g.wrong, g.oracle = ["onnx"], n > 0
    how = g.int(0, 2)
    if how == 0:
        strides = [min(s, k) for s, k in zip(strides, kernel)]  # no padding less than 0: ONNX Runtime makes that 0
        attrs = {"group": groups, "strides": strides, "auto_pad": g.one("SAME_UPPER", "SAME_LOWER", "VALID")}
    elif how == 1:
        full = [(d - 1) * s + (k - 1) * e + 1 for d, s, k, e in zip(size, strides, kernel, dil)]
        attrs.pop("pads", None), attrs.pop("auto_pad", None)
        attrs["output_shape"] = [f + g.int(-min(2, f - 1), 0) for f in full]
    attrs["kernel_shape"] = g.one(None, kernel)
    g.node([g.data(t, [n, groups * ci] + size, -2, 2), g.operand(g.data(t, [groups * ci, co] + kernel, -1, 1), g.chance(.4), True),
            g.data(t, [groups * co]) if g.chance(.6) else None], **attrs)


@wide("MaxPool AveragePool LpPool")
def pool(g):
    size, kernel, attrs = window(g)
    t = g.t()
    if g.version < {"MaxPool": 10, "AveragePool": 19, "LpPool": 18}[g.op]:
        attrs.pop("dilations", None)
    if g.version >= (18 if g.op == "LpPool" else 10) and g.chance(.5) and "auto_pad" not in attrs:
        attrs["ceil_mode"] = 1
    n, special = batch(g), g.op == "MaxPool" and g.chance(.5)
    shape = [n, g.one(1, 3, 17)] + size
    if special:
        x = extremes(g, t, shape)
    else:
        x = g.data(t, shape)
    g.oracle = g.oracle and n > 0
    g.wrong = ["onnx"]
    outputs = [True, True] if g.op == "MaxPool" and g.version >= 8 and g.chance(.4) else 1
    if outputs != 1:
        g.oracle = False  # which one of ties
        attrs["storage_order"] = g.one(0, 1)
    g.node([x], outputs, kernel_shape=kernel, **attrs)


@wide("GlobalAveragePool GlobalMaxPool GlobalLpPool")
def global_pool(g):
    shape = [batch(g), g.one(1, 3, 16)] + [g.int(1, 7) for _ in range(g.int(0, 4))]
    g.oracle = shape[0] > 0 and len(shape) > 2
    g.wrong = ["onnx"]
    g.node([g.data(g.t(), shape)])


@wide("MaxUnpool")
def max_unpool(g):
    n, c, k = batch(g), g.int(1, 2), g.int(1, 3)
    size, kernel = [g.int(1, 4) for _ in range(k)], [g.int(1, 3) for _ in range(k)]
    strides = g.one(None, [g.int(1, 3) for _ in range(k)])
    pads = g.one(None, [0] * 2 * k)
    full = [(d - 1) * s + f for d, s, f in zip(size, strides or [1] * k, kernel)]
    if pads and all(f > 1 for f in full):
        pads = [g.int(0, 1) for _ in range(2 * k)]
        full = [f - pads[i] - pads[i + k] for i, f in enumerate(full)]
        if min(full) < 1:
            raise Invalid
    if int(np.prod(full)) < int(np.prod(size)):
        raise Invalid
    index = np.array([g.np.permutation(int(np.prod(full)))[:int(np.prod(size))] for _ in range(n * c)], I64)
    index = (index.reshape(n * c, int(np.prod(size))) + np.arange(n * c)[:, None] * int(np.prod(full))).reshape([n, c] + size)
    g.oracle = False
    g.node([g.data(g.t("T1"), index.shape), index], kernel_shape=kernel, strides=strides, pads=pads)


@wide("RoiAlign MaxRoiPool")
def rois(g):
    n, c, h, w, r = g.int(1, 2), g.int(1, 3), g.int(1, 8), g.int(1, 8), g.one(0, 1, 3)
    t = g.t("T1" if g.op == "RoiAlign" else "T")
    low = g.np.uniform(-4, 9, [r, 2])
    box = np.concatenate([low, low + g.np.uniform(-1, 9, [r, 2])], 1).astype(DTYPE[t])
    g.oracle = False
    if g.op == "MaxRoiPool":
        box = np.concatenate([g.np.integers(0, n, [r, 1]), np.rint(box.astype(np.float64))], 1).astype(DTYPE[t])
        g.node([g.data(t, [n, c, h, w]), box], pooled_shape=[g.int(1, 3), g.int(1, 3)], spatial_scale=g.one(None, .3, 2.0))
        return
    g.node([g.data(t, [n, c, h, w]), box, g.np.integers(0, n, r).astype(I64)], mode=g.one(None, "avg", "max"),
           output_height=g.one(None, 3), output_width=g.one(None, 3), sampling_ratio=g.one(None, 0, 3),
           spatial_scale=g.one(None, .3, 2.0))


@wide("DeformConv")
def deform(g):
    size, kernel, dil = [g.int(4, 7), g.int(4, 7)], [g.int(1, 3), g.int(1, 3)], [g.int(1, 2), g.int(1, 2)]
    pads, strides = g.one([0] * 4, [1, 2, 0, 1]), g.one([1, 1], [2, 3])
    size = [max(s, (k - 1) * d + 1) for s, k, d in zip(size, kernel, dil)]
    groups, og, c, co = g.one(1, 2), g.one(1, 2), 4, g.one(2, 4)
    out = [(size[i] + pads[i] + pads[i + 2] - (kernel[i] - 1) * dil[i] - 1) // strides[i] + 1 for i in range(2)]
    t, b, k = g.t(only=["float", "double"]), batch(g), kernel[0] * kernel[1]
    g.oracle = b > 0
    parts = [g.data(t, [b, c] + size), g.operand(g.data(t, [co, c // groups] + kernel, -1, 1), fixed=True),
             g.data(t, [b, og * k * 2] + out, -9, 9), None, g.data(t, [b, og * k] + out, -1, 1) if g.chance(.5) else None]
    g.node(parts, strides=strides if strides != [1, 1] else None, pads=pads if any(pads) else None, dilations=dil,
           group=groups if groups > 1 else None, offset_group=og if og > 1 else None)


@wide("Col2Im")
def col2im(g):
    k = g.int(1, 4)
    image = [g.int(1, 5) for _ in range(k)]
    kernel = [g.int(1, d) for d in image]
    count = int(np.prod([d - n + 1 for d, n in zip(image, kernel)]))
    t = g.t(only=[t for t in g.allowed("T") if t not in ("string", "bool") and "complex" not in t], common=0)
    n = batch(g)
    g.oracle = n > 0 and t in ("float", "double")
    g.node([g.data(t, [n, g.int(1, 3) * int(np.prod(kernel)), count]), g.known(ints(*image), .2), g.known(ints(*kernel), 1)])


# ---- norms

@wide("LayerNormalization RMSNormalization")
def layer_norm(g):
    shape, t = g.shape(1, 5, empty=0), g.t()
    axis = g.one(None, g.axis(len(shape)))
    scale_shape = shape[(-1 if axis is None else axis % len(shape)):]
    if g.chance(.25) and len(scale_shape) < len(shape):
        shape[0], g.oracle = 0, False
    x = g.data(t, shape)
    if x.size and g.chance(.25):
        x.reshape(-1)[0], g.oracle = g.one(np.nan, np.inf), False
    elif x.size and g.chance(.2):
        x[...] = g.one(0, 3)  # a variance of nothing
    g.wrong = ["onnx"]
    more = [g.data(t, g.partner(scale_shape))] if g.op[0] == "L" and g.chance(.5) else []
    v = g.t("V") if g.op[0] == "R" else t
    g.node([x, g.data(v, g.partner(scale_shape))] + more, axis=axis, epsilon=g.one(None, 0.0 if g.op[0] == "R" else .5))


@wide("InstanceNormalization BatchNormalization GroupNormalization LRN MeanVarianceNormalization LpNormalization")
def norms(g):
    n, c, t = batch(g), g.one(1, 4, 6), g.t()
    rest = [g.int(1, 5) for _ in range(g.int(1, 4))]
    shape = [n, c] + rest
    g.oracle, g.wrong = n > 0, ["onnx"]

    def vector(lo=-2, hi=2, kind=t, size=c):
        return g.operand(g.data(kind, [size], lo, hi), g.chance(.5))
    if g.op == "InstanceNormalization":
        g.node([g.data(t, shape), vector(), vector()])
    elif g.op == "BatchNormalization":
        if g.version < 9:
            raise Invalid
        t1, t2 = (g.t("T1"), g.t("T2")) if g.version >= 15 else (g.t("U"), g.t("U")) if g.version == 14 else (t, t)
        shape = shape[:g.int(1 if g.version >= 9 else 2, len(shape))]
        if len(shape) == 1:
            shape, c = [n], 1
        train = g.version >= 14 and g.chance(.4) and n > 0
        g.oracle = g.oracle and len(shape) > 2
        g.node([g.data(t, shape), vector(kind=t1, size=c), vector(kind=t1, size=c), vector(kind=t2, size=c), vector(.1, 2, t2, c)],
               3 if train else 1, training_mode=1 if train else None)
    elif g.op == "GroupNormalization":
        groups = g.one(*[k for k in (1, 2, 3, c) if c % k == 0])
        k = groups if g.version < 21 else c
        g.node([g.data(t, shape), vector(size=k), vector(size=k)], num_groups=groups, stash_type=g.one(None, 1) if g.version > 20 else None)
    elif g.op == "LRN":
        g.oracle = False
        g.node([g.data(t, shape)], size=g.one(1, 2, 4, 7, 20), alpha=g.one(None, .1))
    elif g.op == "MeanVarianceNormalization":
        g.oracle = False
        axes = g.r.sample(range(len(shape)), g.int(1, len(shape)))
        g.node([g.data(t, shape)], axes=[a - len(shape) if g.chance(.3) else a for a in axes])
    else:
        x = g.data(t, g.shape(1, 5, empty=.2))
        if x.size and g.chance(.4):
            x[...] = 0
        g.oracle = False
        g.node([x], axis=g.one(None, g.axis(x.ndim)), p=g.one(None, 1, 2))


@wide("Softmax LogSoftmax Hardmax")
def softmax(g):
    shape, t = g.shape(1, 5, empty=.15), g.t()
    x = extremes(g, t, shape) if g.chance(.3) else g.data(t, shape, *g.one((), (-80, 80), (200, 210)))
    if x.size and g.chance(.3):
        x.reshape(-1)[:g.int(1, x.size)], g.oracle = -np.inf, False
    g.wrong = ["onnx"]
    g.node([x], axis=g.axis(len(shape), g.version >= 11))


@wide("NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss")
def losses(g):
    n, c, rest = batch(g), g.int(1, 6), [g.int(1, 3) for _ in range(g.int(0, 4))]
    t = g.t(only=list(FLOATS))
    target = g.np.integers(0, c, [n] + rest).astype(g.one(np.int32, I64))
    ignore = g.one(None, 0, -100, c + 5)
    if ignore is not None:
        target[g.np.random(target.shape) < .4] = ignore
    if ignore is not None and g.chance(.2):
        target[...] = ignore
    g.oracle = n > 0 and not (ignore is not None and (target == ignore).all())
    g.wrong = ["onnx"]
    flags = [True, True] if g.op[0] == "S" and g.chance(.4) else 1
    g.node([g.data(t, [n, c] + rest, -30, 30 if g.op[0] == "S" else 0), g.known(target, .3),
            g.known(g.data(t, [c], 0, 2), .5) if g.chance(.5) else None], flags, ignore_index=ignore,
           reduction=g.one(None, "none", "mean", "sum"))


# ---- products

@wide("Gemm MatMul")
def products(g):
    m, k, n = (g.one(0, 1, 3, 17, 40) for _ in range(3))
    t = g.t()
    g.oracle = 0 not in (m, k, n)
    big = t.startswith(("int", "uint")) and g.chance(.4)

    def data(shape):
        return extremes(g, t, shape) if big else g.data(t, shape, -2, 2)
    if g.op == "MatMul":
        lead = g.shape(0, 4, 6, .1)
        g.oracle = g.oracle and 0 not in lead
        g.node([data(g.partner(lead) + [m, k]), g.operand(data(g.partner(lead) + [k, n]), g.chance(.4))])
        return
    ta, tb = g.one(None, 0, 1), g.one(None, 0, 1)
    c = data(g.one([m, n], [n], [1, 1]) if g.version >= 7 else [m, n])
    alpha = g.one(None, 0.0, 2.0)
    g.wrong = ["onnx"]  # a beta of 0 counts as 1
    g.node([data([k, m] if ta else [m, k]), data([n, k] if tb else [k, n]), c], transA=ta, transB=tb, alpha=alpha,
           beta=g.one(None, 0.0, 3.0), broadcast=g.one(None, 0) if g.version < 7 else None)


@wide("MatMulInteger")
def matmul_integer(g):
    m, k, n, lead = g.one(0, 1, 9), g.one(0, 1, 70), g.one(1, 9, 33), g.shape(0, 2, 6, 0)
    ta, tb = g.t("T1"), g.t("T2")
    za, zb = g.one(None, [], [1], [m], lead + [m, 1]), g.one(None, [], [1], [n], lead + [1, n])
    g.oracle = False
    g.node([extremes(g, ta, lead + [m, k]), g.operand(extremes(g, tb, lead + [k, n]), g.chance(.5)),
            None if za is None else g.data(ta, za), None if zb is None else g.data(tb, zb)])


@wide("Einsum")
def einsum(g):
    size = {c: g.one(0, 1, 2, 3, 5) if g.chance(.2) else g.int(1, 4) for c in "abcdeij"}
    t = g.t(only=[t for t in g.allowed("T") if "complex" not in t], common=.2)
    equation = g.one("ii->i", "bii->bi", "ii,i->i", "iij,jk->ik".replace("k", "a"), "aab,bcc->ac", "iii->i", "ab,bc,cd,de->ae",
                     ",ab->ba", "a,b->ab", "a,a->", "ab,ab->ab", "abc->cb", "ab->", "...ii->...i", "...ab,...bc->...ac",
                     "a...b,b...c->a...c", "b...,b...->...", "ab,cd->abcd", "abc,dcb->ad", "abij,abjc->abic", "abij,abcj->abic")
    extra = g.shape(0, 2, 6, 0) if "..." in equation else []
    terms = equation.split("->")[0].split(",")
    arrays = []
    for k, term in enumerate(terms):
        shape = []
        for part in term.replace("...", "*"):
            shape += (extra if k == 0 else extra if "->..." in equation else extra) if part == "*" else [size[part]]
        arrays.append(g.data(t, shape, -2, 2))
    g.oracle = all(a.size for a in arrays)
    g.node(arrays, equation=equation if g.chance(.8) or "..." in equation or equation[0] == "," else equation.split("->")[0])


@wide("QLinearMatMul")
def qlinear_matmul(g):
    m, k, n = g.one(1, 5, 17), g.one(1, 8, 70), g.one(1, 9, 33)
    lead = g.shape(0, 2, 4, 0)
    t1, t2, t3 = (g.t(v, only=["uint8", "int8"]) for v in ("T1", "T2", "T3"))
    ts = g.t("TS", only=["float", "float16", "bfloat16"]) if g.version >= 21 else "float"
    per = g.one([], [n])
    g.wrong, g.oracle, g.tolerance = ["onnx"], ts == "float", 0
    g.node([g.data(t1, lead + [m, k]), const(g, scale(g, [], ts), .5), const(g, g.data(t1, []), .5),
            g.operand(g.data(t2, lead + [k, n]), g.chance(.6)), const(g, scale(g, per, ts), .5), const(g, g.data(t2, per), .5),
            const(g, scale(g, [], ts, .5, 2), .5), const(g, g.data(t3, []), .5)])


@wide("QuantizeLinear")
def quantize(g):
    """Values at the ends of ranges and between codes; scales of other types; computed when run."""
    if g.version < 13:
        raise Invalid
    shape = g.shape(1, 4, 200)
    t = g.t("T1", only=["float", "float16", "bfloat16"])
    y = g.t({13: "T2", 19: "T2"}.get(g.version, "T3" if g.version >= 23 else "T2"))
    ts = "float" if g.version < 19 else t
    axis = g.axis(len(shape))
    s = g.one([], [shape[axis]])
    zero = np.zeros(s, DTYPE[y]) if y.startswith("float") else g.data(y, s, 0, 3)
    step = g.one(1.0, .5, 3.0)
    x = (g.np.integers(-700, 700, shape) / 2 * step).astype(DTYPE[t])
    if x.size and g.chance(.4):
        x.reshape(-1)[0], g.oracle = g.one(np.inf, -np.inf, np.nan), False
    g.tolerance, g.wrong = 0, ["onnx"]
    more = {"saturate": g.one(None, 0, 1)} if g.version >= 19 and y.startswith("float8") else {}
    if g.version >= 23 and g.chance(.3):
        more["precision"] = np_code(g.one("float", ts))
        g.oracle = False
    g.node([x, const(g, np.full(s, step).astype(DTYPE[ts]), .3), const(g, zero, .3)], axis=axis if s else None, **more)


@wide("DequantizeLinear")
def dequantize(g):
    if g.version < 21:
        raise Invalid
    t, ts, shape = g.t("T1", common=0), g.t("T2", only=list(FLOATS)), g.shape(1, 4, 200, empty=0)
    axis, block = g.axis(len(shape)), g.one(None, 0, 3)
    s = list(shape)
    s = [shape[axis]] if not block else s
    if block:
        s[axis] = -(-shape[axis] // block)
    zero = None if t == "int32" or t.startswith("float") or g.chance(.3) else const(g, g.data(t, s, 0, 3), .3)
    g.wrong = ["onnx"] if block and shape[axis] % block else []
    g.node([g.data(t, shape), const(g, scale(g, s, ts), .3), zero], axis=axis, block_size=block)


# ---- resampling

@wide("Resize")
def resize(g):
    if g.version < 11:
        raise Invalid
    rank = g.int(1, 5)
    shape = [g.int(1, 5) for _ in range(rank)]
    mode = g.one("nearest", "nearest", "linear", "cubic")
    t = g.t("T1", only=[t for t in g.allowed("T1") if "complex" not in t and t not in ("string", "bool")] if mode == "nearest"
            else list(FLOATS))
    g.wrong = ["onnx"] if t.endswith("int64") else []  # goes by doubles
    moved = sorted(g.r.sample(range(rank), g.int(1, min(rank, 2))))
    scales = [g.one(.3, .5, 1.0, 1.7, 2.0, 4.0) if a in moved else 1.0 for a in range(rank)]
    scales = [s if int(np.floor(d * s)) >= 1 else 1.0 for d, s in zip(shape, scales)]
    sizes = [g.int(1, 9) if a in moved else d for a, d in enumerate(shape)]
    if g.chance(.15):
        still = [a for a in range(rank) if a not in moved]
        if still:
            shape[still[0]], sizes[still[0]] = 0, 0
    g.oracle = False if 0 in shape or mode == "cubic" and len(moved) != 2 else g.oracle
    more = {"mode": mode, "coordinate_transformation_mode": g.one(None, "half_pixel", "align_corners", "asymmetric",
                                                                  "pytorch_half_pixel", "tf_crop_and_resize")}
    if mode == "nearest":
        more["nearest_mode"] = g.one(None, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    else:
        more["exclude_outside"] = g.one(None, 0, 1) if mode == "cubic" else None
        if g.version >= 18 and more["coordinate_transformation_mode"] != "tf_crop_and_resize":
            more["antialias"] = g.one(None, 0, 1)
    axes = None
    if g.version >= 18 and g.chance(.4):
        axes = list(moved)
        g.r.shuffle(axes)
        scales, sizes = [scales[a] for a in axes], [sizes[a] for a in axes]
        more["axes"] = [a - rank if g.chance(.4) and g.version >= 18 else a for a in axes]
    roi = None
    if more["coordinate_transformation_mode"] == "tf_crop_and_resize":
        n = len(scales)
        start, end = [round(g.r.uniform(-.2, .4), 2) for _ in range(n)], [round(g.r.uniform(.5, 1.3), 2) for _ in range(n)]
        for i in range(n):
            if (axes[i] if axes else i) not in moved:
                start[i], end[i] = 0.0, 1.0
        roi = g.known(np.array(start + end).astype(DTYPE[g.t("T2", only=["float", "double", "float16"])]), .4)
        more["extrapolation_value"] = g.one(None, -2.0)
        g.oracle = g.oracle and g.types["T2"] == "float"
    if g.chance(.5):
        tail = [g.known(np.array(scales, np.float32), .3)]
    else:
        if g.version >= 18 and g.chance(.5) and not roi and 0 not in shape:
            more["keep_aspect_ratio_policy"] = g.one("not_larger", "not_smaller")
            if axes is None:
                more["axes"] = list(moved)
                sizes = [sizes[a] for a in moved]
            if min(more["axes"]) < 0:
                g.wrong = g.wrong + ["ONNX Runtime"]  # changes another extent
        tail = [None, g.known(ints(*sizes), .3)]
    if g.version < 13:
        roi = roi or g.known(np.array([], np.float32), 1)
        tail = [g.known(np.array([], np.float32), 1) if v is None else v for v in tail]
    g.node([g.data(t, shape), roi] + tail, **more)


@wide("Upsample")
def upsample(g):
    if g.version < 7:
        raise Invalid
    rank, t, mode = g.int(1, 5), g.t(), g.one(None, "nearest", "linear")
    if t == "string" or "complex" in t or t == "bool":
        mode = "nearest"
    shape, scales = [g.int(1, 4) for _ in range(rank)], [1.0] * rank
    for a in g.r.sample(range(rank), min(rank, 2)):
        scales[a] = g.one(1.0, 2.0, 3.0)
    g.oracle = t == "float" and rank == 4
    if mode == "linear" and t not in FLOATS:
        raise Invalid
    if g.version >= 9:
        g.node([g.data(t, shape), g.known(np.array(scales, np.float32), .4)], mode=mode)
    else:
        g.node([g.data(t, shape)], mode=mode, scales=scales)


@wide("GridSample")
def grid_sample(g):
    k = 2 if g.version < 20 else g.int(1, 3)
    mode = g.one(None, "linear", "nearest", "cubic")
    if g.version < 20 and mode:
        mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    t1, t2 = g.t("T1", only=list(FLOATS)), g.t("T2", only=["float", "double", "float16", "bfloat16"])
    n, grid_n = g.one(0, 1, 2), None
    grid = g.data(t2, [n] + [g.int(1, 5) for _ in range(k)] + [k], -3, 3)
    if grid.size and g.chance(.2):
        grid.reshape(-1)[0] = g.one(np.nan, np.inf, -np.inf, 3e4)
    g.oracle, grid_n = False, grid_n
    g.node([g.data(t1, [n, g.int(1, 3)] + [g.int(1, 4) for _ in range(k)]), grid], mode=mode,
           padding_mode=g.one(None, "zeros", "border", "reflection"), align_corners=g.one(None, 0, 1))


# ---- recurrent nets

@wide("RNN GRU LSTM")
def recurrent(g):
    """Activations with numbers; no hidden_size; steps or a batch of none; lengths of none."""
    gates, n = {"RNN": (1, 1), "GRU": (3, 2), "LSTM": (4, 3)}[g.op]
    s, b, i, h = g.one(0, 1, 4), g.one(0, 1, 3), g.one(1, 5), g.one(1, 3, 8)
    direction = g.one(None, "forward", "reverse", "bidirectional")
    d, t = (2 if direction == "bidirectional" else 1), g.t(only=["float", "double"])
    with_numbers = {"LeakyRelu": (.2, None), "ThresholdedRelu": (.3, None), "ScaledTanh": (1.2, .7), "HardSigmoid": (.3, .4),
                    "Elu": (.8, None), "Affine": (.5, .1)}
    chosen, alpha, beta = [], [], []
    for _ in range(n * d):
        f = g.one("Tanh", "Sigmoid", "Relu", "Softsign", "Softplus", *with_numbers)
        chosen.append(f)
        if f in with_numbers:
            alpha.append(with_numbers[f][0])
            if with_numbers[f][1] is not None:
                beta.append(with_numbers[f][1])
    named = g.chance(.7)
    parts = [g.data(t, [s, b, i], -1, 1)]
    constant = g.chance(.5)
    parts += [g.operand(g.data(t, [d, gates * h, k], -1, 1), constant, True) for k in (i, h)]
    parts.append(g.data(t, [d, 2 * gates * h], -1, 1) if g.chance(.6) else None)
    parts.append(g.np.integers(0, s + 1, b).astype(np.int32) if g.chance(.4) else None)
    if g.chance(.4):
        parts += [g.data(t, [d, b, h], -1, 1) for _ in range(2 if g.op == "LSTM" else 1)]
    g.wrong = ["onnx"]
    g.oracle = s > 0 and b > 0 and parts[4] is None and not named
    more = {"activations": chosen, "activation_alpha": alpha or None, "activation_beta": beta or None} if named else {}
    g.node(parts, 3 if g.op == "LSTM" else 2, hidden_size=g.one(None, h), direction=direction,
           output_sequence=1 if g.version < 7 else None, **more)


# ---- signals

@wide("DFT STFT")
def signals(g):
    if g.op == "STFT":
        t, n, frame = g.t("T1"), g.int(9, 40), g.one(1, 4, 7)
        g.t("T2")
        g.wrong = ["onnx"]
        g.oracle = t in ("float", "double")
        it = DTYPE[g.types["T2"]]
        g.open_axes = (0, 1)
        g.node([g.data(t, [g.one(0, 1, 2), n, 1], -1, 1), g.known(np.array(g.int(1, 5), it), .5),
                g.operand(g.data(t, [frame], 0, 1), fixed=True), g.known(np.array(frame, it), 1) if g.chance(.4) else None],
               onesided=g.one(None, 0, 1))
        return
    if g.version < 20:
        raise Invalid
    t, shape = g.t("T1"), [g.int(1, 3) for _ in range(g.int(0, 3))] + [g.one(1, 4, 9, 32, 35)]
    g.wrong, g.oracle, g.tolerance = ["onnx"], t in ("float", "double"), max(g.tolerance, 1e-4)
    g.t("T2")
    length = g.known(np.array(g.int(1, 40), DTYPE[g.types["T2"]]), .4) if g.chance(.5) else None
    axis = g.known(np.array(g.int(0, len(shape) - 1), I64), .5) if g.chance(.5) or len(shape) < 2 else None
    g.open_axes = range(len(shape))
    g.node([g.operand(g.data(t, shape + [g.int(1, 2)], -2, 2)), length, axis], inverse=g.one(None, 0, 1))


@wide("HannWindow HammingWindow BlackmanWindow MelWeightMatrix")
def windows(g):
    t = g.one(*[t for t in g.allowed("T2") if t in FLOATS + ("int32", "int64", "uint8")]) if g.op != "MelWeightMatrix" else None
    if t:
        g.oracle = t in ("float", "double")
        g.tolerance = 2e-2 if t == "bfloat16" else 2e-3 if t == "float16" else 0
        g.node([g.known(np.array(g.one(0, g.int(2, 20)), g.one(np.int32, I64)), .4)], periodic=g.one(None, 0, 1), output_datatype=code_of(t))
        return
    it, ft = DTYPE[g.t("T1")], DTYPE[g.t("T2")]
    to = g.one(None, 1, 10, 11, 6)
    g.oracle = ft == np.float32
    g.tolerance = 2e-3 if to == 10 else 0
    g.node([g.known(np.array(v), .4) for v in (it.type(g.int(1, 8)), it.type(g.one(16, 30, 64)), it.type(g.one(8000, 16000)),
                                               ft.type(g.int(0, 100)), ft.type(g.one(3000, 4000)))], output_datatype=to)


# ---- attention

@wide("Attention")
def attention(g):
    """bfloat16, types that differ, masks that are short, lengths of keys, every output, no keys at all."""
    b, kv, rep, s, size, vsize = g.int(1, 2), g.int(1, 2), g.one(1, 1, 3), g.one(1, 3, 7), g.one(1, 4, 9), g.one(1, 4, 8)
    heads, past, more = kv * rep, g.one(0, 0, 2), {}
    new = g.one(1, 3, 9) if not past else s
    total = past + new
    t = g.t("T1")
    tv = g.t("T2") if g.chance(.3) else g.t("T2", only=[t])
    g.wrong = ["onnx"] if t == "bfloat16" or tv != t else []
    parts = [g.data(t, [b, heads, s, size], -1, 1), g.data(t, [b, kv, new, size], -1, 1), g.data(tv, [b, kv, new, vsize], -1, 1)]
    mask = None
    if g.chance(.6):
        wide_ = total if g.chance(.7) or g.version < 24 else g.int(1, total)
        shape = g.one([s, wide_], [1, wide_], [b, heads, s, wide_], [b, 1, 1, wide_], [1, wide_])
        if g.chance(.4):
            mask = g.data("bool", shape)
            if g.chance(.7):
                mask[..., 0] = True
            else:
                g.oracle = False
        else:
            mask = g.data(g.t("U", only=[t]), shape, -2, 2)
            if g.chance(.3):
                mask[..., mask.shape[-1] // 2:] = -np.inf
                g.oracle = mask.shape[-1] > 1
    parts += [mask] + ([g.data(t, [b, kv, past, size], -1, 1), g.data(tv, [b, kv, past, vsize], -1, 1)] if past else [])
    if g.version >= 24 and not past and g.chance(.4):
        parts += [None, None, g.np.integers(1, new + 1, b).astype(I64)]
    outputs = [True, bool(past), bool(past), g.chance(.4)]
    if outputs[3]:
        more["qk_matmul_output_mode"] = g.one(None, 0, 1, 2, 3)
    if g.chance(.2):
        more["softmax_precision"] = g.one(1, 10, 11)
        g.wrong = ["onnx"]
        if more["softmax_precision"] == 10:
            g.tolerance = max(g.tolerance, NARROW["float16"])
    while not outputs[-1]:
        outputs.pop()
    causal = g.one(None, 0, 1)
    if causal and mask is not None and mask.shape[-2] < s:
        g.wrong = ["onnx"]  # all queries then see what the first one does
    g.node(parts, outputs, is_causal=causal, scale=g.one(None, .3), softcap=g.one(None, None, 2.0), **more)


@wide("LinearAttention")
def linear_attention(g):
    g.opset, g.open_axes = 27, (0, 1)
    b, s, kv, rep, dk, dv = g.one(0, 1, 2), g.one(1, 70), g.int(1, 2), g.one(1, 2), g.one(1, 4, 17), g.one(1, 4, 17)
    rule, t = g.one("linear", "gated", "delta", "gated_delta"), g.t()
    st = g.t("S") if g.chance(.3) else g.t("S", only=[t])
    g.oracle = b > 0
    parts = [g.data(t, [b, s, h * d], -.3, .3) for h, d in ((kv * rep, dk), (kv, dk), (kv, dv))]
    parts.append(g.operand(g.data(st, [b, kv, dk, dv], -1, 1), fixed=True) if g.chance(.5) or st != t else None)
    parts.append(g.data(t, [b, s, g.one(kv, kv * dk)], -1, 0) if "gated" in rule else None)
    parts.append(g.data(t, [b, s, kv], 0, 1) if "delta" in rule else None)
    g.node(parts, 2, kv_num_heads=kv, q_num_heads=kv * rep, update_rule=rule, scale=g.one(None, .5), chunk_size=g.one(None, 16))


@wide("CausalConvWithState")
def causal_conv(g):
    g.opset, g.open_axes = 27, (0,)
    b, c, n, k = g.one(0, 1, 2), g.int(1, 5), g.one(1, 2, 30), g.one(1, 4, 7)
    t = g.t()
    g.oracle = b > 0
    g.node([g.data(t, [b, c, n]), g.operand(g.data(t, [c, 1, k], -1, 1), fixed=True), g.data(t, [c]) if g.chance(.5) else None,
            g.data(t, [b, c, k - 1]) if g.chance(.5) else None], 2, activation=g.one(None, "none", "silu", "swish"))


@wide("FlexAttention", domain="ai.onnx.preview")
def flex(g):
    """Scores changed by a graph before and after softmax."""
    b, kv, rep, s, n, d, dv = g.int(1, 2), g.int(1, 2), g.one(1, 2), g.int(1, 5), g.int(1, 6), g.one(2, 4), g.one(2, 4)
    t = g.t("T1")
    tv = g.t("T2", only=[t]) if "T2" in [c.type_param_str for c in g.schema.type_constraints] else t
    code = code_of(t)
    shape = [b, kv * rep, s, n]
    score = body("score", [helper.make_node("Tanh", ["m"], ["m2"])], [("m", code, shape)], [("m2", code, shape)])
    prob = body("prob", [helper.make_node("Add", ["p", "p"], ["p2"])], [("p", code, shape)], [("p2", code, shape)])
    g.open_axes = ()
    g.oracle = False
    g.node([g.data(t, [b, kv * rep, s, d], -1, 1), g.data(t, [b, kv, n, d], -1, 1), g.data(tv, [b, kv, n, dv], -1, 1)],
           scale=g.one(None, .3), score_mod=g.one(None, score), prob_mod=g.one(None, prob))


@wide("RotaryEmbedding TensorScatter")
def caches(g):
    b, heads, s, size = g.one(0, 1, 2), g.int(1, 3), g.one(1, 5), g.one(2, 8)
    t = g.t()
    g.oracle = b > 0
    g.wrong = ["onnx"]
    if g.op == "TensorScatter":
        most, mode, rank = s + 4, g.one(None, "linear", "circular"), g.int(2, 5)
        axis = g.int(1, rank - 1)
        shape = [b] + [g.int(1, 3) for _ in range(rank - 1)]
        shape[axis] = most
        update = list(shape)
        update[axis] = s
        g.oracle = False
        g.node([g.data(t, shape), g.data(t, update), g.known(ints(*[g.int(0, 4) for _ in range(b)]), .2) if g.chance(.7) else None],
               mode=mode, axis=g.one(axis, axis - rank) if axis != rank - 2 or g.chance(.5) else None)
        return
    g.open_axes = (0, 2)
    g.node([g.data(t, [b, heads, s, size]), g.data(t, [9, size // 2]), g.data(t, [9, size // 2]),
            g.np.integers(0, 9, [b, s]).astype(I64)], interleaved=g.one(None, 0, 1))


@wide("Dropout")
def dropout(g):
    t = g.t("T1") if g.version >= 22 else g.t()
    if g.version < 12:
        g.node([g.data(t, g.shape(0))], ratio=g.one(None, 0.0, .9))
        return
    training = g.chance(.5)
    ratio = 0.0 if training else g.one(0.0, .5, 1.0)
    tr = g.t("T1", only=list(FLOATS)) if g.version < 22 else g.t("T2", only=list(FLOATS))
    g.oracle = t in FLOATS
    g.node([g.data(t, g.shape(0)), g.known(np.array(ratio).astype(DTYPE[tr]), .5), g.known(np.array(training), .5)],
           [True, g.chance(.5)])


@wide("Adagrad Adam Momentum", domain="ai.onnx.preview.training")
def optimiser(g):
    n, t = g.int(1, 4), g.t("T3", only=["float", "double"])
    g.t("T1", only=["float", "double"])
    tensors = [g.shape(0, 3, empty=.1) for _ in range(n)]
    states = 2 if g.op == "Adam" else 1
    parts = [np.array(.1, DTYPE[g.types["T1"]]), np.array(g.int(0, 5), I64)]
    for k in range(2 + states):
        parts += [g.data(t, s, *((.1, 2) if k >= 2 else ())) for s in tensors]
    more = {"Adagrad": {"decay_factor": g.one(None, .1), "epsilon": g.one(None, 1e-3), "norm_coefficient": g.one(None, .01)},
            "Adam": {"alpha": g.one(None, .8), "beta": g.one(None, .9), "epsilon": g.one(None, 1e-3),
                     "norm_coefficient": g.one(None, .1), "norm_coefficient_post": g.one(None, .1)},
            "Momentum": {"alpha": .5, "beta": g.one(.8, 0.0), "mode": g.one("standard", "nesterov"),
                         "norm_coefficient": g.one(0.0, .1)}}[g.op]
    g.oracle = False
    g.node(parts, (1 + states) * n, **more)
