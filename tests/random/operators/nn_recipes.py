"""Recipes: reductions, products, convolutions, pools, resampling, recurrent nets, signals."""
import numpy as np

from cases import DTYPE, Invalid, recipe
from movement_recipes import ints

F = ["float", "double", "float16", "bfloat16"]


@recipe("ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceSumSquare "
        "ReduceLogSumExp")
def reduce(g):
    shape = g.shape(0, 4, empty=.04 if g.version >= 18 else 0)
    t = g.t()
    if g.version < 13:
        shape = shape or [3]
    g.wrong = ["onnx"] if t not in ("float", "double") else []  # sums in a type of its own
    span = (.3, 2) if g.op in ("ReduceLogSum", "ReduceProd", "ReduceL2") else (-3, 3)
    x = g.data(t, shape, *(span if not t.startswith(("int", "uint")) else (0, 2) if g.op == "ReduceProd" else (1, 9)))
    keep = g.one(None, 0, 1)
    axes = g.axes(len(shape)) if shape else []
    if g.version < 11:
        axes = [a % len(shape) for a in axes]
    if 0 in shape and g.op in ("ReduceMean", "ReduceLogSum", "ReduceLogSumExp"):
        g.oracle = False
    if g.op == "ReduceLogSumExp" and t.startswith(("int", "uint")):
        g.oracle = False  # how the logarithm becomes an integer is not stated
    as_input = g.version >= (13 if g.op == "ReduceSum" else 18)
    none = g.chance(.25)
    if not as_input:
        g.node([x], axes=None if none or not axes else axes, keepdims=keep)
    elif none:
        g.node([x, g.known(ints()) if g.chance(.4) else None], keepdims=keep, noop_with_empty_axes=g.one(None, 0, 1))
    else:
        g.node([g.operand(x), g.known(ints(*axes), .8)], keepdims=keep)


@recipe("ArgMax ArgMin")
def arg(g):
    shape = g.shape(1, 4, empty=0)
    more = {"select_last_index": g.one(None, 0, 1)} if g.version >= 12 else {}
    g.node([g.data(g.t(), shape)], axis=g.axis(len(shape), g.version >= 11), keepdims=g.one(None, 0, 1), **more)


def matrices(g):
    batch = g.shape(0, 2, 8)
    m, k, n = (g.one(1, 2, 3, 5, 8, 17, 33, 0 if g.chance(.05) else 4) for _ in range(3))
    a, b = g.partner(batch) + [m, k], g.partner(batch) + [k, n]
    if g.chance(.15):
        a = [k]
    if g.chance(.15):
        b = [k]
    return a, b


@recipe("MatMul")
def matmul(g):
    a, b = matrices(g)
    t = g.t()
    if g.chance(.3):
        g.node([g.data(t, a, -2, 2), g.operand(g.data(t, b, -2, 2), True)])
    else:
        g.node([g.data(t, a, -2, 2), g.data(t, b, -2, 2)])


@recipe("MatMulInteger")
def matmul_integer(g):
    a, b = matrices(g)
    ta, tb = g.t("T1"), g.t("T2")
    za = g.data(ta, g.one([], [1])) if g.chance(.5) else None
    zb = g.data(tb, g.one([], [1])) if g.chance(.5) else None
    if g.chance(.2) and len(b) > 1 and za is not None:
        zb = g.data(tb, [b[-1]])
    g.node([g.data(ta, a), g.data(tb, b), za, zb])


@recipe("Gemm")
def gemm(g):
    m, k, n = (g.one(1, 2, 3, 5, 8, 17, 33) for _ in range(3))
    ta, tb, t = g.one(None, 0, 1), g.one(None, 0, 1), g.t()
    c = g.one([n], [1], [m, 1], [m, n], [1, n], [])
    if g.version < 7:
        c = g.one([m, n], [n])
    more = {"broadcast": 1} if g.version < 7 else {}
    whole = t.startswith(("int", "uint"))
    number = (lambda: float(g.int(1, 3))) if whole else (lambda: round(g.r.uniform(-2, 2), 2))
    parts = [g.data(t, [k, m] if ta else [m, k], -2, 2), g.data(t, [n, k] if tb else [k, n], -2, 2)]
    if g.version < 11 or g.chance(.7):
        parts.append(g.data(t, c, -2, 2))
    g.node(parts, transA=ta, transB=tb, alpha=number() if g.chance(.5) else None,
           beta=number() if g.chance(.5) else None, **more)


@recipe("Einsum")
def einsum(g):
    size = {c: g.int(1, 5) for c in "abcdeijk"}
    t = g.t(only=F + ["int32", "int64"])
    n = g.one(1, 2, 2, 2, 3)
    terms = ["".join(g.r.sample("abcdij", g.int(1, 3))) for _ in range(n)]
    if g.chance(.15) and n == 1:
        terms = ["ii", "bii", "iib"][g.int(0, 2):][:1]
    used = sorted(set("".join(terms)))
    out = "".join(g.r.sample(used, g.int(0, min(3, len(used)))))
    arrays = [g.data(t, [size[c] for c in term], -2, 2) for term in terms]
    equation = ",".join(terms) + ("->" + out if g.chance(.8) else "")
    if g.chance(.2) and "ii" not in equation:  # dims without a name, broadcast
        extra = g.shape(0, 2, 6, 0)
        equation = ",".join("..." + x for x in terms) + "->..." + out
        arrays = [g.data(t, (g.partner(extra) if k else extra) + [size[c] for c in term], -2, 2)
                  for k, term in enumerate(terms)]
    if g.chance(.2):
        equation = equation.replace(",", " , ").replace("->", " -> ")
    g.node(arrays, equation=equation)


# ---- windows

def window(g, least=1, most=3, big=9, pads=True):
    """(spatial dims, kernel, attributes)"""
    k = g.one(*([1] if least == 1 else []), 2, 2, *([3] if most >= 3 and g.chance(.5) else []))
    size = [g.int(2, big if k < 3 else 5) for _ in range(k)]
    kernel = [g.int(1, min(3, d)) for d in size]
    if k > 1 and g.chance(.2):  # a line: k x 1, 1 x k
        along = g.r.randrange(k)
        size[along] = g.int(2, 20)
        kernel = [g.int(2, min(9, d)) if a == along else 1 for a, d in enumerate(size)]
        g.open_chance = .8
    attrs = {}
    if g.chance(.6):
        attrs["strides"] = [g.int(1, 3) for _ in kernel]
    if g.chance(.3):
        attrs["dilations"] = [2 if (n - 1) * 2 + 1 <= d else 1 for n, d in zip(kernel, size)]
    how = g.one("none", "pads", "pads", "auto") if pads else "none"
    if how == "pads":
        attrs["pads"] = [g.int(0, n - 1) for n in kernel * 2]
    elif how == "auto":
        attrs["auto_pad"] = g.one("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
        g.wrong = ["onnx"]  # pads VALID too
        attrs.pop("dilations", None)  # ONNX Runtime forgets them
        attrs["strides"] = [g.int(1, n) for n in kernel]  # no padding less than 0: ONNX Runtime shifts by it
    return size, kernel, attrs


def conv_shapes(g):
    size, kernel, attrs = window(g)
    groups, ci, co = g.one(1, 1, 1, 2, 3, 4), g.one(1, 2, 3, 8), g.one(1, 2, 5, 16)
    if g.chance(.2):
        ci, co = 1, g.int(1, 2)
    attrs["group"] = groups if groups > 1 or g.chance(.3) else None
    return g.int(1, 3), groups, ci, co, size, kernel, attrs


@recipe("Conv")
def conv(g):
    b, groups, ci, co, size, kernel, attrs = conv_shapes(g)
    t = g.t()
    if g.chance(.5):
        attrs["kernel_shape"] = kernel
    w = g.operand(g.data(t, [groups * co, ci] + kernel, -1, 1), constant=g.chance(.7), fixed=g.chance(.6))
    bias = g.data(t, [groups * co]) if g.chance(.6) else None
    g.node([g.data(t, [b, groups * ci] + size, -2, 2), w, bias], **attrs)


@recipe("ConvInteger")
def conv_integer(g):
    b, groups, ci, co, size, kernel, attrs = conv_shapes(g)
    ta, tb = g.t("T1"), g.t("T2")
    za = g.data(ta, []) if g.chance(.6) else None
    zb = g.data(tb, g.one([], [groups * co])) if g.chance(.4) else None
    if zb is not None and za is None:
        za = g.data(ta, [])
    if zb is not None and zb.ndim == 1 and len(kernel) != 2:
        g.wrong = ["onnx"]  # takes the zero points of the channels for those of the last axis
    g.node([g.data(ta, [b, groups * ci] + size), g.operand(g.data(tb, [groups * co, ci] + kernel), fixed=g.chance(.6)), za, zb],
           **attrs)


@recipe("ConvTranspose")
def conv_transpose(g):
    b, groups, ci, co, size, kernel, attrs = conv_shapes(g)
    t = g.t()
    if groups > 1:
        g.wrong = ["onnx"]  # mixes up the groups
    strides = attrs.get("strides") or [1] * len(kernel)
    dil = attrs.get("dilations") or [1] * len(kernel)
    if g.chance(.4):  # windows of whole strides, as nets have them
        kernel = [-(-k // s) * s for k, s in zip(kernel, strides)]
    if g.chance(.3):
        attrs["output_padding"] = [g.int(0, max(s, d) - 1) for s, d in zip(strides, dil)]
    if g.chance(.15):
        attrs.pop("pads", None)
        attrs["output_shape"] = [d * s for d, s in zip(size, strides)]
        attrs.pop("output_padding", None)
    if attrs.get("auto_pad") in ("SAME_UPPER", "SAME_LOWER"):
        attrs.pop("output_padding", None)
    if g.chance(.5):
        attrs["kernel_shape"] = kernel
    w = g.operand(g.data(t, [groups * ci, co] + kernel, -1, 1), constant=g.chance(.7), fixed=g.chance(.6))
    bias = g.data(t, [groups * co]) if g.chance(.6) else None
    g.node([g.data(t, [b, groups * ci] + size, -2, 2), w, bias], **attrs)


@recipe("MaxPool AveragePool LpPool")
def pool(g):
    size, kernel, attrs = window(g)
    t = g.t()
    since = {"MaxPool": 10, "AveragePool": 19, "LpPool": 18}[g.op]
    if g.version < since:
        attrs.pop("dilations", None)
    if g.version >= (18 if g.op == "LpPool" else 10) and g.chance(.4) and "auto_pad" not in attrs:
        attrs["ceil_mode"] = 1
    if g.op == "AveragePool" and g.version >= 7:
        attrs["count_include_pad"] = g.one(None, 0, 1)
    if g.op == "LpPool":
        attrs["p"] = g.one(None, 1, 2, 3) if g.version > 1 else g.one(None, 1.0, 2.0)
    outputs = [True, True] if g.op == "MaxPool" and g.version >= 8 and g.chance(.4) else 1
    if g.op == "MaxPool" and g.version >= 8:
        attrs["storage_order"] = g.one(None, 0, 1) if outputs != 1 else None
    gaps = "ceil_mode" in attrs and any(attrs.get("dilations", []))
    if g.op == "AveragePool" and g.version < 7 or g.op != "MaxPool" and gaps:
        g.wrong = ["onnx"]  # counts what is padded; of windows with gaps that end behind the image, takes another element
    if len(size) != 2 and any(attrs.get("pads") or []):
        g.wrong = ["onnx"]  # reads one pad for each axis
    shape = [g.int(1, 2), g.one(1, 3, 8, 17)] + size
    x = g.data(t, shape)
    if g.op == "MaxPool" and outputs != 1 and x.dtype.kind == "f":  # positions of ties are open
        x = g.np.permutation(x.size).reshape(shape).astype(x.dtype) if x.size < 2000 else x
    elif g.op == "MaxPool" and outputs != 1:
        raise Invalid
    g.node([x], outputs, kernel_shape=kernel, **attrs)


@recipe("GlobalAveragePool GlobalMaxPool GlobalLpPool")
def global_pool(g):
    shape = [g.int(1, 3), g.one(1, 3, 16)] + [g.int(1, 7) for _ in range(g.int(1, 3))]
    p = {"p": g.one(None, 1, 2, 3) if g.version > 1 else g.one(None, 2.0)} if g.op == "GlobalLpPool" else {}
    g.wrong = ["onnx"] if len(shape) != 4 else []  # reduces the last two dims only
    g.node([g.data(g.t(), shape)], **p)


@recipe("MaxUnpool")
def max_unpool(g):
    b, c, size, kernel = g.int(1, 2), g.int(1, 2), [g.int(2, 4) for _ in range(2)], [2, 2]
    full = [d * 2 for d in size]
    index = np.stack([g.np.permutation(full[0] * full[1])[:size[0] * size[1]] for _ in range(b * c)])
    index = (index + np.arange(b * c)[:, None] * full[0] * full[1]).reshape([b, c] + size).astype(np.int64)
    shape = g.known(ints(b, c, *[d + g.int(0, 2) for d in full])) if g.chance(.3) else None
    g.node([g.data(g.t("T1"), index.shape), index, shape], kernel_shape=kernel, strides=[2, 2])


@recipe("RoiAlign")
def roi_align(g):
    n, c, h, w, r = g.int(1, 2), g.one(1, 2, 3, 9, 16), g.int(3, 8), g.int(3, 8), g.int(1, 4)
    t = g.t("T1")
    low = g.np.uniform(-1, 3, [r, 2])
    rois = np.concatenate([low, low + g.np.uniform(.5, 6, [r, 2])], 1).astype(DTYPE[t])
    more = {"coordinate_transformation_mode": g.one(None, "half_pixel", "output_half_pixel")} if g.version >= 16 else {}
    g.node([g.data(t, [n, c, h, w]), rois, g.np.integers(0, n, r).astype(np.int64)], mode=g.one(None, "avg", "max"),
           output_height=g.int(1, 4), output_width=g.int(1, 4), sampling_ratio=g.one(None, 0, 1, 2),
           spatial_scale=g.one(None, .5, 1.0), **more)


@recipe("MaxRoiPool")
def max_roi_pool(g):
    n, c, h, w, r = g.int(1, 2), g.int(1, 3), g.int(3, 8), g.int(3, 8), g.int(1, 4)
    t = g.t("T")
    low = g.np.integers(0, 3, [r, 2])
    rois = np.concatenate([g.np.integers(0, n, [r, 1]), low, low + g.np.integers(0, 6, [r, 2])], 1).astype(DTYPE[t])
    g.node([g.data(t, [n, c, h, w]), rois], pooled_shape=[g.int(1, 3), g.int(1, 3)], spatial_scale=g.one(None, .5, 1.0))


@recipe("DeformConv")
def deform(g):
    size, kernel, attrs = [g.int(3, 7), g.int(3, 7)], [g.int(1, 3), g.int(1, 3)], {}
    strides, dil = [g.int(1, 2) for _ in size], [1, 1]
    pads = [g.int(0, 1) for _ in range(4)]
    groups, og, c, co = g.one(1, 2), g.one(1, 2), g.one(4, 16), g.one(2, 4)
    out = [(size[i] + pads[i] + pads[i + 2] - (kernel[i] - 1) * dil[i] - 1) // strides[i] + 1 for i in range(2)]
    t, b, k = g.t(), g.int(1, 2), kernel[0] * kernel[1]
    g.wrong = ["onnx"] if t == "bfloat16" else []  # sums in bfloat16
    parts = [g.data(t, [b, c] + size), g.operand(g.data(t, [co, c // groups] + kernel, -1, 1), fixed=g.chance(.6)),
             g.data(t, [b, og * k * 2] + out, -1.5, 1.5)]
    parts.append(g.data(t, [co]) if g.chance(.5) else None)
    parts.append(g.data(t, [b, og * k] + out, 0, 1) if g.chance(.5) else None)
    g.node(parts, strides=strides, pads=pads, group=groups, offset_group=og, kernel_shape=g.one(None, kernel))


# ---- resampling

@recipe("Resize")
def resize(g):
    rank = g.one(2, 3, 4, 4)
    shape = [g.int(1, 2), g.int(1, 3)] + [g.int(2, 7) for _ in range(rank - 2)] if rank > 2 else [g.int(2, 7), g.int(2, 7)]
    first = 2 if rank > 2 else 0
    mode = g.one("nearest", "nearest", "linear", "linear", *(["cubic"] if g.version >= 11 and rank in (2, 4) else []))
    t = g.t("T1" if g.version >= 11 else "T", only=F + (["uint8", "int32", "int8"] if mode == "nearest" else []))
    x = g.data(t, shape)
    scales = [1.0] * first + [g.one(.5, .6, 1.0, 1.5, 2.0, 2.5, 3.0) for _ in shape[first:]]
    sizes = shape[:first] + [g.int(1, 12) for _ in shape[first:]]
    if g.version < 11:
        g.node([x, g.known(np.array(scales, np.float32), .7)], mode=mode)
        return
    more = {"mode": mode, "coordinate_transformation_mode": g.one(
        None, "half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel",
        *(["half_pixel_symmetric"] if g.version >= 19 else []), "tf_crop_and_resize" if g.chance(.5) else None)}
    if more["coordinate_transformation_mode"] == "half_pixel_symmetric":
        g.wrong = ["onnx"]  # loses the offset
    if mode == "nearest":
        more["nearest_mode"] = None if g.wrong else g.one(None, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if mode == "cubic":
        more["cubic_coeff_a"] = g.one(None, -.5, -.75)
        more["exclude_outside"] = g.one(None, 0, 1)
    if g.version >= 18 and mode != "nearest" and g.chance(.3):
        more["antialias"] = 1
    roi = None
    n = rank
    if g.version >= 18 and g.chance(.3):
        axes = sorted(g.r.sample(range(first, rank), g.int(1, rank - first)))
        more["axes"] = axes
        scales, sizes, n = [scales[a] for a in axes], [sizes[a] for a in axes], len(axes)
    if more["coordinate_transformation_mode"] == "tf_crop_and_resize":
        if "antialias" in more:
            raise Invalid
        roi = np.array([0.0] * n + [1.0] * n)
        for i in range(n):
            if i >= n - (rank - first):
                roi[i], roi[n + i] = round(g.r.uniform(0, .3), 2), round(g.r.uniform(.5, 1.2), 2)
        roi = g.known(roi.astype(np.float32), .7)
        # Whole for integers: neither the specification nor the peers agree on how 3.5 becomes one.
        more["extrapolation_value"] = g.one(None, 3.5 if t in F else 3.0)
    elif g.version < 13:
        roi = g.known(np.array([], np.float32), 1)
    if g.chance(.5):
        tail = [g.known(np.array(scales, np.float32), .7)]
    else:
        if g.version >= 18 and g.chance(.4):
            more["keep_aspect_ratio_policy"] = g.one("stretch", "not_larger", "not_smaller")
            if more["keep_aspect_ratio_policy"] != "stretch" and "axes" not in more:
                more["axes"] = list(range(first, rank))
                sizes = sizes[first:]
                if roi is not None:
                    raise Invalid
        tail = [g.known(np.array([], np.float32), 1) if g.version < 13 else None, g.known(ints(*sizes), .7)]
    g.node([x, roi] + tail, **more)


@recipe("Upsample")
def upsample(g):
    shape = [1, 2, g.int(2, 5), g.int(2, 5)]
    scales = [1.0, 1.0, g.one(1.0, 1.5, 2.0, 3.0), g.one(1.0, 2.0, 2.5)]
    x, mode = g.data("float", shape), g.one(None, "nearest", "linear")
    if g.version >= 9:
        g.node([x, g.known(np.array(scales, np.float32), .7)], mode=mode)
    elif g.version >= 7:
        g.node([x], mode=mode, scales=scales)
    else:
        g.node([x], mode=g.one(None, "nearest", "bilinear"), height_scale=scales[2], width_scale=scales[3])


@recipe("GridSample")
def grid_sample(g):
    spatial = 2 if g.version < 20 or g.chance(.7) else 3
    mode = g.one("linear", "nearest", *(["cubic"] if spatial == 2 else []))
    if g.version < 20:
        mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    n, c = g.int(1, 2), g.one(1, 2, 3, 8, 19)
    t1, t2 = g.t("T1", only=F), g.t("T2", only=["float", "double"])
    grid = g.data(t2, [n] + [g.int(1, 5) for _ in range(spatial)] + [spatial], -1.3, 1.3)
    padding = g.one(None, "zeros", "border", "reflection")
    if "cubic" in mode and padding == "border":
        g.wrong = ["onnx"]  # clips the point, not the pixels around it
    g.node([g.data(t1, [n, c] + [g.int(2, 6) for _ in range(spatial)]), grid], mode=mode,
           padding_mode=padding, align_corners=g.one(None, 0, 1))


@recipe("AffineGrid")
def affine_grid(g):
    spatial, n = g.int(2, 3), g.int(1, 3)
    size = [n, g.int(1, 3)] + [g.int(2, 5) for _ in range(spatial)]
    g.node([g.data(g.t("T1"), [n, spatial, spatial + 1], -1, 1), g.known(ints(*size))], align_corners=g.one(None, 0, 1))


# ---- recurrent nets

@recipe("RNN GRU LSTM")
def recurrent(g):
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[g.op]
    s, b, i, h = g.int(1, 5), g.int(1, 4), g.one(1, 3, 8), g.one(1, 2, 5, 16)
    direction = g.one(None, "forward", "reverse", "bidirectional")
    g.wrong = ["onnx"] if direction == "reverse" else []  # runs forward
    d = 2 if direction == "bidirectional" else 1
    t = g.t(only=["float", "double"] if g.chance(.8) else None)
    layout = g.one(0, 1) if g.version >= 14 and g.chance(.4) else 0
    state = [b, d, h] if layout else [d, b, h]
    const = g.chance(.7)
    parts = [g.data(t, [b, s, i] if layout else [s, b, i], -1, 1)]
    parts += [g.operand(g.data(t, [d, gates * h, k], -1, 1), const, g.chance(.7)) for k in (i, h)]
    parts.append(g.data(t, [d, 2 * gates * h], -1, 1) if g.chance(.6) else None)
    parts.append(g.np.integers(1, s + 1, b).astype(np.int32) if g.chance(.4) else None)
    parts.append(g.data(t, state, -1, 1) if g.chance(.5) else None)
    more = {"hidden_size": h, "direction": direction, "layout": layout or None}
    if g.op == "LSTM":
        parts.append(g.data(t, state, -1, 1) if g.chance(.5) else None)
        parts.append(g.data(t, [d, 3 * h], -1, 1) if g.chance(.4) else None)
        more["input_forget"] = g.one(None, 0, 1) if g.chance(.3) else None
    if layout or parts[4] is not None or g.version < 14:
        g.wrong = ["onnx"]  # takes no notice of these; before there was a layout, it takes it for 1
    if g.op == "GRU" and g.version >= 3:
        more["linear_before_reset"] = g.one(None, 0, 1)
    if g.version < 7:
        more["output_sequence"] = 1
    if g.chance(.3):
        more["clip"] = g.one(.5, 2.0)
        g.wrong = ["onnx"]  # knows neither clip nor activations
    if g.chance(.3):
        g.wrong = ["onnx"]
        n = {"RNN": 1, "GRU": 2, "LSTM": 3}[g.op]
        more["activations"] = [g.one("Tanh", "Sigmoid", "Relu", "Softsign", "HardSigmoid")
                               for _ in range(n * d)]
    out = [g.chance(.8), g.chance(.7)] + ([g.chance(.6)] if g.op == "LSTM" else [])
    if not any(out):
        out[0] = True
    if not out[1] and b == 1:
        g.wrong = ["onnx"]  # exchanges steps and batch where Y_h is left out
    g.node(parts, out, **more)


# ---- signals

@recipe("DFT")
def dft(g):
    shape = [g.int(1, 2), g.one(2, 3, 5, 8, 16), g.one(2, 3, 5, 7, 12)][:g.int(1, 3)]
    inverse, onesided = g.one(None, 0, 1), g.one(None, 0, 1)
    if inverse and onesided and g.version < 20:
        onesided = 0
    parts = 1 if onesided and not inverse else g.int(1, 2)
    if inverse and onesided:
        parts = 2
    t = g.t("T1", only=["float", "double"])
    x = g.operand(g.data(t, shape + [parts], -2, 2), fixed=g.chance(.7))
    axis = g.int(0, len(shape) - 1)
    if inverse and onesided and shape[axis] < 2:
        raise Invalid
    if g.chance(.4):
        axis -= len(shape) + 1
    length = g.known(np.array(g.int(1, 12), np.int64), .8) if g.chance(.5) else None
    if g.version < 20:
        g.node([x, length], axis=axis % (len(shape) + 1), inverse=inverse, onesided=onesided)
    else:
        g.node([x, length, g.known(np.array(axis, np.int64), .8)], inverse=inverse, onesided=onesided)


@recipe("STFT")
def stft(g):
    b, n, frame, step = g.int(1, 2), g.int(16, 40), g.one(4, 5, 8, 16), g.int(1, 5)
    t = g.t("T1", only=["float", "double"])
    onesided = g.one(None, 0, 1)
    window_ = g.data(t, [frame], 0, 1) if g.chance(.6) else None
    length = g.known(np.array(frame, np.int64), 1) if window_ is None or g.chance(.5) else None
    signal = [b, n, 2] if onesided == 0 and g.chance(.4) else [b, n, 1]
    g.open_axes = g.one(None, (0, 1))
    g.node([g.data(t, signal, -1, 1), g.known(np.array(step, np.int64), 1), window_, length], onesided=onesided)


@recipe("HannWindow HammingWindow BlackmanWindow")
def windows(g):
    g.node([g.known(np.array(g.int(2, 20), g.one(np.int32, np.int64)), .5)], periodic=g.one(None, 0, 1),
           output_datatype=g.one(None, 1, 11))


@recipe("MelWeightMatrix")
def mel(g):
    f = np.float32
    g.node([g.known(np.array(v), .7) for v in (np.int64(g.int(2, 8)), np.int64(g.one(16, 32, 64)),
                                               np.int64(g.one(8000, 16000)), f(g.int(0, 100)), f(g.one(3000, 4000)))])


@recipe("Det")
def det(g):
    n = g.int(1, 5)
    g.node([g.data(g.t(), g.shape(0, 2, 6) + [n, n], -2, 2)])
