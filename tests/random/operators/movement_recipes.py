"""Recipes: shapes, movement, indices, sorting."""
import numpy as np

from cases import Invalid, recipe

I64 = np.int64

def ints(*v):
    return np.array(v, I64)


@recipe("Reshape")
def reshape(g):
    shape = g.shape(0, 4)
    size, dims, left = int(np.prod(shape)), [], int(np.prod(shape))
    if size == 0:
        dims = [0 if i == 0 and shape[0] == 0 else d for i, d in enumerate(shape)]
        if g.chance(.5):
            g.node([g.data(g.t(), shape), g.known(ints(*shape[::-1]))], allowzero=1) if g.version >= 14 else g.node(
                [g.data(g.t(), shape), g.known(ints(*shape))]) if g.version >= 5 else g.node(
                [g.data(g.t(), shape)], shape=shape)
            return
    else:
        for p in (2, 3, 3, 5, 7, 2):
            if left % p == 0 and g.chance(.6):
                dims.append(p)
                left //= p
        dims.insert(g.int(0, len(dims)), -1 if g.chance(.5) else left)
        for i in range(min(len(dims), len(shape))):
            if dims[i] == shape[i] and g.chance(.5):
                dims[i] = 0  # copied
                g.computed_chance = 0  # the extent of an empty tensor, known only by the run, is taken as it is
    x = g.data(g.t(), shape)
    if g.version < 5:
        g.node([x], shape=dims)
    else:
        g.node([x, g.known(ints(*dims))])


@recipe("Flatten")
def flatten(g):
    shape = g.shape(0 if g.version > 8 else 1)
    axis = g.int(-len(shape) if g.version >= 11 else 0, len(shape))
    g.node([g.data(g.t(), shape)], axis=axis if g.chance(.8) and shape else None if len(shape) else 0)


@recipe("Squeeze Unsqueeze")
def squeeze(g):
    shape = g.shape(0, 4)
    count = g.int(1, 2)
    if g.op == "Squeeze":
        for _ in range(count):
            shape.insert(g.int(0, len(shape)), 1)
        ones = [i for i, d in enumerate(shape) if d == 1]
        axes = g.r.sample(ones, g.int(1, len(ones)))
        rank = len(shape)
    else:
        rank = len(shape) + count
        axes = g.r.sample(range(rank), count)
    if g.version >= 11:
        axes = [a - rank if g.chance(.3) else a for a in axes]
    else:
        axes.sort()
    x = g.data(g.t(), shape)
    if g.op == "Squeeze" and g.chance(.2):
        g.node([x])
    elif g.version < 13:
        g.node([g.operand(x, fixed=g.op == "Squeeze")], axes=axes)
    else:
        g.node([x, g.known(ints(*axes), .8)])


@recipe("Transpose")
def transpose(g):
    shape = g.shape(0, 5)
    perm = g.r.sample(range(len(shape)), len(shape))
    g.node([g.data(g.t(), shape)], perm=perm if g.chance(.8) and shape else None)


@recipe("Expand")
def expand(g):
    shape = g.shape(0, 4, 100)
    x = g.data(g.t(), g.partner(shape))
    target = list(shape)
    if g.chance(.3):  # ones ask for nothing
        target = [1 if d == s and g.chance(.5) else d for d, s in zip(target, ([1] * 9 + list(x.shape))[-len(target):])]
    g.node([x, g.known(ints(*target))])


@recipe("Tile")
def tile(g):
    shape = g.shape(0 if g.version > 1 else 1, 4, 60)
    if g.version < 6:
        axis = g.int(0, len(shape) - 1)
        t = g.t(only=["float", "double", "float16"])
        g.node([g.data(t, shape), g.known(np.array(g.int(1, 3), t.replace("float16", "f2").replace("double", "f8")), 1),
                g.known(np.array(axis, t.replace("float16", "f2").replace("double", "f8")), 1)])
        return
    g.node([g.data(g.t(), shape), g.known(ints(*[g.one(1, 1, 2, 3, 0 if g.chance(.1) else 2) for _ in shape]))])


@recipe("Concat")
def concat(g):
    shape = g.shape(1, 4)
    axis, t = g.axis(len(shape), g.version >= 11), g.t()
    inputs = []
    for _ in range(g.int(1, 4)):
        part = list(shape)
        part[axis] = g.one(1, 2, 3, 8, 0 if g.chance(.2) else 5)
        inputs.append(g.data(t, part))
    g.node(inputs, axis=axis if g.version >= 4 or g.chance(.5) or axis != 1 else None)


@recipe("Split")
def split(g):
    shape = g.shape(1, 4, empty=0)
    axis, n = g.axis(len(shape), g.version >= 11), g.int(1, 4)
    how = g.int(0, 1)
    t = g.t()
    if how == 0:
        parts = [g.int(0 if g.chance(.1) else 1, 4) for _ in range(n)]
        shape[axis] = sum(parts)
    else:
        part = g.int(1, 4)
        shape[axis] = n * part
        if g.version >= 18 and n > 1:
            shape[axis] -= g.int(0, min(part - 1, 1))
        parts = None
        if -(-shape[axis] // -(-shape[axis] // n)) != n:
            raise Invalid
    x = g.data(t, shape)
    if g.version >= 13:
        more = {"num_outputs": n} if parts is None and g.version >= 18 else {}
        g.node([x] if parts is None else [x, g.known(ints(*parts), .7)], n, axis=axis, **more)
    else:
        g.node([x], n, axis=axis, split=parts)


@recipe("Slice")
def slices(g):
    shape = g.shape(1, 4)
    axes = g.axes(len(shape)) if g.version >= 10 else [a % len(shape) for a in g.axes(len(shape))]
    starts, ends, steps = [], [], []
    for a in axes:
        d = shape[a]
        starts.append(g.one(g.int(-d - 2, d + 2), 0, 2**31 if g.chance(.1) else 1))
        ends.append(g.one(g.int(-d - 2, d + 2), d, 2**31 - 1, -1))
        steps.append(g.one(1, 1, 2, 3, -1, -2))
    x = g.data(g.t(), shape)
    if g.version < 10:
        g.node([x], starts=starts, ends=ends, axes=axes if g.chance(.8) or len(axes) != len(shape) else None)
        return
    it = np.int32 if g.chance(.3) and max(starts + ends) < 2**31 else I64
    ops = [starts, ends, axes, steps]
    if all(s == 1 for s in steps) and g.chance(.5):
        ops = ops[:3]
    p = g.one(0, 1, 1, .5)
    g.node([x] + [g.known(np.array(v, it), p) for v in ops])


@recipe("Pad")
def pad(g):
    shape = g.shape(1, 4, 200, empty=0)
    mode = g.one("constant", "constant", "reflect", "edge", *(["wrap"] if g.version >= 19 else []))
    axes = g.axes(len(shape)) if g.version >= 18 and g.chance(.4) else list(range(len(shape)))
    pads = []
    for side in range(2):
        for a in axes:
            d = shape[a]
            most = d - 1 if mode == "reflect" else d if mode == "wrap" else 4
            pads.append(g.int(0, max(0, min(most, 4))))
    for i, a in enumerate(axes):
        if g.chance(.15) and g.version >= 2:  # cuts
            pads[i] = -g.int(0, max(0, shape[a] - 1) // 2)
            if mode in ("reflect", "wrap"):
                pads[i + len(axes)] = min(pads[i + len(axes)], max(0, shape[a] + pads[i] - 1))
    t = g.t()
    x = g.data(t, shape)
    if g.version < 11:
        g.node([x], mode=mode, value=round(g.r.uniform(-2, 2), 2) if g.chance(.5) else None,
               **{"paddings" if g.version == 1 else "pads": pads})
        return
    ops = [x, g.known(ints(*pads))]
    value = g.data(t, []) if mode == "constant" and g.chance(.6) else None
    if value is None and t == "float8e8m0":
        g.wrong = ["onnx"]  # has no 0: the least for us, NaN there
    ops.append(None if value is None else g.known(value))
    if axes != list(range(len(shape))):
        ops.append(g.known(np.array(axes, g.one(np.int32, I64)), .8))
    g.node(ops, mode=mode if mode != "constant" or g.chance(.5) else None)


@recipe("CenterCropPad")
def center(g):
    shape = g.shape(1, 4, 200, empty=0)
    axes = [a % len(shape) if g.chance(.5) else a for a in g.axes(len(shape))]
    if g.chance(.3):
        axes = None
    n = len(shape) if axes is None else len(axes)
    g.node([g.data(g.t(), shape), g.known(np.array([g.int(1, 8) for _ in range(n)], g.one(np.int32, I64)))], axes=axes)


@recipe("Trilu")
def trilu(g):
    shape = g.shape(2, 4)
    k = g.known(np.array(g.int(-4, 4), I64)) if g.chance(.6) else None
    g.node([g.data(g.t(), shape), k], upper=g.one(None, 0, 1))


@recipe("ReverseSequence")
def reverse_sequence(g):
    shape = g.shape(2, 4, empty=0)
    time = g.int(0, 1)
    lens = ints(*[g.int(1, shape[time]) for _ in range(shape[1 - time])])
    g.node([g.data(g.t(), shape), g.known(lens, .3)], batch_axis=1 - time, time_axis=time)


@recipe("DepthToSpace SpaceToDepth")
def blocks(g):
    b = g.int(1, 3)
    n, c, h, w = g.int(1, 2), g.int(1, 3), g.int(1, 4), g.int(1, 5)
    if g.op == "DepthToSpace":
        shape, more = [n, c * b * b, h, w], {"mode": g.one(None, "DCR", "CRD") if g.version >= 11 else None}
    else:
        shape, more = [n, c, h * b, w * b], {"mode": g.one(None, "DCR", "CRD") if g.version >= 28 else None}
    g.node([g.data(g.t(), shape)], blocksize=b, **more)


@recipe("Col2Im")
def col2im(g):
    k = g.int(1, 3)
    image = [g.int(2, 6) for _ in range(k)]
    kernel = [g.int(1, min(3, d)) for d in image]
    strides = [g.int(1, 2) for _ in image]
    dil = [g.int(1, 2) if (n - 1) * 2 + 1 <= d else 1 for n, d in zip(kernel, image)]
    pads = [g.int(0, 1) for _ in range(2 * k)]
    count = 1
    for i in range(k):
        count *= (image[i] + pads[i] + pads[i + k] - dil[i] * (kernel[i] - 1) - 1) // strides[i] + 1
    t = g.t(only=["float", "double", "float16", "bfloat16", "int32", "int64", "uint8", "int8"])
    g.wrong = ["onnx"] if t == "bfloat16" else []  # sums in that type
    g.node([g.data(t, [g.int(1, 2), g.int(1, 3) * int(np.prod(kernel)), count]), g.known(ints(*image), .8),
            g.known(ints(*kernel), 1)], strides=strides, dilations=dil, pads=pads)


@recipe("Shape")
def shape_of(g):
    x = g.data(g.t(), g.shape())
    more = {}
    if g.version >= 15:
        more = {"start": g.one(None, g.int(-6, 6)), "end": g.one(None, g.int(-6, 6))}
        g.wrong = ["onnx"] if (more["end"] or 0) < -x.ndim else []  # counts from the end twice
    g.node([x], **more)


@recipe("Constant")
def constant(g):
    from cases import tensor
    t = g.t("T", only=None)
    kinds = ["value"]
    if g.version >= 12:
        kinds += ["value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings"]
    kind = g.one(*kinds)
    n = g.int(0, 4)
    values = {"value_float": 1.5, "value_floats": [.5] * n, "value_int": -3, "value_ints": list(range(n)),
              "value_string": "ü", "value_strings": ["a", ""][:n]}
    value = tensor(g.data(t, g.shape()), "v") if kind == "value" else values[kind]
    if isinstance(value, list) and not value:
        raise Invalid
    g.node([], **{kind: value})


@recipe("ConstantOfShape")
def constant_of_shape(g):
    from cases import tensor
    t = g.t("T2")
    g.node([g.known(ints(*g.shape(0, 4)), .5)], value=tensor(g.data(t, [1]), "v") if g.chance(.8) else None)


@recipe("Range")
def ranges(g):
    t = g.t()
    step = g.one(-3, -2, -1, 1, 2, 3)
    start, count = g.int(-5, 5), g.int(0, 9)
    scale = 1 if t.startswith("int") else g.one(1, .5, .25)
    values = [start * scale, (start + step * count) * scale, step * scale]
    g.node([g.known(g.data(t, [], v, v), .4) for v in values])


@recipe("EyeLike")
def eye(g):
    g.node([g.data(g.t("T1"), g.shape(2, 2))], k=g.one(None, g.int(-4, 4)), dtype=g.one(None, 1, 7, 11, 9, 10))


# ---- indices

def index_data(g, shape, bound, it=None, negative=True):
    if bound == 0:
        raise Invalid
    return g.np.integers(-bound if negative else 0, bound, shape).astype(it or g.one(np.int32, I64, I64))


@recipe("Gather")
def gather(g):
    shape = g.shape(1, 4)
    axis = g.axis(len(shape), g.version >= 11)
    if not shape[axis]:
        shape[axis] = 2
    index = index_data(g, g.shape(0, 3, 20), shape[axis], negative=g.version >= 11)
    g.wrong = [] if index.size else ["onnx"]  # of no index takes a vector of nothing
    g.node([g.data(g.t(), shape), g.known(index, .3)], axis=axis if g.chance(.8) or axis != 0 else None)


@recipe("GatherElements")
def gather_elements(g):
    shape = g.shape(1, 4, empty=0)
    axis = g.axis(len(shape))
    at = [g.int(1, d) for d in shape]
    at[axis] = g.int(0 if g.chance(.1) else 1, 6)
    g.node([g.data(g.t(), shape), g.known(index_data(g, at, shape[axis]), .3)], axis=axis)


@recipe("GatherND")
def gather_nd(g):
    shape = g.shape(1, 4, empty=0)
    b = g.int(0, len(shape) - 1) if g.version >= 12 else 0
    k = g.int(1, len(shape) - b)
    outer = g.shape(0, 2, 12)
    index = np.stack([g.np.integers(-shape[b + i] if g.version > 11 else 0, shape[b + i], shape[:b] + outer)
                      for i in range(k)], -1).astype(I64)
    g.node([g.data(g.t(), shape), g.known(index, .3)], batch_dims=b if b or g.chance(.5) and g.version > 11 else None)


@recipe("OneHot")
def one_hot(g):
    shape, depth = g.shape(0, 3, 40), g.int(1, 6)
    ti, tv = g.t("T1", only=["int32", "int64", "float", "uint8", "int8", "double"]), g.t("T3")
    index = g.data(ti, shape, 0 if ti.startswith("u") or g.version < 11 else -depth, depth + 1)
    if not ti.startswith(("int", "uint")):
        index = np.rint(index)
    g.oracle = not np.any(np.abs(index.astype(np.float64) + .5) > depth)  # these are off; onnx takes a remainder
    td = g.t("T2", only=["int32", "int64", "float", "uint8", "int8"])
    d = g.data(td, g.one([], [1]), depth, depth)
    g.node([index, g.known(d, .6), g.data(tv, [2])], axis=g.one(None, g.int(-len(shape) - 1, len(shape))))


@recipe("ArrayFeatureExtractor", domain="ai.onnx.ml")
def array_feature(g):
    shape = g.shape(1, 3, empty=0)
    index = g.np.integers(0, shape[-1], [1, g.int(1, 5)]).astype(I64)
    g.node([g.data(g.t(), shape), g.known(index, .4)])


@recipe("NonZero")
def non_zero(g):
    x = g.data(g.t(only=[t for t in g.allowed("T") if t != "string" and "complex" not in t]),
               g.shape(1 if g.chance(.9) else 0))
    g.oracle = x.ndim > 0  # of a scalar: [0, n], and not [1, n] as others have it
    g.node([x * g.np.integers(0, 2, x.shape).astype(x.dtype) if x.dtype.kind in "fiu" else x])


@recipe("Compress")
def compress(g):
    shape = g.shape(1, 4)
    axis = g.axis(len(shape), g.version >= 11) if g.chance(.7) else None
    n = int(np.prod(shape)) if axis is None else shape[axis]
    cond = g.data("bool", [g.int(0 if n == 0 else 1, n)])
    g.node([g.data(g.t(), shape), g.known(cond, .3)], axis=axis)


@recipe("Unique")
def unique(g):
    shape = g.shape(1, 3, 60, empty=0)
    axis = g.axis(len(shape)) if g.chance(.5) else None
    t = g.t(only=["float", "int64", "int32", "double", "string", "uint8", "int8", "bool", "float16"])
    g.wrong = ["onnx"] if axis is not None else []  # loses dims of 1
    x = g.data(t, shape) if t in ("string", "bool") else np.rint(g.np.uniform(0, 3, shape)).astype(
        {"float": "f4", "double": "f8", "float16": "f2"}.get(t, t))
    g.node([x], [True, g.chance(.7), g.chance(.7), g.chance(.7)], axis=axis, sorted=g.one(None, 0, 1))


@recipe("ScatterElements Scatter")
def scatter_elements(g):
    shape = g.shape(1, 4, empty=0)
    axis = g.axis(len(shape), g.version >= 11)
    at = [g.int(1, d) for d in shape]
    at[axis] = g.int(1, shape[axis])
    how = "none"
    if g.version >= 18:
        how = g.one("none", "add", "mul", "max", "min")
    elif g.version >= 16:
        how = g.one("none", "add", "mul")
    t = g.t(only=None if how == "none" else ["float", "double", "int32", "int64", "float16", "int8", "uint8"])
    if how == "none":  # no duplicates: their order is open
        index = np.stack([g.np.permutation(shape[axis])[:at[axis]]
                          for _ in range(int(np.prod(at)) // at[axis])]).reshape(
            [d for i, d in enumerate(at) if i != axis % len(at)] + [at[axis]])
        index = np.moveaxis(index, -1, axis)
        if g.version >= 11:
            index = index - shape[axis] * g.np.integers(0, 2, index.shape)
    else:
        index = index_data(g, at, shape[axis])
    g.node([g.data(t, shape), g.known(index.astype(g.one(np.int32, I64)), .3), g.data(t, at)], axis=axis,
           reduction=how if how != "none" else None)


@recipe("ScatterND")
def scatter_nd(g):
    shape = g.shape(1, 4, empty=0)
    k = g.int(1, len(shape))
    how = g.one("none", "add", "mul", "max", "min") if g.version >= 18 else g.one(
        "none", "add", "mul") if g.version >= 16 else "none"
    t = g.t(only=None if how == "none" else ["float", "double", "int32", "int64", "float16", "int8", "uint8"])
    cells = int(np.prod(shape[:k]))
    count = g.int(1, min(cells, 8))
    flat = g.np.permutation(cells)[:count] if how == "none" else g.np.integers(0, cells, count)
    index = np.stack(np.unravel_index(flat, shape[:k]), -1).astype(I64)
    if g.version >= 13:
        index = index - np.array(shape[:k]) * g.np.integers(0, 2, index.shape)
    if g.chance(.3):
        index = index[None]
    g.node([g.data(t, shape), g.known(index, .3), g.data(t, list(index.shape[:-1]) + shape[k:])],
           reduction=how if how != "none" else None)


@recipe("TensorScatter")
def tensor_scatter(g):
    b, most, d = g.int(1, 3), g.int(3, 8), g.int(1, 5)
    rank3 = g.chance(.5)
    shape = [b, most, d] if rank3 else [b, g.int(1, 3), most, d]
    length = g.int(1, most)
    mode = g.one("linear", "circular")
    starts = [g.int(0, most - (length if mode == "linear" else 1)) for _ in range(b)]
    update = list(shape)
    update[-2] = length
    t = g.t()
    g.node([g.data(t, shape), g.data(t, update), g.known(ints(*starts), .3) if g.chance(.8) else None], mode=mode)


@recipe("TopK")
def top_k(g):
    shape = g.shape(1, 4, empty=.02)
    axis = g.axis(len(shape), g.version >= 11)
    k, t = g.int(0 if g.chance(.05) else min(1, shape[axis]), shape[axis]), g.t()
    x = g.data(t, shape)
    more = {"largest": g.one(None, 0, 1)} if g.version >= 11 else {}
    if g.version < 10:
        g.node([x], 2, axis=axis, k=k)
    else:
        g.node([x, g.known(ints(k), .7)], 2, axis=axis, **more)


@recipe("CumSum CumProd")
def cumulative(g):
    shape = g.shape(1, 4, 200) if g.chance(.7) else [g.int(4, 40), g.int(4, 40)]
    t = g.t("T")
    if t == "bfloat16":
        g.wrong = ["onnx"]  # rounds every sum
    x = g.data(t, shape, -1.5, 1.5)
    axis = g.known(np.array(g.axis(len(shape)), g.one(np.int32, I64)), .8)
    g.node([x, axis], exclusive=g.one(None, 0, 1), reverse=g.one(None, 0, 1))


@recipe("NonMaxSuppression")
def nms(g):
    b, n, c = g.int(1, 2), g.int(1, 60 if g.chance(.3) else 12), g.int(1, 3)
    corner = np.sort(np.rint(g.np.uniform(0, 20, [b, n, 2, 2])), 2)
    boxes = np.concatenate([corner[:, :, 0], corner[:, :, 1] + 1], 2).astype(np.float32)
    center_form = g.chance(.3)
    if center_form:
        boxes = np.concatenate([g.np.uniform(0, 10, [b, n, 2]), g.np.uniform(1, 6, [b, n, 2])], 2).astype(np.float32)
    scores = g.np.permutation(b * c * n).reshape(b, c, n).astype(np.float32) / (b * c * n)
    more = [g.known(ints(g.one(g.int(0, 5), 50))), g.known(np.array(g.one(0, .3, .5, .7), np.float32)),
            g.known(np.array(g.one(.1, .4), np.float32))][:g.int(0, 3)]
    g.node([boxes, scores] + more, center_point_box=int(center_form) or None)
